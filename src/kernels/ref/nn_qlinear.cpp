#include "kernels/ref/nn_qlinear.h"

#include <cmath>

#include "arith/float_formats.h"
#include "arith/quantize.h"
#include "kernels/ref/nn_conv_core.h"
#include "kernels/ref/nn_matmul_core.h"
#include "kernels/ref/nn_zero_point.h"

namespace octet::nn {
namespace {

// Both operators take {tensor, scale, zero point} twice, then the scale and zero point of the result.
constexpr size_t kLeft = 0;
constexpr size_t kRight = 3;
constexpr size_t kResultScale = 6;
constexpr size_t kResultZero = 7;

// A float32 tensor of shape `dims` that holds the scale of each result element.
Result<Tensor> unit_scales(const Dims& dims) {
  OCTET_ASSIGN(Tensor t, Tensor::create(DType::kFloat32, dims));
  std::fill_n(t.data<float>(), t.numel(), 1.0F);
  return t;
}

// factors = combine(factors, scale input i spread along `axis`)
template <class F>
Status combine_scale(const OpArgs& args, size_t i, int axis, Tensor& factors, F combine) {
  OCTET_RETURN_IF_ERROR(require_real(args, i));
  const std::string what = "scale (input " + std::to_string(i) + ")";
  OCTET_ASSIGN(const Dims strides, param_strides(args.in(i).dims(), factors.dims(), axis, what));
  OCTET_ASSIGN(const Tensor scale, cast_tensor(args.in(i), DType::kFloat32));
  for (int64_t k = 0; k < scale.numel(); ++k)
    if (!std::isfinite(scale.data<float>()[k]) || !(scale.data<float>()[k] > 0))
      return invalid_argument(what + " must be finite and above 0");
  for_each_offset(factors.dims(), strides, [&](int64_t at, int64_t from) {
    factors.data<float>()[at] = combine(factors.data<float>()[at], scale.data<float>()[from]);
  });
  return Status::ok();
}

// Which axis of the result the parameters of each operand may run along; -1: none.
struct ParamAxes {
  int left = -1;
  int right = -1;
  int result = -1;
};

// int32 sums -> codes, with the scale left * right / result of each element.
OpResult requantize_sums(const OpArgs& args, const Tensor& sums, const ParamAxes& axes) {
  OCTET_ASSIGN(Tensor factors, unit_scales(sums.dims()));
  OCTET_RETURN_IF_ERROR(
      combine_scale(args, kLeft + 1, axes.left, factors, [](float f, float scale) { return f * scale; }));
  OCTET_RETURN_IF_ERROR(
      combine_scale(args, kRight + 1, axes.right, factors, [](float f, float scale) { return f * scale; }));
  OCTET_RETURN_IF_ERROR(
      combine_scale(args, kResultScale, axes.result, factors, [](float f, float scale) { return f / scale; }));
  const Tensor& zero_point = args.in(kResultZero);
  if (zero_point.dtype() != DType::kInt8 && zero_point.dtype() != DType::kUint8)
    return unsupported_dtype(zero_point.dtype());
  OCTET_ASSIGN(const Dims strides, param_strides(zero_point.dims(), sums.dims(), axes.result, "y_zero_point"));
  OCTET_ASSIGN(const Tensor zero, cast_tensor(zero_point, DType::kInt32));
  OCTET_ASSIGN(Tensor codes, Tensor::create(DType::kInt32, sums.dims()));
  const CodeRange range = code_range(zero_point.dtype());
  for_each_offset(sums.dims(), strides, [&](int64_t at, int64_t from) {
    codes.data<int32_t>()[at] = requantize_value(sums.data<int32_t>()[at], factors.data<float>()[at],
                                                 zero.data<int32_t>()[from], range.lo, range.hi);
  });
  return one(cast_tensor(codes, zero_point.dtype()));
}

Status add_int32_bias(const OpArgs& args, size_t i, int64_t channels, Tensor& sums) {
  if (!args.has(i)) return Status::ok();
  if (args.in(i).dtype() != DType::kInt32) return unsupported("the bias must be int32");
  OCTET_RETURN_IF_ERROR(require_shape(args.in(i), {channels}, "the bias"));
  OCTET_ASSIGN(const Dims strides, param_strides(args.in(i).dims(), sums.dims(), 1, "the bias"));
  for_each_offset(sums.dims(), strides,
                  [&](int64_t at, int64_t c) { sums.data<double>()[at] += args.in(i).data<int32_t>()[c]; });
  return Status::ok();
}

}  // namespace

OpResult qlinear_conv(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 8));
  OCTET_ASSIGN(const ConvShape shape, conv_shape(args.node, args.in(kLeft).dims(), args.in(kRight).dims()));
  OCTET_ASSIGN(const Tensor src, subtract_zero_point(args.in(kLeft), &args.in(kLeft + 2), -1, "x_zero_point"));
  OCTET_ASSIGN(const Tensor weight, subtract_zero_point(args.in(kRight), &args.in(kRight + 2), 0, "w_zero_point"));
  OCTET_ASSIGN(Tensor sums, convolve(shape, src, weight));
  OCTET_RETURN_IF_ERROR(add_int32_bias(args, 8, shape.oc, sums));
  OCTET_ASSIGN(const std::vector<Tensor> wrapped, wrap_to_int32(sums));
  return requantize_sums(args, wrapped[0], {.right = 1});
}

OpResult qlinear_matmul(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 8));
  const Tensor& a = args.in(kLeft);
  const Tensor& b = args.in(kRight);
  OCTET_ASSIGN(const Tensor left, subtract_zero_point(a, &args.in(kLeft + 2), a.rank() - 2, "a_zero_point"));
  OCTET_ASSIGN(const Tensor right, subtract_zero_point(b, &args.in(kRight + 2), b.rank() - 1, "b_zero_point"));
  OCTET_ASSIGN(const Tensor product_sums, matmul_tensors(left, right));
  OCTET_ASSIGN(const std::vector<Tensor> wrapped, wrap_to_int32(product_sums));
  ParamAxes axes;
  const int last = product_sums.rank() - 1;
  if (b.rank() >= 2) axes.right = last;
  if (a.rank() >= 2) axes.left = b.rank() >= 2 ? last - 1 : last;
  axes.result = axes.left;
  return requantize_sums(args, wrapped[0], axes);
}

}  // namespace octet::nn
