// Cross-layer equalization: Nagel et al. 2019, arXiv 1906.04721, section 4.1.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "passes/constant_values.h"
#include "repair/channel_path.h"
#include "repair/channel_sums.h"
#include "repair/steps.h"
#include "repair/weight_view.h"

namespace octet::repair {
namespace {

// Weights and biases of the layers on the paths, in double until the end.
struct Layer {
  WeightView view;
  std::vector<double> weight;
  std::optional<BiasPlace> place;
  std::vector<double> bias;
  bool has_bias = false;
};

std::vector<double> range_of_outputs(const Layer& l) {
  std::vector<double> r(static_cast<size_t>(l.view.out_channels()), 0);
  for (int64_t e = 0; e < l.view.numel(); ++e) {
    double& most = r[static_cast<size_t>(l.view.out_of(e))];
    most = std::max(most, std::fabs(l.weight[static_cast<size_t>(e)]));
  }
  return r;
}

void widen_by_inputs(const Layer& l, std::vector<double>* r) {
  for (int64_t e = 0; e < l.view.numel(); ++e) {
    double& most = (*r)[static_cast<size_t>(l.view.in_of(e))];
    most = std::max(most, std::fabs(l.weight[static_cast<size_t>(e)]));
  }
}

class Equalizer {
 public:
  Equalizer(Graph& graph, RepairStep* step) : graph_(graph), editor_(graph), step_(step) {}

  void add(const ChannelPath& path) {
    std::vector<size_t> nodes = path.readers;
    nodes.push_back(path.first);
    for (size_t n : nodes) {
      if (layers_.count(n) != 0) continue;
      const auto view = WeightView::of(graph_, n);
      Layer l{*view, *to_doubles(*graph_.value(view->weight()).constant), {}, {}, false};
      l.place = bias_place(editor_, *view);
      l.has_bias = l.place && l.place->exists;
      if (l.has_bias) l.bias = read_bias(editor_, *view, *l.place);
      layers_.emplace(n, std::move(l));
    }
    // A MatMul without an Add has no bias to scale; any other layer whose bias is not known cannot be scaled.
    const Node& first = graph_.nodes[path.first];
    if (!layers_.at(path.first).place && !first.is("MatMul")) {
      step_->skipped.push_back(quoted_node(first) + ": its bias is not a constant per channel");
      return;
    }
    pairs_.push_back({path, std::vector<double>(static_cast<size_t>(layers_.at(path.first).view.out_channels()), 1)});
  }

  // Rounds over all pairs until no factor moves by more than a thousandth.
  Status run() {
    constexpr int kMostRounds = 100;
    double moved = 1;
    for (int round = 0; round < kMostRounds && moved > 1e-3; ++round) {
      moved = 0;
      for (Pair& pair : pairs_) moved = std::max(moved, balance(pair));
    }
    return write();
  }
  size_t pairs() const { return pairs_.size(); }
  double largest_factor() const {
    double most = 1;
    for (const Pair& p : pairs_)
      for (double s : p.factor) most = std::max({most, s, 1 / s});
    return most;
  }

 private:
  struct Pair {
    ChannelPath path;
    std::vector<double> factor;  // all that the channels were divided by so far
  };

  // Equation 11: s = sqrt(r1 r2) / r2; returns the largest |log2 s|.
  double balance(Pair& pair) {
    Layer& first = layers_.at(pair.path.first);
    const std::vector<double> r1 = range_of_outputs(first);
    std::vector<double> r2(r1.size(), 0);
    for (size_t reader : pair.path.readers) widen_by_inputs(layers_.at(reader), &r2);
    std::vector<double> s(r1.size(), 1);
    double moved = 0;
    for (size_t c = 0; c < s.size(); ++c) {
      if (!(r1[c] > 0) || !(r2[c] > 0)) continue;  // a dead channel has no scale
      constexpr double kMost = 0x1p20;             // far from what float32 weights could lose by a factor
      const double wanted = std::clamp(pair.factor[c] * std::sqrt(r1[c] / r2[c]), 1 / kMost, kMost);
      s[c] = wanted / pair.factor[c];
      pair.factor[c] = wanted;
      moved = std::max(moved, std::fabs(std::log2(s[c])));
    }
    scale(first, s, pair.path.readers);
    return moved;
  }

  void scale(Layer& first, const std::vector<double>& s, const std::vector<size_t>& readers) {
    for (int64_t e = 0; e < first.view.numel(); ++e)
      first.weight[static_cast<size_t>(e)] /= s[static_cast<size_t>(first.view.out_of(e))];
    for (size_t c = 0; first.has_bias && c < s.size(); ++c) first.bias[c] /= s[c];
    for (size_t reader : readers) {
      Layer& l = layers_.at(reader);
      for (int64_t e = 0; e < l.view.numel(); ++e)
        l.weight[static_cast<size_t>(e)] *= s[static_cast<size_t>(l.view.in_of(e))];
    }
  }

  Status write() {
    for (auto& [node, l] : layers_) {
      const std::string name = graph_.value(l.view.weight()).name;
      auto w = from_doubles(DType::kFloat32, graph_.value(l.view.weight()).constant->dims(), l.weight);
      if (!w) return invalid_argument(quoted_node(graph_.nodes[node]) + ": its weights are not finite");
      editor_.set_constant(node, 1, std::move(*w), name);
      if (l.has_bias && !write_bias(editor_, l.view, *l.place, l.bias))
        return invalid_argument(quoted_node(graph_.nodes[node]) + ": its bias is not finite after equalization");
    }
    return editor_.finish();
  }

  Graph& graph_;
  GraphEditor editor_;
  RepairStep* step_;
  std::map<size_t, Layer> layers_;
  std::vector<Pair> pairs_;
};

std::vector<ChannelPath> find_paths(const Graph& graph, RepairStep* step) {
  const GraphIndex index(graph);
  std::vector<ChannelPath> paths;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!WeightView::of(graph, i)) continue;
    auto found = channel_path(graph, index, i);
    if (const auto* path = std::get_if<ChannelPath>(&found)) paths.push_back(*path);
    else step->skipped.push_back(quoted_node(graph.nodes[i]) + ": " + std::get<std::string>(found));
  }
  return paths;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g %%", share * 100);
  return text;
}

// Clips on the paths become Relu where they cut off little. Returns how many did.
Result<int> replace_clips(Graph& graph, const std::vector<ChannelPath>& paths, double max_clipped,
                          const RepairHost& host, double* worst) {
  std::vector<size_t> clips;
  std::vector<ChannelTap> taps;
  for (const ChannelPath& path : paths)
    for (size_t clip : path.clips) {
      clips.push_back(clip);
      taps.push_back({graph.value(graph.nodes[clip].inputs[0]).name, 1, *clip_from_zero(graph, graph.nodes[clip])});
    }
  if (clips.empty()) return 0;
  OCTET_ASSIGN(const std::vector<ChannelSums> sums, channel_sums(graph, taps, host, "measuring clips"));
  int replaced = 0;
  for (size_t i = 0; i < clips.size(); ++i) {
    const double seen = static_cast<double>(sums[i].count) * static_cast<double>(sums[i].sum.size());
    const double share = seen > 0 ? static_cast<double>(sums[i].above) / seen : 1.0;
    if (share > max_clipped) continue;
    Node& node = graph.nodes[clips[i]];
    node.op_type = "Relu";
    node.inputs.resize(1);
    node.attributes.clear();
    *worst = std::max(*worst, share);
    ++replaced;
  }
  return replaced;
}

}  // namespace

Result<RepairStep> equalize_layers(Graph& graph, const EqualizationOptions& options, const RepairHost& host) {
  RepairStep step;
  step.method = "cross_layer_equalization";
  double worst = 0;
  std::vector<ChannelPath> paths = find_paths(graph, &step);
  OCTET_ASSIGN(const int replaced, replace_clips(graph, paths, options.max_clipped, host, &worst));
  if (replaced > 0) {
    step.skipped.clear();
    paths = find_paths(graph, &step);
  }
  Equalizer equalizer(graph, &step);
  for (const ChannelPath& path : paths) {
    if (path.clips.empty()) equalizer.add(path);
    else
      step.skipped.push_back(quoted_node(graph.nodes[path.first]) + ": the Clip '" + graph.nodes[path.clips[0]].name +
                             "' behind it cuts off more than " + percent(options.max_clipped) + " of its values");
  }
  OCTET_RETURN_IF_ERROR(equalizer.run());
  step.changed = static_cast<int64_t>(equalizer.pairs());
  char factor[32];
  std::snprintf(factor, sizeof factor, "%.3g", equalizer.largest_factor());
  step.summary = "the channel ranges of " + std::to_string(step.changed) +
                 " pairs of layers were made equal (factors up to " + factor + ")";
  if (replaced > 0)
    step.summary += "; " + std::to_string(replaced) + " Clip nodes became Relu, which cut off at most " +
                    percent(worst) + " of their values";
  return step;
}

}  // namespace octet::repair
