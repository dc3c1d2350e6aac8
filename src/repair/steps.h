// The repair methods, one file each. All of them edit the graph in place and say what they did.
#pragma once

#include <map>
#include <string>

#include "octet/repair.h"

namespace octet::repair {

Result<RepairStep> smooth_quant(Graph& graph, const SmoothQuantOptions& options, const RepairHost& host);
// Clips that cut off next to nothing become Relu first; `host` is asked only when there are Clips.
Result<RepairStep> equalize_layers(Graph& graph, const EqualizationOptions& options, const RepairHost& host);
Result<RepairStep> absorb_biases(Graph& graph, const AbsorptionOptions& options, const RepairHost& host);

// The network that the later methods work on: the float graph as it came, which is what they aim at, the graph they
// repair, and how it is quantized.
struct QuantizedNetwork {
  const Graph& reference;
  Graph& graph;
  const SelectiveQuantizer& quantizer;
  const QuantizationPlan& plan;  // of `reference`; scales stay
};
Result<RepairStep> adaround(QuantizedNetwork net, const AdaRoundOptions& options, const RepairHost& host);
Result<RepairStep> gptq(QuantizedNetwork net, const GptqOptions& options, const RepairHost& host);
Result<RepairStep> correct_biases_empirically(QuantizedNetwork net, const RepairHost& host);
Result<RepairStep> correct_biases_analytically(QuantizedNetwork net, const RepairHost& host,
                                               const std::map<std::string, ChannelMoments>& moments);

}  // namespace octet::repair
