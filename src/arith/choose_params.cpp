#include "arith/choose_params.h"

#include <algorithm>
#include <cmath>

#include "arith/float_formats.h"
#include "arith/quantize.h"

namespace octet {

ScaleZero symmetric_params(float amax, DType dtype, bool narrow_range) {
  amax = std::fabs(amax);
  if (!std::isfinite(amax) || amax < kMinAmax) return {kDegenerateScale, 0, true};
  const float fp8 = fp8_max(dtype);
  const float qmax = fp8 > 0 ? fp8 : static_cast<float>(code_range(dtype, narrow_range).hi);
  return {amax / qmax, 0, false};
}

ScaleZero affine_params(float lo, float hi, DType dtype, bool narrow_range) {
  if (!std::isfinite(lo) || !std::isfinite(hi)) return {kDegenerateScale, 0, true};
  lo = std::min(lo, 0.0f);
  hi = std::max(hi, 0.0f);
  if (fp8_max(dtype) > 0) return symmetric_params(std::max(-lo, hi), dtype, narrow_range);
  const CodeRange codes = code_range(dtype, narrow_range);
  const double width = static_cast<double>(hi) - lo;  // in double: hi - lo may exceed the largest float
  if (width < kMinAmax) return {kDegenerateScale, 0, true};
  const float step = static_cast<float>(width / (codes.hi - codes.lo));
  const double zero = std::nearbyint(codes.lo - static_cast<double>(lo) / step);
  return {step, static_cast<int32_t>(std::clamp<double>(zero, codes.lo, codes.hi)), false};
}

}  // namespace octet
