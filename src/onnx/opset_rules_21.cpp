// What changed between opset 13 and opset 22.
//
// Nothing to do for the many operators that only gained element types or attributes whose default is the old meaning
// (Reshape, Pad, Resize, AveragePool, Cast, Q/DQ, ...).
#include <algorithm>

#include "onnx/opset_rules.h"

namespace octet {
namespace {

// Running statistics became outputs of the training mode only.
Status batch_norm_9_to_14(UpgradeContext& context, Node& node) {
  for (size_t i = 1; i < node.outputs.size(); ++i)
    if (context.is_read(node.outputs[i])) return unsupported("batch normalization in training mode is not supported");
  node.outputs.resize(std::min<size_t>(node.outputs.size(), 1));
  return Status::ok();
}

Status axes_to_input(UpgradeContext& context, Node& node) { return attr_to_input(context, node, "axes", 1); }

// Without sizes the number of parts must be said.
Status split_13_to_18(UpgradeContext&, Node& node) {
  if (!node.has_input(1)) node.attributes["num_outputs"] = static_cast<int64_t>(node.outputs.size());
  return Status::ok();
}

// One element of scale and bias per group became one per channel: repeat each for the channels of its group.
Status per_channel(UpgradeContext& context, Node& node, size_t input, int64_t channels, const std::string& what) {
  const ValueId id = node.inputs[input];
  const std::optional<Shape> shape = context.shape_of(id);
  const int64_t groups = node.attr_int("num_groups", 0);
  if (groups <= 0 || channels % groups != 0)
    return data_corrupt(std::to_string(channels) + " channels do not divide into " + std::to_string(groups) +
                        " groups");
  if (!shape || shape->size() != 1 || (*shape)[0] != Dim::of(groups))
    return data_corrupt(what + " must have one element per group");
  Node column =
      context.make_node(node, what + "_column", "Unsqueeze", {id, context.add_ints(node, what + "_axes", {1})});
  Node repeated =
      context.make_node(node, what + "_repeat", "Expand",
                        {column.outputs[0], context.add_ints(node, what + "_shape", {groups, channels / groups})});
  Node flat = context.make_node(node, what + "_flat", "Reshape",
                                {repeated.outputs[0], context.add_ints(node, what + "_flat_shape", {channels})});
  node.inputs[input] = flat.outputs[0];
  for (Node* n : {&column, &repeated, &flat}) context.before.push_back(std::move(*n));
  return Status::ok();
}

Status group_norm_18_to_21(UpgradeContext& context, Node& node) {
  if (node.inputs.size() != 3) return data_corrupt("it must have the inputs X, scale and bias");
  const std::optional<Shape> shape = context.shape_of(node.inputs[0]);
  if (!shape || shape->size() < 2 || !(*shape)[1].is_static())
    return unsupported("the number of channels must be known to bring group normalization to opset 21");
  const int64_t channels = (*shape)[1].coefficient;
  OCTET_RETURN_IF_ERROR(per_channel(context, node, 1, channels, "scale"));
  return per_channel(context, node, 2, channels, "bias");
}

constexpr OpsetRule kRules[] = {
    {"BatchNormalization", 14, batch_norm_9_to_14},
    {"ReduceL1", 18, axes_to_input},
    {"ReduceL2", 18, axes_to_input},
    {"ReduceLogSum", 18, axes_to_input},
    {"ReduceLogSumExp", 18, axes_to_input},
    {"ReduceMax", 18, axes_to_input},
    {"ReduceMean", 18, axes_to_input},
    {"ReduceMin", 18, axes_to_input},
    {"ReduceProd", 18, axes_to_input},
    {"ReduceSumSquare", 18, axes_to_input},
    {"Split", 18, split_13_to_18},
    {"GroupNormalization", 21, group_norm_18_to_21},
};

}  // namespace

std::span<const OpsetRule> rules_up_to_22() { return kRules; }

}  // namespace octet
