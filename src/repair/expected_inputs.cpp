#include "repair/expected_inputs.h"

#include <cmath>
#include <limits>

#include "passes/constant_values.h"

namespace octet::repair {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double density(double z) { return std::exp(-0.5 * z * z) / std::sqrt(2 * M_PI); }
double distribution(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// The bounds within which an activation leaves its input as it is.
std::optional<std::pair<double, double>> clamp_of(const Graph& graph, const Node& node) {
  if (node.is("Relu")) return std::pair(0.0, kInfinity);
  if (!node.is("Clip")) return std::nullopt;
  std::pair<double, double> bounds(-kInfinity, kInfinity);
  for (size_t input : {1, 2}) {
    if (!node.has_input(input)) continue;
    const Tensor* t = constant_input(graph, node, input);
    const auto values = t == nullptr ? std::nullopt : to_doubles(*t);
    if (!values || values->size() != 1) return std::nullopt;
    (input == 1 ? bounds.first : bounds.second) = values->front();
  }
  return bounds;
}

bool keeps_means(const Node& node) {
  return node.is("AveragePool") || node.is("GlobalAveragePool") || node.is("Identity") || node.is("Flatten");
}

}  // namespace

// Equation 38 there: the mass at each bound, and the truncated normal between them.
double clipped_normal_mean(double mean, double deviation, double lo, double hi) {
  if (!(deviation > 0)) return std::min(std::max(mean, lo), hi);
  const double a = (lo - mean) / deviation, b = (hi - mean) / deviation;
  const double below = distribution(a), above = distribution(-b);
  double sum = mean * (distribution(b) - below) + deviation * (density(a) - density(b));
  if (std::isfinite(lo)) sum += lo * below;
  if (std::isfinite(hi)) sum += hi * above;
  return sum;
}

namespace {

using Means = std::map<ValueId, std::vector<double>>;

// Of an activation behind batch normalization; empty when the node is none.
std::vector<double> clamped_mean(const Graph& graph, const Node& node,
                                 const std::map<std::string, ChannelMoments>& moments) {
  std::vector<double> mean;
  const auto bounds = clamp_of(graph, node);
  if (!bounds || !node.has_input(0)) return mean;
  const auto before = moments.find(graph.value(node.inputs[0]).name);
  if (before == moments.end()) return mean;
  for (size_t c = 0; c < before->second.mean.size(); ++c)
    mean.push_back(
        clipped_normal_mean(before->second.mean[c], before->second.deviation[c], bounds->first, bounds->second));
  return mean;
}

std::vector<double> carried_mean(const Node& node, const Means& known) {
  const auto of = [&](size_t input) -> const std::vector<double>* {
    const auto it = node.has_input(input) ? known.find(node.inputs[input]) : known.end();
    return it == known.end() ? nullptr : &it->second;
  };
  const std::vector<double>*a = of(0), *b = of(1);
  if (a == nullptr) return {};
  if (keeps_means(node)) return *a;
  if (!node.is("Add") || b == nullptr || a->size() != b->size()) return {};
  std::vector<double> sum = *a;
  for (size_t c = 0; c < sum.size(); ++c) sum[c] += (*b)[c];
  return sum;
}

}  // namespace

std::map<ValueId, std::vector<double>> expected_means(const Graph& graph,
                                                      const std::map<std::string, ChannelMoments>& moments) {
  Means means;
  for (const auto& [name, m] : moments)
    if (const ValueId id = graph.find_value(name); id != kNoValue) means[id] = m.mean;
  for (const Node& node : graph.nodes) {
    if (node.outputs.empty() || node.outputs[0] == kNoValue || means.count(node.outputs[0]) != 0) continue;
    std::vector<double> mean = clamped_mean(graph, node, moments);
    if (mean.empty()) mean = carried_mean(node, means);
    if (!mean.empty()) means[node.outputs[0]] = std::move(mean);
  }
  return means;
}

}  // namespace octet::repair

namespace octet {

std::map<std::string, ChannelMoments> batch_norm_moments(const Graph& graph) {
  std::map<std::string, ChannelMoments> moments;
  for (const Node& node : graph.nodes) {
    if (!node.is("BatchNormalization") || node.outputs.empty() || node.outputs[0] == kNoValue) continue;
    const Tensor *gamma = constant_input(graph, node, 1), *beta = constant_input(graph, node, 2);
    if (gamma == nullptr || beta == nullptr || gamma->numel() != beta->numel()) continue;
    auto deviation = to_doubles(*gamma);
    const auto mean = to_doubles(*beta);
    if (!deviation || !mean) continue;
    for (double& d : *deviation) d = std::fabs(d);
    moments[graph.value(node.outputs[0]).name] = {*mean, *deviation};
  }
  return moments;
}

}  // namespace octet
