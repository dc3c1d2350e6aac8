// How a tensor is quantized: type, scale(s), zero point(s), axis. Field terms as ONNX QuantizeLinear uses them.
#pragma once

#include <cstdint>
#include <vector>

#include "octet/tensor.h"

namespace octet {

// q = clamp(round_half_even(x / scale) + zero_point, qmin, qmax);  xhat = (q - zero_point) * scale.
struct QuantParams {
  DType dtype = DType::kInt8;       // kInt8, kUint8, kInt16, kUint16, kInt4, kUint4, kFloat8E4M3 or kFloat8E5M2
  std::vector<float> scale;         // 1 (per-tensor), dims[axis] (per-channel), or row-major blocks (per-group)
  std::vector<int32_t> zero_point;  // empty means all zero; else as many as scales
  int axis = -1;                    // -1: per-tensor
  int64_t block_size = 0;           // 0: no groups; else elements along axis that share one scale (ONNX opset 21)
  bool narrow_range = false;        // signed types leave out their lowest code (-127..127)

  bool per_tensor() const { return axis < 0; }
  int32_t zero_point_at(size_t i) const { return zero_point.empty() ? 0 : zero_point[i]; }
};

}  // namespace octet
