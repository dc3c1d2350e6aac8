// Calibrated ranges -> scales and zero points.
#pragma once

#include <string>

#include "arith/choose_params.h"
#include "octet/quantization.h"

namespace octet {

// The scale and zero point that finish() gives a tensor of this plan whose range is [lo, hi].
ScaleZero scale_of_range(float lo, float hi, const TensorPlan& t);

struct RangeForScale {
  float lo = 0;
  float hi = 0;
  ScaleZero params;  // scale_of_range(lo, hi)
};

// The inverse: a range that gives this scale and zero point, or, where float division reaches no such scale, one of
// the nearest, at most two units in the last place away. Trained scales go back into ranges.json with it.
RangeForScale range_for_scale(float scale, int32_t zero_point, const TensorPlan& t);

// Fills params of every tensor of the plan whose range is there; same_as tensors are left to their head. Errors: a
// range with the wrong number of entries, not finite or upside down, naming the JSON path.
Status assign_params(const Graph& graph, const Ranges& ranges, QuantizationPlan* plan);

// Chooses weight scales with an INT32 bias of scale s_input * s_weight in mind: a channel of zeros gets one that the
// bias can be stored at, and scales are raised where it would not fit. For float biases, too: runtimes make integers
// of them by themselves (ONNX Runtime does), and would let them overflow.
void fit_biases(const Graph& graph, QuantizationPlan* plan);

}  // namespace octet
