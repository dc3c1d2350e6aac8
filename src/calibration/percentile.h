// The percentile calibrator.
#pragma once

#include "calibration/threshold.h"

namespace octet {

// The range within which options.percentile % of all values lies, interpolated; see calibrate() for the two-sided
// rule and the guard of sparse tensors.
ClipRange percentile_range(const Distribution& d, const CalibratorOptions& options);

}  // namespace octet
