// Where QuantizeLinear and DequantizeLinear go, from the float graph alone: TensorRT's rules as the target adapts
// them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "octet/quantization.h"
#include "quantization/settings.h"

namespace octet {

// A plan whose tensors have no parameters yet. The graph is walked from its outputs to its inputs: quantized ops
// demand quantized inputs, ops between them hand the demand on to what stands before them. Ranges, where they are known, tell which inputs of a
// concatenation had better keep their own scale.
Result<QuantizationPlan> place_quantizers(const Network& net, const QuantizationOptions& options,
                                          const Target& target, const std::vector<NodeSettings>& settings,
                                          const std::map<std::string, std::string>& excluded,
                                          const Ranges* ranges = nullptr);

}  // namespace octet
