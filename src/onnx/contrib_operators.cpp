#include "onnx/contrib_operators.h"

#include <algorithm>

#include "base/text.h"
#include "graph/verify.h"
#include "onnx/contrib_rules.h"
#include "onnx/schema.h"

namespace octet {
namespace {

constexpr const char* kContribDomain = "com.microsoft";

const ContribRule* find_rule(const Node& node) {
  for (const auto rules : {quantized_contrib_rules(), fused_contrib_rules()})
    for (const ContribRule& rule : rules)
      if (rule.op.op_type == node.op_type) return &rule;
  return nullptr;
}

Status unknown_operator(const Node& node) {
  std::vector<std::string> names;
  for (const auto rules : {quantized_contrib_rules(), fused_contrib_rules()})
    for (const ContribRule& rule : rules) names.emplace_back(rule.op.op_type);
  return unsupported("Octet does not know this operator of the domain com.microsoft." +
                     did_you_mean(node.op_type, names));
}

Status rewrite(UpgradeContext& context, Node& node) {
  const ContribRule* rule = find_rule(node);
  if (rule == nullptr) return unknown_operator(node);
  OCTET_RETURN_IF_ERROR(verify_form(node, rule->op));
  const size_t required = static_cast<size_t>(rule->op.min_inputs);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const bool optional = i >= 32 ? false : ((rule->optional >> i) & 1) != 0;
    if (node.inputs[i] == kNoValue && !optional)
      return data_corrupt("input " + std::to_string(i) + (i < required ? " is required but missing" : " is missing"));
  }
  if (node.outputs[0] == kNoValue) return data_corrupt("output 0 is required but missing");
  node.domain.clear();
  return rule->apply(context, node);
}

}  // namespace

ValueId put_before(UpgradeContext& context, const Node& node, const std::string& what, std::string op_type,
                   std::vector<ValueId> inputs, Attributes attributes) {
  Node made = context.make_node(node, what, std::move(op_type), std::move(inputs));
  made.attributes = std::move(attributes);
  const ValueId result = made.outputs[0];
  context.before.push_back(std::move(made));
  return result;
}

void put_after(UpgradeContext& context, Node& node, const std::string& what, std::string op_type,
               std::vector<ValueId> more_inputs, Attributes attributes) {
  Node next = context.make_node(node, what, std::move(op_type), std::move(more_inputs));
  next.attributes = std::move(attributes);
  Node& last = context.after.empty() ? node : context.after.back();
  next.inputs.insert(next.inputs.begin(), next.outputs[0]);
  std::swap(next.outputs, last.outputs);
  context.after.push_back(std::move(next));
}

Result<int64_t> rank_of(UpgradeContext& context, ValueId id, const std::string& purpose) {
  std::optional<Shape> shape = context.graph.value(id).shape;
  if (!shape) {
    context.invalidate();
    shape = context.shape_of(id);
  }
  if (shape) return static_cast<int64_t>(shape->size());
  return unsupported("with " + purpose + " the number of dimensions of '" + context.graph.value(id).name +
                     "' must be known; give the network's inputs shapes");
}

Status rewrite_contrib_operators(Graph& graph) {
  const bool any = std::any_of(graph.nodes.begin(), graph.nodes.end(),
                               [](const Node& node) { return node.domain == kContribDomain; });
  if (!any) return Status::ok();
  UpgradeContext context(graph);
  // The graph grows node by node, so that shapes can be inferred up to the one at hand.
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    if (node.domain == kContribDomain) OCTET_RETURN_IF_ERROR(rewrite(context, node).at(describe(node)));
    std::move(context.before.begin(), context.before.end(), std::back_inserter(graph.nodes));
    graph.nodes.push_back(std::move(node));
    std::move(context.after.begin(), context.after.end(), std::back_inserter(graph.nodes));
    context.before.clear();
    context.after.clear();
  }
  return Status::ok();
}

}  // namespace octet
