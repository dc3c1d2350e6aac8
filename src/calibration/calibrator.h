// One calibrator call on any Distribution: shared by activations (histogram) and weights (samples).
#pragma once

#include <optional>

#include "calibration/distribution.h"

namespace octet {

Status validate_options(const CalibratorOptions& options);

// d has at least one finite value and options are valid.
CalibratedRange calibrate_distribution(const Distribution& d, const CalibratorOptions& options,
                                       const std::optional<ConsumerWeights>& consumer);

}  // namespace octet
