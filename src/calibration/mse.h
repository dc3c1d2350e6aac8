// The mse calibrator: the clip with the least expected squared fake-quantization error.
#pragma once

#include "calibration/threshold.h"

namespace octet {

// Symmetric: thresholds from the largest magnitude down in eighths of an octave, stopping where clipping alone
// already costs more than the best so far; then linear grids around the best three. Affine: first both ends together,
// then each in turn. The error is Distribution::error() of the quantizer as it will be, zero point rounding included.
ClipRange mse_range(const Distribution& d, const CalibratorOptions& options);

}  // namespace octet
