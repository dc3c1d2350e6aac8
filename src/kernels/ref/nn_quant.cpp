// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: the ONNX wrapping of the arithmetic in room arith.
#include <algorithm>

#include "arith/choose_params.h"
#include "arith/float_formats.h"
#include "arith/quantize.h"
#include "graph/onnx_dtype.h"
#include "kernels/ref/nn_common.h"
#include "kernels/ref/nn_qlinear.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace nn {
namespace {

bool is_fp8(DType dtype) { return dtype == DType::kFloat8E4M3 || dtype == DType::kFloat8E5M2; }

// Axis and block size from the shape of the scale: one element is per-tensor, a vector per-axis, and with the
// attribute block_size the scale has the shape of x with dims[axis] divided by it, rounded up.
Status read_granularity(const Node& node, const Dims& dims, const Dims& scale, QuantParams& p) {
  const int64_t block_size = node.attr_int("block_size", 0);
  if (block_size < 0) return invalid_argument("block_size is negative");
  if (block_size == 0 && product(scale, 0, scale.size()) == 1 && scale.size() <= 1) return Status::ok();
  OCTET_ASSIGN(const int64_t axis, normalize_axis(node.attr_int("axis", 1), static_cast<int64_t>(dims.size())));
  p.axis = static_cast<int>(axis);
  p.block_size = block_size;
  Dims expected{dims[static_cast<size_t>(axis)]};
  if (block_size > 0) {
    expected = dims;
    int64_t& blocked = expected[static_cast<size_t>(axis)];
    blocked = blocked / block_size + (blocked % block_size != 0 ? 1 : 0);
  }
  if (scale == expected) return Status::ok();
  return invalid_argument("the scale of shape " + dims_to_string(scale) + " does not fit a tensor of shape " +
                          dims_to_string(dims) + " quantized along axis " + std::to_string(axis) + "; expected " +
                          dims_to_string(expected));
}

// FP8 and int32 know no zero point other than 0; -0 of FP8 counts as 0.
Status require_zero(const Tensor& zero_point) {
  OCTET_ASSIGN(const Tensor values, to_float64(zero_point));
  for (int64_t i = 0; i < values.numel(); ++i)
    if (values.data<double>()[i] != 0)
      return invalid_argument(std::string("the zero point of ") + dtype_name(zero_point.dtype()) + " must be 0");
  return Status::ok();
}

// Inputs 1 (scale) and 2 (zero point) for a tensor of shape `dims` whose codes have type `dtype`.
Result<QuantParams> read_params(const OpArgs& args, const Dims& dims, DType dtype) {
  OCTET_RETURN_IF_ERROR(require_real(args, 1));
  QuantParams p;
  p.dtype = dtype;
  OCTET_RETURN_IF_ERROR(read_granularity(args.node, dims, args.in(1).dims(), p));
  OCTET_ASSIGN(const Tensor scale, cast_tensor(args.in(1), DType::kFloat32));
  p.scale.assign(scale.data<float>(), scale.data<float>() + scale.numel());
  if (!args.has(2)) return p;
  const Tensor& zero_point = args.in(2);
  if (zero_point.dtype() != dtype)
    return invalid_argument(std::string("the zero point is ") + dtype_name(zero_point.dtype()) +
                            ", but the codes are " + dtype_name(dtype));
  if (zero_point.numel() != scale.numel() || (zero_point.dims() != scale.dims() && zero_point.numel() != 1))
    return invalid_argument("the zero point has shape " + dims_to_string(zero_point.dims()) + " and the scale " +
                            dims_to_string(scale.dims()) + "; they must be the same");
  if (!is_quantized_dtype(dtype) || is_fp8(dtype)) {
    OCTET_RETURN_IF_ERROR(require_zero(zero_point));
    return p;
  }
  OCTET_ASSIGN(const std::vector<int64_t> values, to_int64s(zero_point));
  p.zero_point.assign(values.begin(), values.end());
  return p;
}

// By the zero point, else by output_dtype (opset 21), else uint8.
Result<DType> code_type(const OpArgs& args) {
  DType stated = DType::kUndefined;
  if (const int64_t number = args.node.attr_int("output_dtype", 0); number != 0) {
    stated = dtype_from_onnx(number);
    if (!is_quantized_dtype(stated))
      return unsupported("output_dtype " + std::to_string(number) + " is not a type to quantize to");
  }
  if (!args.has(2)) return stated == DType::kUndefined ? DType::kUint8 : stated;
  const DType dtype = args.in(2).dtype();
  if (!is_quantized_dtype(dtype)) return unsupported_dtype(dtype);
  if (stated != DType::kUndefined && stated != dtype)
    return invalid_argument(std::string("output_dtype is ") + dtype_name(stated) + ", but the zero point is " +
                            dtype_name(dtype));
  return dtype;
}

// FP8 with saturate = 0: what lies beyond the largest code becomes NaN or infinity.
Result<Tensor> quantize_fp8_overflowing(const Tensor& x, const QuantParams& p) {
  OCTET_RETURN_IF_ERROR(validate_quant_params(p, x.dims()));
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(x.dims(), p.axis, p.block_size));
  OCTET_ASSIGN(Tensor scaled, Tensor::create(DType::kFloat32, x.dims()));
  for (int64_t i = 0; i < x.numel(); ++i)
    scaled.data<float>()[i] = x.data<float>()[i] / p.scale[static_cast<size_t>(layout.scale_index(i))];
  return cast_tensor(scaled, p.dtype, false);
}

OpResult quantize_linear(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  if (args.in(0).dtype() != DType::kInt32) OCTET_RETURN_IF_ERROR(require_real(args, 0));
  OCTET_ASSIGN(const DType dtype, code_type(args));
  OCTET_ASSIGN(const QuantParams params, read_params(args, args.in(0).dims(), dtype));
  OCTET_ASSIGN(const Tensor x, cast_tensor(args.in(0), DType::kFloat32));
  if (is_fp8(dtype) && args.node.attr_int("saturate", 1) == 0) return one(quantize_fp8_overflowing(x, params));
  return one(quantize(x, params));
}

// Bias codes: int32 is not a type of QuantParams, but DequantizeLinear takes it.
Result<Tensor> dequantize_int32(const Tensor& q, const QuantParams& p) {
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(q.dims(), p.axis, p.block_size));
  OCTET_ASSIGN(Tensor x, Tensor::create(DType::kFloat32, q.dims()));
  for (int64_t i = 0; i < q.numel(); ++i)
    x.data<float>()[i] =
        dequantize_value(q.data<int32_t>()[i], p.scale[static_cast<size_t>(layout.scale_index(i))], 0);
  return x;
}

// The result has the type of the scale.
OpResult dequantize_linear(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const Tensor& q = args.in(0);
  if (!is_quantized_dtype(q.dtype()) && q.dtype() != DType::kInt32) return unsupported_dtype(q.dtype());
  OCTET_ASSIGN(const QuantParams params, read_params(args, q.dims(), q.dtype()));
  OCTET_ASSIGN(const Tensor x, q.dtype() == DType::kInt32 ? dequantize_int32(q, params) : dequantize(q, params));
  if (args.in(1).dtype() == DType::kFloat32) return std::vector<Tensor>{x};
  return one(cast_tensor(x, args.in(1).dtype()));
}

// uint8 over the range of x widened to include 0. Outputs y, scale, zero point.
OpResult dynamic_quantize_linear(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  if (x.dtype() != DType::kFloat32) return unsupported_dtype(x.dtype());
  float lo = 0;
  float hi = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    lo = std::min(lo, x.data<float>()[i]);
    hi = std::max(hi, x.data<float>()[i]);
  }
  const ScaleZero chosen = affine_params(lo, hi, DType::kUint8);
  QuantParams params;
  params.dtype = DType::kUint8;
  params.scale = {chosen.scale};
  params.zero_point = {chosen.zero_point};
  OCTET_ASSIGN(Tensor y, quantize(x, params));
  return std::vector<Tensor>{y, Tensor::scalar(chosen.scale),
                             Tensor::scalar(static_cast<uint8_t>(chosen.zero_point))};
}

constexpr RefOpEntry kOps[] = {
    {"DequantizeLinear", dequantize_linear}, {"DynamicQuantizeLinear", dynamic_quantize_linear},
    {"QLinearConv", qlinear_conv},           {"QLinearMatMul", qlinear_matmul},
    {"QuantizeLinear", quantize_linear},
};

}  // namespace
}  // namespace nn

std::span<const RefOpEntry> nn_quant_ops() { return nn::kOps; }

}  // namespace octet
