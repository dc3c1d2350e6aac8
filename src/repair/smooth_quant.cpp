// SmoothQuant: Xiao et al. 2022, arXiv 2211.10438.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "passes/constant_values.h"
#include "passes/fusion_patterns.h"
#include "repair/channel_sums.h"
#include "repair/steps.h"
#include "repair/weight_view.h"

namespace octet::repair {
namespace {

// A normalization whose scale and bias can take factors over, and the matrices that read its result.
struct Site {
  size_t node = 0;  // for messages: the node that makes the result
  ValueId output = kNoValue;
  struct Factor {
    size_t node, input;
  };
  std::vector<Factor> factors;  // constants that are to be divided: scale and bias
  std::vector<size_t> readers;
  int64_t channels = 0;
};

// Where the constant is an input of one of the nodes.
std::optional<Site::Factor> input_of(const Graph& graph, const std::vector<size_t>& nodes, ValueId id) {
  for (size_t n : nodes)
    for (size_t k = 0; k < graph.nodes[n].inputs.size(); ++k)
      if (graph.nodes[n].inputs[k] == id) return Site::Factor{n, k};
  return std::nullopt;
}

// Why the normalization cannot be smoothed; "" fills the site.
std::string fill(const Graph& graph, const GraphIndex& index, const LayerNormMatch& norm, Site* site) {
  site->node = norm.nodes.back();
  site->output = norm.output;
  if (graph.is_output(norm.output)) return "its result is an output of the network";
  if (norm.scale == kNoValue || !graph.is_constant(norm.scale)) return "it has no constant scale";
  site->channels = graph.value(norm.scale).constant->numel();
  for (ValueId id : {norm.scale, norm.bias}) {
    if (id == kNoValue) continue;
    const Tensor* t = graph.is_constant(id) ? &*graph.value(id).constant : nullptr;
    const bool usable = t != nullptr && t->dtype() == DType::kFloat32 && t->numel() == site->channels &&
                        t->rank() > 0 && t->dim(-1) == site->channels;
    const auto place = input_of(graph, norm.nodes, id);
    if (!usable || !place) return "its scale and bias are not constants along the last axis";
    site->factors.push_back(*place);
  }
  const auto& uses = index.uses(norm.output);
  for (const GraphIndex::Use& use : uses) {
    const Node& reader = graph.nodes[use.node];
    const auto view = WeightView::of(graph, use.node);
    const bool matrix = reader.is("MatMul") || reader.is("Gemm");
    if (use.input != 0 || !matrix || !view || view->in_channels() != site->channels)
      return "'" + reader.name + "' (" + reader.op_type +
             ") reads its result, which is no matrix with constant weights";
    site->readers.push_back(use.node);
  }
  return site->readers.empty() ? "nothing reads its result" : "";
}

// Equation 4: s_j = max|X_j|^alpha / max|W_j|^(1 - alpha).
std::vector<double> factors_of(const Graph& graph, const Site& site, const std::vector<double>& x_max, double alpha) {
  std::vector<double> w_max(x_max.size(), 0), s(x_max.size(), 1);
  for (size_t r : site.readers) {
    const WeightView view = *WeightView::of(graph, r);
    const float* w = graph.value(view.weight()).constant->data<float>();
    for (int64_t e = 0; e < view.numel(); ++e) {
      double& most = w_max[static_cast<size_t>(view.in_of(e))];
      most = std::max(most, static_cast<double>(std::fabs(w[e])));
    }
  }
  for (size_t j = 0; j < s.size(); ++j)
    if (x_max[j] > 0 && w_max[j] > 0)
      s[j] = std::clamp(std::pow(x_max[j], alpha) / std::pow(w_max[j], 1 - alpha), 0x1p-20, 0x1p20);
  return s;
}

Status scale_constant(GraphEditor& editor, size_t node, size_t input, const std::vector<double>& factor_of_element) {
  const Graph& graph = editor.graph();
  const ValueId id = editor.node(node).inputs[input];
  const std::string name = graph.value(id).name;
  std::vector<double> values = *to_doubles(*graph.value(id).constant);
  for (size_t e = 0; e < values.size(); ++e) values[e] *= factor_of_element[e];
  auto t = from_doubles(DType::kFloat32, graph.value(id).constant->dims(), values);
  if (!t) return invalid_argument("'" + name + "' is not finite after SmoothQuant");
  editor.set_constant(node, input, std::move(*t), name);
  return Status::ok();
}

Status smooth(GraphEditor& editor, const Site& site, const std::vector<double>& s) {
  std::vector<double> inverse;
  for (double x : s) inverse.push_back(1 / x);
  for (const Site::Factor& f : site.factors) OCTET_RETURN_IF_ERROR(scale_constant(editor, f.node, f.input, inverse));
  for (size_t r : site.readers) {
    const WeightView view = *WeightView::of(editor.graph(), r);
    std::vector<double> by(static_cast<size_t>(view.numel()));
    for (int64_t e = 0; e < view.numel(); ++e) by[static_cast<size_t>(e)] = s[static_cast<size_t>(view.in_of(e))];
    OCTET_RETURN_IF_ERROR(scale_constant(editor, r, 1, by));
  }
  return Status::ok();
}

std::vector<Site> find_sites(const Graph& graph, RepairStep* step) {
  const GraphIndex index(graph);
  std::vector<Site> sites;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto norm = match_layer_norm(graph, index, i);
    if (!norm) continue;
    Site site;
    const std::string why = fill(graph, index, *norm, &site);
    if (why.empty()) sites.push_back(std::move(site));
    else step->skipped.push_back(quoted_node(graph.nodes[site.node]) + ": " + why);
  }
  return sites;
}

}  // namespace

Result<RepairStep> smooth_quant(Graph& graph, const SmoothQuantOptions& options, const RepairHost& host) {
  RepairStep step;
  step.method = "smooth_quant";
  const std::vector<Site> sites = find_sites(graph, &step);
  double before = 0, after = 0;
  if (!sites.empty()) {
    std::vector<ChannelTap> taps;
    for (const Site& site : sites) taps.push_back({graph.value(site.output).name, -1});
    OCTET_ASSIGN(const std::vector<ChannelSums> sums, channel_sums(graph, taps, host, "measuring activations"));
    GraphEditor editor(graph);
    for (size_t i = 0; i < sites.size(); ++i) {
      if (static_cast<int64_t>(sums[i].abs_max.size()) != sites[i].channels) continue;
      const std::vector<double> s = factors_of(graph, sites[i], sums[i].abs_max, options.alpha);
      double old_max = 0, new_max = 0;
      for (size_t j = 0; j < s.size(); ++j) {
        old_max = std::max(old_max, sums[i].abs_max[j]);
        new_max = std::max(new_max, sums[i].abs_max[j] / s[j]);
      }
      before = std::max(before, old_max);
      after = std::max(after, new_max);
      OCTET_RETURN_IF_ERROR(smooth(editor, sites[i], s));
      ++step.changed;
    }
    OCTET_RETURN_IF_ERROR(editor.finish());
  }
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, "%.3g to %.3g", before, after);
  step.summary = std::to_string(step.changed) + " normalizations gave factors to the matrices behind them" +
                 (step.changed > 0 ? "; the largest activation went from " + std::string(numbers) : "");
  return step;
}

}  // namespace octet::repair
