// Analytic bias correction: Nagel et al. 2019, arXiv 1906.04721, section 4.2: E[y~] - E[y] = (W~ - W) E[x].
#include <cmath>
#include <cstdio>

#include "arith/quantize.h"
#include "repair/channel_sums.h"
#include "repair/expected_inputs.h"
#include "repair/steps.h"
#include "repair/weight_view.h"

namespace octet::repair {
namespace {

struct Layer {
  size_t node;
  std::vector<double> input;  // expected, by channel; empty until measured
};

// Layers with quantized weights and a bias, in the order of the network.
std::vector<Layer> quantized_layers(const Graph& graph, GraphEditor& editor, const QuantizationPlan& plan,
                                    RepairStep* step) {
  std::vector<Layer> layers;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto view = WeightView::of(graph, i);
    if (!view) continue;
    const auto it = plan.tensors.find(graph.value(view->weight()).name);
    if (it == plan.tensors.end() || it->second.role != TensorRole::kWeight || it->second.params.scale.empty())
      continue;
    if (bias_place(editor, *view)) layers.push_back({i, {}});
    else step->skipped.push_back(quoted_node(graph.nodes[i]) + ": it has no constant bias per channel");
  }
  return layers;
}

// Fills the expected inputs, from batch normalization where it says something, else from images. Returns how many
// were measured.
Result<int> fill_inputs(const Graph& reference, const Graph& graph, const RepairHost& host,
                        const std::map<std::string, ChannelMoments>& moments, std::vector<Layer>* layers) {
  const auto known = expected_means(graph, moments);
  std::vector<ChannelTap> taps;
  std::vector<Layer*> unknown;
  for (Layer& l : *layers) {
    const Node& node = graph.nodes[l.node];
    const auto it = known.find(node.inputs[0]);
    if (it != known.end() &&
        static_cast<int64_t>(it->second.size()) == WeightView::of(graph, l.node)->in_channels()) {
      l.input = it->second;
      continue;
    }
    const Value& x = graph.value(node.inputs[0]);
    taps.push_back({x.name, node.is("MatMul") || node.is("Gemm") ? -1 : 1});
    unknown.push_back(&l);
  }
  if (unknown.empty()) return 0;
  OCTET_ASSIGN(const std::vector<ChannelSums> sums, channel_sums(reference, taps, host, "measuring inputs"));
  for (size_t i = 0; i < unknown.size(); ++i) unknown[i]->input = sums[i].moments().mean;
  return static_cast<int>(unknown.size());
}

}  // namespace

Result<RepairStep> correct_biases_analytically(QuantizedNetwork net, const RepairHost& host,
                                               const std::map<std::string, ChannelMoments>& moments) {
  RepairStep step;
  step.method = "bias_correction";
  GraphEditor editor(net.graph);
  std::vector<Layer> layers = quantized_layers(net.graph, editor, net.plan, &step);
  OCTET_ASSIGN(const int measured, fill_inputs(net.reference, net.graph, host, moments, &layers));
  for (const Layer& l : layers) {
    const WeightView view = *WeightView::of(net.graph, l.node);
    const std::string weight = net.graph.value(view.weight()).name;
    if (static_cast<int64_t>(l.input.size()) != view.in_channels()) {
      step.skipped.push_back(quoted_node(net.graph.nodes[l.node]) + ": its input has no axis of channels");
      continue;
    }
    const Tensor& exact = *net.reference.value(net.reference.find_value(weight)).constant;
    OCTET_ASSIGN(const Tensor rounded,
                 fake_quantize(*net.graph.value(view.weight()).constant, net.plan.tensors.at(weight).params));
    const BiasPlace place = *bias_place(editor, view);
    std::vector<double> bias = read_bias(editor, view, place);
    for (int64_t e = 0; e < view.numel(); ++e)
      bias[static_cast<size_t>(view.out_of(e))] -=
          (static_cast<double>(rounded.data<float>()[e]) - static_cast<double>(exact.data<float>()[e])) *
          l.input[static_cast<size_t>(view.in_of(e))];
    if (write_bias(editor, view, place, bias)) ++step.changed;
    else step.skipped.push_back(quoted_node(net.graph.nodes[l.node]) + ": its input is not finite for some image");
  }
  OCTET_RETURN_IF_ERROR(editor.finish());
  step.summary = "the mean outputs of " + std::to_string(step.changed) +
                 " layers were corrected by their weights' errors; the expected inputs of " +
                 std::to_string(static_cast<int>(layers.size()) - measured) + " came from batch normalization, of " +
                 std::to_string(measured) + " from images";
  return step;
}

}  // namespace octet::repair
