// Quantization of whole tensors by QuantParams: per-tensor, per-channel and per-group. Elements by scalar.h.
#pragma once

#include <cstdint>

#include "arith/scalar.h"
#include "octet/quant_params.h"
#include "octet/tensor.h"

namespace octet {

struct CodeRange {
  int32_t lo = 0;
  int32_t hi = 0;
};

// Codes of an integer type of 4, 8 or 16 bits; narrow leaves out the lowest code of a signed type. {0, 0} for all
// other types (FP8 codes are not integers).
CodeRange code_range(DType dtype, bool narrow_range = false);
// True for the eight types that QuantParams may name.
bool is_quantized_dtype(DType dtype);

// How the elements of a row-major tensor find their scale: element (o, a, i) of [outer, axis_dim, inner] has scale
//   per-tensor: 0;  per-channel: a;  per-group: (o * blocks + a / block_size) * inner + i   (ONNX opset 21 layout).
struct QuantLayout {
  int64_t outer = 1;
  int64_t axis_dim = 1;
  int64_t inner = 1;
  int64_t block_size = 0;  // 0: not per-group
  int64_t blocks = 1;      // ceil(axis_dim / block_size)
  bool per_tensor = true;
  int64_t scale_count = 1;

  int64_t scale_index(int64_t element) const;
};

// axis -1 means per-tensor. Errors: axis out of range, a block size without axis or not positive.
Result<QuantLayout> quant_layout(const Dims& dims, int axis, int64_t block_size);

// Everything that must hold before p may be applied to a tensor of these dims: type, counts, axis, scales finite and
// positive, zero points within the codes (0 for FP8). One sentence says which entry is wrong.
Status validate_quant_params(const QuantParams& p, const Dims& dims);

// x: float32. Result: p.dtype, same dims. FP8: x / scale cast with saturation, NaN stays NaN.
Result<Tensor> quantize(const Tensor& x, const QuantParams& p);
// q: p.dtype. Result: float32, same dims.
Result<Tensor> dequantize(const Tensor& q, const QuantParams& p);
// dequantize(quantize(x)), bit for bit, without the codes in between. x: float32.
Result<Tensor> fake_quantize(const Tensor& x, const QuantParams& p);

// FP8 forms of the scalar definition; dtype is kFloat8E4M3 or kFloat8E5M2.
uint8_t quantize_value_fp8(float x, float scale, DType dtype);
float fake_quantize_value_fp8(float x, float scale, DType dtype);

// A bias as the engine adds it: clamp(round_half_even(bias / scale)) in int32, scale = source scale * weight scale.
// Computed in double, because a float cannot hold the larger codes; NaN gives 0.
int32_t quantize_bias_value(float bias, float scale);

}  // namespace octet
