#include "passes/graph_editor.h"

#include <algorithm>
#include <cassert>

namespace octet {

GraphEditor::GraphEditor(Graph& graph) : graph_(graph) {
  grow();
  for (ValueId id : graph.outputs) is_output_[static_cast<size_t>(id)] = true;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    for (ValueId out : node.outputs)
      if (out != kNoValue) producer_[static_cast<size_t>(out)] = static_cast<int64_t>(n);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (node.inputs[i] != kNoValue) uses_[static_cast<size_t>(node.inputs[i])].push_back({n, i});
  }
}

void GraphEditor::grow() {
  producer_.resize(graph_.value_count(), -1);
  uses_.resize(graph_.value_count());
  is_output_.resize(graph_.value_count(), false);
  removed_.resize(graph_.nodes.size(), false);
}

std::optional<size_t> GraphEditor::private_producer(ValueId id) const {
  if (id == kNoValue || producer(id) < 0 || is_output(id) || use_count(id) != 1) return std::nullopt;
  return static_cast<size_t>(producer(id));
}

void GraphEditor::drop_use(ValueId id, size_t node, size_t input) {
  if (id == kNoValue) return;
  auto& uses = uses_[static_cast<size_t>(id)];
  std::erase_if(uses, [&](const GraphIndex::Use& use) { return use.node == node && use.input == input; });
}

void GraphEditor::set_input(size_t node, size_t input, ValueId id) {
  std::vector<ValueId>& inputs = graph_.nodes[node].inputs;
  if (inputs.size() <= input) inputs.resize(input + 1, kNoValue);
  drop_use(inputs[input], node, input);
  inputs[input] = id;
  if (id != kNoValue) uses_[static_cast<size_t>(id)].push_back({node, input});
}

void GraphEditor::set_constant(size_t node, size_t input, Tensor tensor, const std::string& name_hint) {
  const Node& n = graph_.nodes[node];
  if (n.has_input(input)) {
    const ValueId id = n.inputs[input];
    if (graph_.is_constant(id) && use_count(id) == 1 && !is_output(id)) {
      Value& value = graph_.value(id);
      value.dtype = tensor.dtype();
      value.shape = static_shape(tensor.dims());
      value.constant = std::move(tensor);
      return;
    }
  }
  const ValueId fresh = graph_.add_constant(name_hint, std::move(tensor));
  grow();
  set_input(node, input, fresh);
}

void GraphEditor::fold_output(ValueId id, Tensor tensor) {
  Value& value = graph_.value(id);
  value.dtype = tensor.dtype();
  value.shape = static_shape(tensor.dims());
  value.constant = std::move(tensor);
  producer_[static_cast<size_t>(id)] = -1;
}

bool GraphEditor::can_substitute(ValueId value, ValueId by) const {
  return !is_output(value) || (!is_output(by) && producer(by) >= 0);
}

void GraphEditor::move_uses(ValueId from, ValueId to) {
  auto& source = uses_[static_cast<size_t>(from)];
  auto& target = uses_[static_cast<size_t>(to)];
  for (const GraphIndex::Use& use : source) {
    graph_.nodes[use.node].inputs[use.input] = to;
    target.push_back(use);
  }
  source.clear();
}

void GraphEditor::substitute(ValueId value, ValueId by) {
  assert(can_substitute(value, by));
  if (!is_output(value)) {
    move_uses(value, by);
    return;
  }
  const auto maker = static_cast<size_t>(producer(by));
  std::vector<ValueId>& outputs = graph_.nodes[maker].outputs;
  if (const int64_t old = producer(value); old >= 0) {
    std::vector<ValueId>& dropped = graph_.nodes[static_cast<size_t>(old)].outputs;
    std::replace(dropped.begin(), dropped.end(), value, kNoValue);
  }
  std::replace(outputs.begin(), outputs.end(), by, value);
  producer_[static_cast<size_t>(value)] = static_cast<int64_t>(maker);
  producer_[static_cast<size_t>(by)] = -1;
  move_uses(by, value);
}

void GraphEditor::absorb(size_t node, size_t next) {
  Node& first = graph_.nodes[node];
  const ValueId result = graph_.nodes[next].outputs[0];
  graph_.nodes[next].outputs[0] = kNoValue;
  remove(next);
  producer_[static_cast<size_t>(first.outputs[0])] = -1;
  first.outputs[0] = result;
  producer_[static_cast<size_t>(result)] = static_cast<int64_t>(node);
}

void GraphEditor::remove(size_t node) {
  const Node& n = graph_.nodes[node];
  for (size_t i = 0; i < n.inputs.size(); ++i) drop_use(n.inputs[i], node, i);
  for (ValueId out : n.outputs)
    if (out != kNoValue && producer(out) == static_cast<int64_t>(node)) producer_[static_cast<size_t>(out)] = -1;
  removed_[node] = true;
}

ValueId GraphEditor::insert(const std::string& op_type, std::vector<ValueId> inputs, const std::string& output_name,
                            Attributes attributes, const std::string& name) {
  const size_t index = graph_.add_node(op_type, std::move(inputs), {output_name}, std::move(attributes), name);
  grow();
  inserted_ = true;
  const Node& n = graph_.nodes[index];
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (n.inputs[i] != kNoValue) uses_[static_cast<size_t>(n.inputs[i])].push_back({index, i});
  producer_[static_cast<size_t>(n.outputs[0])] = static_cast<int64_t>(index);
  return n.outputs[0];
}

Status GraphEditor::finish() {
  graph_.remove_nodes(removed_);
  return inserted_ ? graph_.sort_topologically() : Status::ok();
}

}  // namespace octet
