// From a range of real values to a scale and a zero point.
#pragma once

#include <cstdint>

#include "octet/tensor.h"

namespace octet {

struct ScaleZero {
  float scale = 1.0f;
  int32_t zero_point = 0;
  bool degenerate = false;  // the range was zero, below kMinAmax or not finite: scale is kDegenerateScale
};

// Ranges smaller than this are treated as zero: every value quantizes to the code of 0.
constexpr float kMinAmax = 0x1p-24f;
// With step 1 a tensor of values below kMinAmax becomes all zeros, and no division or product can overflow.
constexpr float kDegenerateScale = 1.0f;

// zero_point 0 and step = amax / qmax: 127 for INT8 (code -128 stays usable unless narrow), 255 for UINT8 (the range
// is [0, amax]), 448 for E4M3, ... One float division, the same bits on every machine. The sign of amax is ignored.
ScaleZero symmetric_params(float amax, DType dtype, bool narrow_range = false);

// step = (hi - lo) / (qmax - qmin), zero_point = clamp(round_half_even(qmin - lo / step)). The range is first widened
// to include 0, so that 0 is exact. FP8 has no zero point: the symmetric choice for max(-lo, hi) is returned.
ScaleZero affine_params(float lo, float hi, DType dtype, bool narrow_range = false);

}  // namespace octet
