#include "passes/channel_affine.h"
#include "passes/constant_values.h"
#include "passes/rewrites.h"

namespace octet {
namespace {

// The constant's numbers per output channel, if it broadcasts against the output along the channel axis only.
std::optional<std::vector<double>> per_channel(const Tensor& constant, const WeightedNode& weighted) {
  const int rank = weighted.output_rank;
  if (rank == 0 || constant.rank() > rank || constant.numel() == 0) return std::nullopt;
  for (int i = 0; i < constant.rank(); ++i) {
    const int axis = rank - constant.rank() + i;
    const bool fits = constant.dim(i) == 1 || (axis == weighted.channel_axis && constant.dim(i) == weighted.channels);
    if (!fits) return std::nullopt;
  }
  std::optional<std::vector<double>> values = to_doubles(constant);
  if (values && values->size() == 1) values->resize(static_cast<size_t>(weighted.channels), values->front());
  return values;
}

// `constant_first`: the node is c op x rather than x op c. Division by zero shows up as a number that is not finite,
// and fold_channel_affine refuses it.
std::optional<ChannelAffine> affine_of(const Node& node, std::vector<double> c, bool constant_first) {
  if (node.is("Mul")) return ChannelAffine{std::move(c), {}};
  if (node.is("Add")) return ChannelAffine{{}, std::move(c)};
  if (node.is("Div") && !constant_first) {
    for (double& v : c) v = 1.0 / v;
    return ChannelAffine{std::move(c), {}};
  }
  if (!node.is("Sub")) return std::nullopt;
  if (constant_first) return ChannelAffine{std::vector<double>(c.size(), -1.0), std::move(c)};
  for (double& v : c) v = -v;
  return ChannelAffine{{}, std::move(c)};
}

bool fold_one(GraphEditor& editor, size_t index) {
  const Node& node = editor.node(index);
  if (!node.is("Mul") && !node.is("Add") && !node.is("Sub") && !node.is("Div")) return false;
  if (node.inputs.size() != 2 || node.outputs.size() != 1) return false;
  const bool constant_first = editor.graph().is_constant(node.inputs[0]);
  const Tensor* constant = constant_input(editor.graph(), node, constant_first ? 0 : 1);
  const std::optional<size_t> before = editor.private_producer(node.inputs[constant_first ? 1 : 0]);
  if (constant == nullptr || !before) return false;
  const std::optional<WeightedNode> weighted = weighted_node(editor, *before);
  if (!weighted) return false;
  std::optional<std::vector<double>> numbers = per_channel(*constant, *weighted);
  if (!numbers) return false;
  const std::optional<ChannelAffine> affine = affine_of(node, std::move(*numbers), constant_first);
  if (!affine || !fold_channel_affine(editor, *weighted, *affine)) return false;
  editor.absorb(*before, index);
  return true;
}

}  // namespace

Result<int> fold_mul_add(Graph& graph, const PassOptions&) {
  GraphEditor editor(graph);
  int rewrites = 0;
  for (size_t i = 0; i < editor.node_count(); ++i) rewrites += fold_one(editor, i) ? 1 : 0;
  OCTET_RETURN_IF_ERROR(editor.finish());
  return rewrites;
}

}  // namespace octet
