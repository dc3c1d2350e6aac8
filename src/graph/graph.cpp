#include "octet/graph.h"

#include <algorithm>
#include <cassert>
#include <queue>
#include <unordered_set>

namespace octet {
namespace {

template <class T>
const T* get_attr(const Attributes& attributes, const std::string& key) {
  auto it = attributes.find(key);
  return it == attributes.end() ? nullptr : std::get_if<T>(&it->second);
}

}  // namespace

std::string shape_to_string(const Shape& shape) {
  std::string s = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i != 0) s += ", ";
    const Dim& d = shape[i];
    if (!d.is_known()) s += "?";
    else if (d.symbol.empty()) s += std::to_string(d.coefficient);
    else s += d.coefficient == 1 ? d.symbol : std::to_string(d.coefficient) + "*" + d.symbol;
  }
  return s + "]";
}

Shape static_shape(const Dims& dims) {
  Shape shape;
  for (int64_t d : dims) shape.push_back(Dim::of(d));
  return shape;
}

bool is_static(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& d) { return d.is_static(); });
}

Dims to_dims(const Shape& shape) {
  assert(is_static(shape));
  Dims dims;
  for (const Dim& d : shape) dims.push_back(d.coefficient);
  return dims;
}

int64_t Node::attr_int(const std::string& key, int64_t fallback) const {
  const auto* v = get_attr<int64_t>(attributes, key);
  return v != nullptr ? *v : fallback;
}
float Node::attr_float(const std::string& key, float fallback) const {
  const auto* v = get_attr<float>(attributes, key);
  return v != nullptr ? *v : fallback;
}
std::string Node::attr_string(const std::string& key, const std::string& fallback) const {
  const auto* v = get_attr<std::string>(attributes, key);
  return v != nullptr ? *v : fallback;
}
std::vector<int64_t> Node::attr_ints(const std::string& key, std::vector<int64_t> fallback) const {
  const auto* v = get_attr<std::vector<int64_t>>(attributes, key);
  return v != nullptr ? *v : std::move(fallback);
}
std::vector<float> Node::attr_floats(const std::string& key, std::vector<float> fallback) const {
  const auto* v = get_attr<std::vector<float>>(attributes, key);
  return v != nullptr ? *v : std::move(fallback);
}
const Tensor* Node::attr_tensor(const std::string& key) const { return get_attr<Tensor>(attributes, key); }

std::string Graph::unique_value_name(const std::string& hint) const {
  const std::string base = hint.empty() ? "value" : hint;
  if (by_name_.count(base) == 0) return base;
  for (size_t i = 1;; ++i) {
    std::string candidate = base + "_" + std::to_string(i);
    if (by_name_.count(candidate) == 0) return candidate;
  }
}

std::string Graph::unique_node_name(const std::string& hint) const {
  if (!hint.empty() && find_node(hint) == nullptr) return hint;
  std::unordered_set<std::string> taken;
  for (const Node& n : nodes) taken.insert(n.name);
  for (size_t i = 1;; ++i) {
    std::string candidate = (hint.empty() ? "node" : hint) + "_" + std::to_string(i);
    if (taken.count(candidate) == 0) return candidate;
  }
}

ValueId Graph::add_value(std::string name, DType dtype, std::optional<Shape> shape) {
  name = unique_value_name(name);
  const auto id = static_cast<ValueId>(values_.size());
  by_name_.emplace(name, id);
  values_.push_back({std::move(name), dtype, std::move(shape), std::nullopt});
  return id;
}

ValueId Graph::add_constant(std::string name, Tensor tensor) {
  const ValueId id = add_value(std::move(name), tensor.dtype(), static_shape(tensor.dims()));
  value(id).constant = std::move(tensor);
  return id;
}

size_t Graph::add_node(std::string op_type, std::vector<ValueId> node_inputs, std::vector<std::string> output_names,
                       Attributes attributes, std::string node_name) {
  Node node;
  node.name = unique_node_name(node_name.empty() ? op_type : node_name);
  node.op_type = std::move(op_type);
  node.inputs = std::move(node_inputs);
  node.attributes = std::move(attributes);
  for (std::string& output : output_names) node.outputs.push_back(add_value(std::move(output)));
  nodes.push_back(std::move(node));
  return nodes.size() - 1;
}

ValueId Graph::find_value(const std::string& value_name) const {
  auto it = by_name_.find(value_name);
  return it == by_name_.end() ? kNoValue : it->second;
}

const Node* Graph::find_node(const std::string& node_name) const {
  for (const Node& n : nodes)
    if (n.name == node_name) return &n;
  return nullptr;
}

bool Graph::is_output(ValueId id) const { return std::find(outputs.begin(), outputs.end(), id) != outputs.end(); }

void Graph::rename_value(ValueId id, std::string new_name) {
  Value& v = value(id);
  if (v.name == new_name) return;
  by_name_.erase(v.name);
  v.name = unique_value_name(new_name);
  by_name_.emplace(v.name, id);
}

void Graph::replace_uses(ValueId from, ValueId to) {
  for (Node& n : nodes) std::replace(n.inputs.begin(), n.inputs.end(), from, to);
  std::replace(outputs.begin(), outputs.end(), from, to);
}

void Graph::remove_nodes(const std::vector<bool>& flags) {
  assert(flags.size() == nodes.size());
  size_t kept = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (flags[i]) continue;
    if (kept != i) nodes[kept] = std::move(nodes[i]);
    ++kept;
  }
  nodes.resize(kept);
}

void Graph::compact() {
  std::vector<bool> used(values_.size(), false);
  auto mark = [&](const std::vector<ValueId>& ids) {
    for (ValueId id : ids)
      if (id != kNoValue) used[static_cast<size_t>(id)] = true;
  };
  mark(inputs);
  mark(outputs);
  for (const Node& n : nodes) {
    mark(n.inputs);
    mark(n.outputs);
  }
  std::vector<ValueId> renumbered(values_.size(), kNoValue);
  std::vector<Value> kept;
  by_name_.clear();
  for (size_t i = 0; i < values_.size(); ++i) {
    if (!used[i]) continue;
    renumbered[i] = static_cast<ValueId>(kept.size());
    by_name_.emplace(values_[i].name, renumbered[i]);
    kept.push_back(std::move(values_[i]));
  }
  values_ = std::move(kept);
  auto renumber = [&](std::vector<ValueId>& ids) {
    for (ValueId& id : ids)
      if (id != kNoValue) id = renumbered[static_cast<size_t>(id)];
  };
  renumber(inputs);
  renumber(outputs);
  for (Node& n : nodes) {
    renumber(n.inputs);
    renumber(n.outputs);
  }
}

// Kahn's algorithm; among ready nodes the one that stands first in the list goes first, so a sorted graph stays as it is.
Status Graph::sort_topologically() {
  GraphIndex index(*this);
  std::vector<size_t> waiting(nodes.size(), 0);
  for (size_t i = 0; i < nodes.size(); ++i)
    for (ValueId in : nodes[i].inputs)
      if (in != kNoValue && index.producer(in) >= 0) ++waiting[i];
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < nodes.size(); ++i)
    if (waiting[i] == 0) ready.push(i);
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t i = ready.top();
    ready.pop();
    order.push_back(i);
    for (ValueId out : nodes[i].outputs) {
      if (out == kNoValue) continue;
      for (const GraphIndex::Use& use : index.uses(out))
        if (--waiting[use.node] == 0) ready.push(use.node);
    }
  }
  if (order.size() != nodes.size()) {
    for (size_t i = 0; i < nodes.size(); ++i)
      if (waiting[i] != 0)
        return invalid_argument("node '" + nodes[i].name + "' (" + nodes[i].op_type + ") is part of a cycle");
  }
  std::vector<Node> sorted;
  sorted.reserve(nodes.size());
  for (size_t i : order) sorted.push_back(std::move(nodes[i]));
  nodes = std::move(sorted);
  return Status::ok();
}

GraphIndex::GraphIndex(const Graph& graph) : producer_(graph.value_count(), -1), uses_(graph.value_count()) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    for (ValueId out : node.outputs)
      if (out != kNoValue) producer_[static_cast<size_t>(out)] = static_cast<int64_t>(n);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (node.inputs[i] != kNoValue) uses_[static_cast<size_t>(node.inputs[i])].push_back({n, i});
  }
}

}  // namespace octet
