#include "onnx/opset_upgrade.h"

#include <algorithm>

#include "arith/float_formats.h"
#include "graph/shape_inference.h"
#include "onnx/opset_rules.h"
#include "onnx/schema.h"

namespace octet {
namespace {

// Nodes that a rule put around node `index`.
struct Insertion {
  size_t index;
  std::vector<Node> before;
  std::vector<Node> after;
};

void splice(Graph& graph, std::vector<Insertion>& insertions) {
  if (insertions.empty()) return;
  std::vector<Node> nodes;
  auto next = insertions.begin();
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const bool here = next != insertions.end() && next->index == i;
    if (here) std::move(next->before.begin(), next->before.end(), std::back_inserter(nodes));
    nodes.push_back(std::move(graph.nodes[i]));
    if (!here) continue;
    std::move(next->after.begin(), next->after.end(), std::back_inserter(nodes));
    ++next;
  }
  graph.nodes = std::move(nodes);
}

Status apply_rules(UpgradeContext& context, std::span<const OpsetRule> rules, int version, bool needs_shapes) {
  Graph& graph = context.graph;
  std::vector<Insertion> insertions;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const OpsetRule& rule : rules) {
      Node& node = graph.nodes[i];
      if (rule.since != version || rule.needs_shapes != needs_shapes || !node.is(rule.op_type)) continue;
      OCTET_RETURN_IF_ERROR(rule.apply(context, node).at(describe(node)));
      if (!context.before.empty() || !context.after.empty())
        insertions.push_back({i, std::move(context.before), std::move(context.after)});
      context.before.clear();
      context.after.clear();
      break;
    }
  }
  splice(graph, insertions);
  return Status::ok();
}

}  // namespace

UpgradeContext::UpgradeContext(Graph& g) : graph(g) {
  for (const Node& node : g.nodes) node_names_.insert(node.name);
}

ValueId UpgradeContext::add_ints(const Node& node, const std::string& what, const std::vector<int64_t>& values) {
  return graph.add_constant(node.name + "_" + what,
                            Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values));
}

ValueId UpgradeContext::add_floats(const Node& node, const std::string& what, const std::vector<float>& values) {
  return graph.add_constant(node.name + "_" + what,
                            Tensor::from<float>({static_cast<int64_t>(values.size())}, values));
}

Result<ValueId> UpgradeContext::add_scalar(const Node& node, const std::string& what, float value, DType dtype) {
  Tensor tensor = Tensor::scalar(value);
  if (dtype != DType::kUndefined && dtype != DType::kFloat32) {
    OCTET_ASSIGN(tensor, cast_tensor(tensor, dtype));
  }
  return graph.add_constant(node.name + "_" + what, std::move(tensor));
}

Node UpgradeContext::make_node(const Node& like, const std::string& what, std::string op_type,
                               std::vector<ValueId> inputs) {
  Node node;
  node.name = like.name + "_" + what;
  for (int i = 1; !node_names_.insert(node.name).second; ++i) node.name = like.name + "_" + what + std::to_string(i);
  node.op_type = std::move(op_type);
  node.inputs = std::move(inputs);
  node.outputs.push_back(graph.add_value(node.name + "_output"));
  return node;
}

const Value& UpgradeContext::inferred_value(ValueId id) {
  const bool stale = !inferred_ || static_cast<size_t>(id) >= inferred_->value_count();
  if (stale) {
    inferred_ = graph;
    (void)infer_shapes(*inferred_);  // what it finds before a contradiction is still of use; verify() tells the rest
  }
  return inferred_->value(id);
}

DType UpgradeContext::dtype_of(ValueId id) {
  if (id == kNoValue) return DType::kUndefined;
  if (graph.value(id).dtype != DType::kUndefined) return graph.value(id).dtype;
  return inferred_value(id).dtype;
}

std::optional<Shape> UpgradeContext::shape_of(ValueId id) {
  if (id == kNoValue) return std::nullopt;
  return inferred_value(id).shape;
}

bool UpgradeContext::is_read(ValueId id) {
  if (read_.empty()) {
    read_.resize(graph.value_count(), false);
    for (const Node& node : graph.nodes)
      for (ValueId in : node.inputs)
        if (in != kNoValue) read_[static_cast<size_t>(in)] = true;
    for (ValueId out : graph.outputs) read_[static_cast<size_t>(out)] = true;
  }
  return id != kNoValue && static_cast<size_t>(id) < read_.size() && read_[static_cast<size_t>(id)];
}

void set_input(Node& node, size_t i, ValueId id) {
  if (node.inputs.size() <= i) node.inputs.resize(i + 1, kNoValue);
  node.inputs[i] = id;
}

Status attr_to_input(UpgradeContext& context, Node& node, const std::string& attribute, size_t i) {
  auto it = node.attributes.find(attribute);
  if (it == node.attributes.end()) return Status::ok();
  const auto* values = std::get_if<std::vector<int64_t>>(&it->second);
  if (values == nullptr) return data_corrupt("attribute '" + attribute + "' must be a list of integers");
  if (!values->empty()) set_input(node, i, context.add_ints(node, attribute, *values));
  node.attributes.erase(it);
  return Status::ok();
}

Status upgrade_opset(Graph& graph, int target) {
  if (target > kNewestOpset)
    return invalid_argument("opset " + std::to_string(target) + " is newer than " + std::to_string(kNewestOpset) +
                            ", the newest that Octet knows");
  UpgradeContext context(graph);
  for (int version = graph.opset + 1; version <= target; ++version) {
    const auto rules = version <= 13 ? rules_up_to_13() : rules_up_to_22();
    OCTET_RETURN_IF_ERROR(apply_rules(context, rules, version, false));
    graph.opset = version;
    context.invalidate();
    OCTET_RETURN_IF_ERROR(apply_rules(context, rules, version, true));
    context.invalidate();
  }
  return Status::ok();
}

}  // namespace octet
