#include <cmath>

#include "passes/channel_affine.h"
#include "passes/constant_values.h"
#include "passes/rewrites.h"

namespace octet {
namespace {

// Only the normalized tensor is asked for, statistics are the stored ones, and there is one of each per channel.
bool is_inference_batch_norm(const GraphEditor& editor, const Node& node) {
  if (!node.is("BatchNormalization") || node.inputs.size() != 5 || node.outputs.empty()) return false;
  if (node.outputs[0] == kNoValue || node.attr_int("training_mode", 0) != 0 || node.attr_int("spatial", 1) != 1)
    return false;
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    const ValueId id = node.outputs[i];
    if (id != kNoValue && (editor.use_count(id) != 0 || editor.is_output(id))) return false;
  }
  return true;
}

// Inputs of BatchNormalization: x, scale, bias, mean, variance.
std::optional<ChannelAffine> batch_norm_affine(const Graph& graph, const Node& node, int64_t channels) {
  std::vector<double> parameters[4];
  for (size_t i = 0; i < 4; ++i) {
    const Tensor* tensor = constant_input(graph, node, i + 1);
    if (tensor == nullptr || tensor->numel() != channels) return std::nullopt;
    std::optional<std::vector<double>> values = to_doubles(*tensor);
    if (!values) return std::nullopt;
    parameters[i] = std::move(*values);
  }
  const auto& [scale, bias, mean, variance] = parameters;
  const double epsilon = node.attr_float("epsilon", 1e-5F);
  ChannelAffine affine;
  for (size_t c = 0; c < scale.size(); ++c) {
    const double spread = variance[c] + epsilon;
    if (!(spread > 0.0)) return std::nullopt;
    affine.scale.push_back(scale[c] / std::sqrt(spread));
    affine.shift.push_back(bias[c] - mean[c] * affine.scale[c]);
  }
  return affine;
}

bool fold_one(GraphEditor& editor, size_t index) {
  const Node& node = editor.node(index);
  if (!is_inference_batch_norm(editor, node)) return false;
  const std::optional<size_t> before = editor.private_producer(node.inputs[0]);
  if (!before) return false;
  const std::optional<WeightedNode> weighted = weighted_node(editor, *before);
  // A MatMul of higher rank puts its channels on the last axis, batch normalization on the second.
  if (!weighted || weighted->channel_axis != 1 || weighted->output_rank < 2) return false;
  const std::optional<ChannelAffine> affine = batch_norm_affine(editor.graph(), node, weighted->channels);
  if (!affine || !fold_channel_affine(editor, *weighted, *affine)) return false;
  editor.absorb(*before, index);
  return true;
}

}  // namespace

Result<int> fold_batch_norm(Graph& graph, const PassOptions&) {
  GraphEditor editor(graph);
  int rewrites = 0;
  for (size_t i = 0; i < editor.node_count(); ++i) rewrites += fold_one(editor, i) ? 1 : 0;
  OCTET_RETURN_IF_ERROR(editor.finish());
  return rewrites;
}

}  // namespace octet
