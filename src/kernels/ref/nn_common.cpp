#include "kernels/ref/nn_common.h"

#include <algorithm>
#include <cmath>

#include "arith/float_formats.h"

namespace octet::nn {
namespace {

// About an hour of one core: far above any real layer, far below forever.
constexpr int64_t kMaxWork = int64_t{1} << 42;

struct Limits {
  double lo, hi;
};

// The doubles between which truncation to an integer type is defined.
Limits integer_limits(DType dtype) {
  switch (dtype) {
    case DType::kInt4: return {-8, 7};
    case DType::kUint4: return {0, 15};
    case DType::kInt8: return {-128, 127};
    case DType::kUint8: return {0, 255};
    case DType::kInt16: return {-32768, 32767};
    case DType::kUint16: return {0, 65535};
    case DType::kInt32: return {-2147483648.0, 2147483647.0};
    case DType::kUint32: return {0, 4294967295.0};
    case DType::kUint64: return {0, 0x1p63 - 1024};  // cast_tensor goes through int64
    default: return {-0x1p63, 0x1p63 - 1024};        // 2^63 - 1024 is the largest double below 2^63
  }
}

}  // namespace

bool is_real(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 ||
         dtype == DType::kBFloat16;
}

Status require_real(const OpArgs& args, size_t i) {
  if (!args.has(i)) return invalid_argument("input " + std::to_string(i) + " is missing");
  if (is_real(args.in(i).dtype())) return Status::ok();
  return unsupported("input " + std::to_string(i) + " is " + dtype_name(args.in(i).dtype()) +
                     ", expected float32, float64, float16 or bfloat16");
}

Status require_shape(const Tensor& t, const Dims& dims, const std::string& what) {
  if (t.dims() == dims) return Status::ok();
  return invalid_argument(what + " has shape " + dims_to_string(t.dims()) + ", expected " + dims_to_string(dims));
}

Result<Tensor> to_float64(const Tensor& t) { return cast_tensor(t, DType::kFloat64); }

Result<Tensor> from_float64(const Tensor& t, DType dtype) {
  if (!dtype_is_integer(dtype)) return cast_tensor(t, dtype);
  OCTET_ASSIGN(Tensor clamped, zeros(t.dims()));
  const auto [lo, hi] = integer_limits(dtype);
  for (int64_t i = 0; i < t.numel(); ++i) {
    const double v = t.data<double>()[i];
    clamped.data<double>()[i] = std::isnan(v) ? 0.0 : std::clamp(v, lo, hi);
  }
  return cast_tensor(clamped, dtype);
}

Result<Tensor> zeros(Dims dims) {
  OCTET_ASSIGN(Tensor t, Tensor::create(DType::kFloat64, std::move(dims)));
  std::fill_n(t.data<double>(), t.numel(), 0.0);
  return t;
}

Status check_work(const Dims& factors) {
  int64_t work = 1;
  bool too_much = false;
  for (int64_t f : factors) {
    if (f == 0) return Status::ok();
    too_much = too_much || __builtin_mul_overflow(work, f, &work) || work > kMaxWork;
  }
  if (!too_much) return Status::ok();
  return resource_limit("the operator needs more than 2^42 steps; its shapes or attributes are unreasonably large");
}

Result<Dims> strides_within(const Dims& from, const Dims& to) {
  Result<Dims> common = broadcast_dims(from, to);
  if (common.is_ok() && *common == to) return broadcast_strides(from, to);
  return invalid_argument("shape " + dims_to_string(from) + " does not broadcast to " + dims_to_string(to));
}

OpResult as_asked(const OpArgs& args, std::vector<Tensor> outputs) {
  outputs.resize(std::min(outputs.size(), std::max<size_t>(1, args.node.outputs.size())));
  return outputs;
}

OpResult single(const Tensor& float64_result, DType dtype) { return one(from_float64(float64_result, dtype)); }

}  // namespace octet::nn
