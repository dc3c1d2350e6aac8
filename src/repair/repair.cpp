#include "octet/repair.h"

#include "graph/shape_inference.h"
#include "graph/verify.h"
#include "repair/steps.h"

namespace octet {

Result<std::vector<RepairStep>> repair_float_network(Graph& graph, const RepairOptions& options,
                                                     const RepairHost& host) {
  OCTET_RETURN_IF_ERROR(check_repair_options(options));
  std::vector<RepairStep> steps;
  const auto did = [&](Result<RepairStep> step, const char* method) -> Status {
    if (!step.is_ok()) return step.status().at(method);
    steps.push_back(std::move(*step));
    return verify(graph).at(method);
  };
  if (options.smooth_quant)
    OCTET_RETURN_IF_ERROR(did(repair::smooth_quant(graph, *options.smooth_quant, host), "smooth_quant"));
  if (options.cross_layer_equalization)
    OCTET_RETURN_IF_ERROR(
        did(repair::equalize_layers(graph, *options.cross_layer_equalization, host), "cross_layer_equalization"));
  if (options.bias_absorption)
    OCTET_RETURN_IF_ERROR(did(repair::absorb_biases(graph, *options.bias_absorption, host), "bias_absorption"));
  graph.compact();
  return steps;
}

Result<std::vector<RepairStep>> repair_quantized_network(Graph& graph, const SelectiveQuantizer& quantizer,
                                                         const QuantizationPlan& plan, const RepairOptions& options,
                                                         const RepairHost& host,
                                                         const std::map<std::string, ChannelMoments>& moments) {
  OCTET_RETURN_IF_ERROR(check_repair_options(options));
  const Graph reference = graph;
  const repair::QuantizedNetwork net{reference, graph, quantizer, plan};
  std::vector<RepairStep> steps;
  const auto did = [&](Result<RepairStep> step, const char* method) -> Status {
    if (!step.is_ok()) return step.status().at(method);
    steps.push_back(std::move(*step));
    return Status::ok();
  };
  if (options.adaround) OCTET_RETURN_IF_ERROR(did(repair::adaround(net, *options.adaround, host), "adaround"));
  if (options.gptq) OCTET_RETURN_IF_ERROR(did(repair::gptq(net, *options.gptq, host), "gptq"));
  if (options.bias_correction)
    OCTET_RETURN_IF_ERROR(did(options.bias_correction->analytic
                                  ? repair::correct_biases_analytically(net, host, moments)
                                  : repair::correct_biases_empirically(net, host),
                              "bias_correction"));
  OCTET_RETURN_IF_ERROR(verify(graph).at("after the repair"));
  return steps;
}

}  // namespace octet
