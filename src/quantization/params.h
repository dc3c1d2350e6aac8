// Calibrated ranges -> scales and zero points.
#pragma once

#include <string>

#include "octet/quantization.h"

namespace octet {

// Fills params of every tensor of the plan whose range is there; same_as tensors are left to their head. Errors: a
// range with the wrong number of entries, not finite or upside down, naming the JSON path.
Status assign_params(const Graph& graph, const Ranges& ranges, QuantizationPlan* plan);

// Chooses weight scales with the INT32 bias of scale s_input * s_weight in mind: a channel of zeros gets one that the
// bias can be stored at, and scales are raised where it would not fit.
void fit_integer_biases(const Graph& graph, QuantizationPlan* plan);

}  // namespace octet
