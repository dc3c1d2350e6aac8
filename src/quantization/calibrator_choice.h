// The calibrator's options that a plan's line stands for.
#pragma once

#include "octet/quantization.h"

namespace octet {

// `has_negative`: symmetric unsigned codes then lie around a zero point in the middle, as their signed counterpart
// does. kInvalidArgument for an unknown calibrator.
Result<CalibratorOptions> calibrator_options(const TensorPlan& tensor, bool has_negative);

}  // namespace octet
