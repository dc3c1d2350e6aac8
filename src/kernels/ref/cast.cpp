// ONNX Cast and CastLike; the conversions are arith's.
#include <algorithm>

#include "arith/float_formats.h"
#include "kernels/ref/loops.h"
#include "kernels/ref/op_lists.h"
#include "kernels/ref/support.h"

namespace octet {
namespace {

// ONNX leaves floats beyond a 4-bit integer open, but its node tests expect the nearest end of the range.
OpResult cast_to_4_bits(const Tensor& x, DType to) {
  const float low = to == DType::kInt4 ? -8.0f : 0.0f;
  const float high = to == DType::kInt4 ? 7.0f : 15.0f;
  OCTET_ASSIGN(const Tensor wide, cast_tensor(x, DType::kFloat32));
  OCTET_ASSIGN(const Tensor clamped,
               (map_unary<float, float>(wide, [=](float v) { return std::clamp(v, low, high); })));
  return one(cast_tensor(clamped, to));
}

// `saturate` (since opset 19) concerns FP8 targets only.
OpResult cast_to(const OpArgs& args, DType to) {
  if (args.in(0).dtype() == to) return std::vector<Tensor>{args.in(0)};
  const bool to_4_bits = to == DType::kInt4 || to == DType::kUint4;
  if (to_4_bits && dtype_is_float(args.in(0).dtype())) return cast_to_4_bits(args.in(0), to);
  return one(cast_tensor(args.in(0), to, args.node.attr_int("saturate", 1) != 0));
}

OpResult cast_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  OCTET_ASSIGN(const DType to, element_type(args.node.attr_int("to", 0)));
  return cast_to(args, to);
}

OpResult cast_like_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  return cast_to(args, args.in(1).dtype());
}

constexpr RefOpEntry kOps[] = {{"Cast", cast_op}, {"CastLike", cast_like_op}};

}  // namespace

std::span<const RefOpEntry> cast_ops() { return kOps; }

}  // namespace octet
