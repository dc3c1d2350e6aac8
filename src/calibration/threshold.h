// A clipping range in real values, lo <= 0 <= hi, as the calibrators return it.
#pragma once

#include "calibration/distribution.h"

namespace octet {

struct ClipRange {
  double lo = 0;
  double hi = 0;
  bool fallback = false;  // the method had nothing to work on, and this is the range of the values
};

// Which values a symmetric range is about: both signs, or the positive ones for an unsigned type.
inline Side symmetric_side(const CalibratorOptions& options) {
  const CodeRange codes = code_range(options.dtype, options.narrow_range);
  return codes.hi > 0 && codes.lo == 0 ? Side::kPositive : Side::kBoth;
}

inline ClipRange symmetric_range(double amax, const CalibratorOptions& options) {
  return {symmetric_side(options) == Side::kPositive ? 0.0 : -amax, amax};
}

}  // namespace octet
