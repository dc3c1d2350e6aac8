#include "quantization/keep_float.h"

#include <set>

#include "passes/fusion_patterns.h"

namespace octet {

std::vector<std::string> keep_float_reasons(const Network& net, const Target& target) {
  std::vector<std::string> reasons(net.graph.nodes.size());
  for (size_t i = 0; i < reasons.size(); ++i) {
    const auto channels = conv_channels(net, i);
    if (channels && channels->in < target.min_channels && channels->out < target.min_channels)
      reasons[i] = "kept in float: " + std::to_string(channels->in) + " channels in and " +
                   std::to_string(channels->out) + " out are fewer than " + std::to_string(target.min_channels) +
                   " on both sides (rule 7)";
    else if (target.keep_gemv_float && is_gemv(net, i))
      reasons[i] = "kept in float: a matrix times a single row is bound by memory, not arithmetic (rule 7)";
  }
  if (!target.keep_box_regression_float) return reasons;
  for (size_t i : box_regression(net))
    reasons[i] = "kept in float: gives the box coordinates of a detector, which 8 bits resolve too coarsely (rule 7)";
  return reasons;
}

std::string plain_float_reason(const Node& node) {
  static const std::set<std::string> kCurves = {"Softmax", "LogSoftmax", "Sigmoid",     "Tanh", "Erf",     "Gelu",
                                                "Exp",     "HardSwish",  "HardSigmoid", "Elu",  "Softplus"};
  static const std::set<std::string> kNorms = {"LayerNormalization", "InstanceNormalization", "GroupNormalization",
                                               "BatchNormalization", "LpNormalization"};
  if (kCurves.count(node.op_type) != 0) return "stays in float: a curve needs more than 8 bits (rule 7)";
  if (kNorms.count(node.op_type) != 0) return "stays in float: a normalisation needs more than 8 bits (rule 7)";
  return "stays in float: the target has no integer " + node.op_type;
}

}  // namespace octet
