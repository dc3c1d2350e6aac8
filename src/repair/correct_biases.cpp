// Empirical bias correction: Nagel et al. 2019, arXiv 1906.04721, section 4.2 and appendix D.
#include <cmath>
#include <cstdio>

#include "repair/channel_sums.h"
#include "repair/steps.h"
#include "repair/weight_view.h"

namespace octet::repair {
namespace {

struct Candidate {
  size_t node;
  ChannelTap output;
};

// Quantized layers whose output has a bias to correct, in the order of the network.
std::vector<Candidate> candidates(Graph& graph, const QuantizationPlan& plan, RepairStep* step) {
  const GraphEditor editor(graph);
  std::map<std::string, NodeDecision> decisions;
  for (const NodePlan& p : plan.nodes) decisions[p.name] = p.decision;
  std::vector<Candidate> found;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const auto it = decisions.find(node.name);
    const auto view = WeightView::of(graph, i);
    if (!view || it == decisions.end()) continue;
    if (it->second != NodeDecision::kQuantized && it->second != NodeDecision::kWeightOnly) continue;
    const Value& y = graph.value(node.outputs[0]);
    if (!bias_place(editor, *view)) {
      step->skipped.push_back(quoted_node(node) + ": it has no constant bias per channel");
      continue;
    }
    found.push_back({i, {y.name, channel_axis(node, y.shape ? static_cast<int>(y.shape->size()) : 2)}});
  }
  return found;
}

}  // namespace

Result<RepairStep> correct_biases_empirically(QuantizedNetwork net, const RepairHost& host) {
  RepairStep step;
  step.method = "bias_correction";
  const std::vector<Candidate> layers = candidates(net.graph, net.plan, &step);
  std::vector<ChannelTap> taps;
  for (const Candidate& c : layers) taps.push_back(c.output);
  if (layers.empty()) {
    step.summary = "no quantized layer has a bias to correct";
    return step;
  }
  OCTET_ASSIGN(const std::vector<ChannelSums> wanted, channel_sums(net.reference, taps, host, "float outputs"));
  QuantizationPlan plan = net.plan;
  plan.fingerprint.clear();  // the biases change under it
  double largest = 0;
  for (size_t l = 0; l < layers.size(); ++l) {
    const std::string name = net.graph.nodes[layers[l].node].name;
    OCTET_ASSIGN(Graph quantized, net.quantizer.quantize_module(net.graph, plan));
    quantized.outputs = {quantized.find_value(layers[l].output.tensor)};
    OCTET_ASSIGN(const std::vector<ChannelSums> seen, channel_sums(quantized, {layers[l].output}, host, ""));
    const ChannelMoments aim = wanted[l].moments(), is = seen[0].moments();
    GraphEditor editor(net.graph);
    const WeightView view = *WeightView::of(net.graph, layers[l].node);
    const BiasPlace place = *bias_place(editor, view);
    std::vector<double> bias = read_bias(editor, view, place);
    if (aim.mean.size() != bias.size() || is.mean.size() != bias.size()) {
      step.skipped.push_back("node '" + name + "': its output has no axis of channels");
      continue;
    }
    for (size_t c = 0; c < bias.size(); ++c) {
      const double shift = is.mean[c] - aim.mean[c];
      bias[c] -= shift;
      if (aim.deviation[c] > 0) largest = std::max(largest, std::fabs(shift) / aim.deviation[c]);
    }
    if (write_bias(editor, view, place, bias)) ++step.changed;
    else step.skipped.push_back("node '" + name + "': its output is not finite for some image");
    OCTET_RETURN_IF_ERROR(editor.finish());
    host.progress("bias_correction", static_cast<int64_t>(l) + 1, static_cast<int64_t>(layers.size()));
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", largest);
  step.summary = "the mean outputs of " + std::to_string(step.changed) +
                 " layers were corrected; the largest shift was " + text + " standard deviations of its channel";
  return step;
}

}  // namespace octet::repair
