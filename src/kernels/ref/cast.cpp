// ONNX Cast and CastLike; the conversions themselves are arith's.
#include "arith/float_formats.h"
#include "kernels/ref/onnx_types.h"
#include "kernels/ref/op_lists.h"
#include "kernels/ref/support.h"

namespace octet {
namespace {

// `saturate` (since opset 19) concerns FP8 targets only.
OpResult cast_to(const OpArgs& args, DType to) {
  if (args.in(0).dtype() == to) return std::vector<Tensor>{args.in(0)};
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
