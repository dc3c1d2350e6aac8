// High-bias absorption: Nagel et al. 2019, arXiv 1906.04721, section 4.1.3.
#include <algorithm>
#include <cmath>

#include "repair/channel_path.h"
#include "repair/channel_sums.h"
#include "repair/steps.h"
#include "repair/weight_view.h"

namespace octet::repair {
namespace {

// A zero that padding adds would have to become -c: layers that pad cannot take c over everywhere.
bool pads(const Node& node) {
  if (!node.is("Conv")) return false;
  const std::vector<int64_t> pads = node.attr_ints("pads");
  const std::string automatic = node.attr_string("auto_pad", "NOTSET");
  return std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; }) || automatic.starts_with("SAME");
}

// Why c cannot move from the path's first layer to its readers; "" when it can.
std::string obstacle(const Graph& graph, const GraphEditor& editor, const ChannelPath& path) {
  if (!path.relu_only) return "what follows it is not a Relu alone";
  const auto first = WeightView::of(graph, path.first);
  if (!bias_place(editor, *first)) return "its bias is not a constant per channel";
  for (size_t r : path.readers) {
    const Node& reader = graph.nodes[r];
    if (reader.is("ConvTranspose")) return "'" + reader.name + "' does not sum over all of its kernel at the borders";
    if (pads(reader)) return "'" + reader.name + "' pads with zeros, which would have to be shifted too";
    if (!bias_place(editor, *WeightView::of(graph, r))) return "the bias of '" + reader.name + "' is not a constant";
  }
  return "";
}

// c_i of equation 15; zeros where the mean is low.
std::vector<double> absorbed(const ChannelMoments& m, double deviations) {
  std::vector<double> c;
  for (size_t i = 0; i < m.mean.size(); ++i) c.push_back(std::max(0.0, m.mean[i] - deviations * m.deviation[i]));
  return c;
}

bool shift_bias(GraphEditor& editor, const WeightView& view, const std::vector<double>& by) {
  const BiasPlace place = *bias_place(editor, view);
  std::vector<double> bias = read_bias(editor, view, place);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] += by[i];
  return write_bias(editor, view, place, bias);
}

// b1 - c and b2 + W2 c.
Status move_on(GraphEditor& editor, const ChannelPath& path, const std::vector<double>& c) {
  const Graph& graph = editor.graph();
  std::vector<double> minus;
  for (double x : c) minus.push_back(-x);
  bool finite = shift_bias(editor, *WeightView::of(graph, path.first), minus);
  for (size_t r : path.readers) {
    const WeightView view = *WeightView::of(graph, r);
    const Tensor& w = *graph.value(view.weight()).constant;
    std::vector<double> by(static_cast<size_t>(view.out_channels()), 0);
    for (int64_t e = 0; e < view.numel(); ++e)
      by[static_cast<size_t>(view.out_of(e))] +=
          static_cast<double>(w.data<float>()[e]) * c[static_cast<size_t>(view.in_of(e))];
    finite = finite && shift_bias(editor, view, by);
  }
  if (finite) return Status::ok();
  return invalid_argument(quoted_node(graph.nodes[path.first]) + ": its bias is not finite after absorption");
}

}  // namespace

Result<RepairStep> absorb_biases(Graph& graph, const AbsorptionOptions& options, const RepairHost& host) {
  RepairStep step;
  step.method = "bias_absorption";
  GraphEditor editor(graph);
  const GraphIndex index(graph);
  std::vector<ChannelPath> paths;
  std::vector<ChannelTap> taps;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto found = channel_path(graph, index, i);
    const auto* path = std::get_if<ChannelPath>(&found);
    if (path == nullptr || !path->has_relu) continue;
    const std::string why = obstacle(graph, editor, *path);
    if (!why.empty()) {
      step.skipped.push_back(quoted_node(graph.nodes[i]) + ": " + why);
      continue;
    }
    const Value& y = graph.value(graph.nodes[i].outputs[0]);
    paths.push_back(*path);
    taps.push_back({y.name, channel_axis(graph.nodes[i], y.shape ? static_cast<int>(y.shape->size()) : 2)});
  }
  int64_t channels = 0;
  if (!paths.empty()) {
    OCTET_ASSIGN(const std::vector<ChannelSums> sums, channel_sums(graph, taps, host, "measuring biases"));
    for (size_t p = 0; p < paths.size(); ++p) {
      const std::vector<double> c = absorbed(sums[p].moments(), options.deviations);
      const int64_t moved = std::count_if(c.begin(), c.end(), [](double x) { return x > 0; });
      const auto view = WeightView::of(graph, paths[p].first);
      if (moved == 0 || static_cast<int64_t>(c.size()) != view->out_channels()) continue;
      OCTET_RETURN_IF_ERROR(move_on(editor, paths[p], c));
      channels += moved;
      ++step.changed;
    }
  }
  OCTET_RETURN_IF_ERROR(editor.finish());
  step.summary = "a part of the bias of " + std::to_string(channels) + " channels in " +
                 std::to_string(step.changed) + " layers moved to the layers behind them";
  return step;
}

}  // namespace octet::repair
