#include "graph/verify.h"

#include <unordered_set>

#include "base/text.h"
#include "graph/op_table.h"

namespace octet {
namespace {

std::string node_place(const Node& node) { return "node '" + node.name + "' (" + node.op_type + ")"; }

bool in_range(const Graph& graph, ValueId id) { return id >= 0 && static_cast<size_t>(id) < graph.value_count(); }

// The kind of what an attribute holds; one case per alternative of Attribute.
AttrType type_of(const Attribute& attribute) {
  struct Visitor {
    AttrType operator()(int64_t) const { return AttrType::kInt; }
    AttrType operator()(float) const { return AttrType::kFloat; }
    AttrType operator()(const std::string&) const { return AttrType::kString; }
    AttrType operator()(const Tensor&) const { return AttrType::kTensor; }
    AttrType operator()(const std::vector<int64_t>&) const { return AttrType::kInts; }
    AttrType operator()(const std::vector<float>&) const { return AttrType::kFloats; }
    AttrType operator()(const std::vector<std::string>&) const { return AttrType::kStrings; }
  };
  return std::visit(Visitor{}, attribute);
}

const char* type_name(AttrType type) {
  switch (type) {
    case AttrType::kInt: return "an integer";
    case AttrType::kFloat: return "a float";
    case AttrType::kString: return "a string";
    case AttrType::kTensor: return "a tensor";
    case AttrType::kInts: return "a list of integers";
    case AttrType::kFloats: return "a list of floats";
    case AttrType::kStrings: return "a list of strings";
  }
  return "unknown";
}

bool is_empty_list(const Attribute& attribute) {
  if (const auto* ints = std::get_if<std::vector<int64_t>>(&attribute)) return ints->empty();
  if (const auto* floats = std::get_if<std::vector<float>>(&attribute)) return floats->empty();
  if (const auto* strings = std::get_if<std::vector<std::string>>(&attribute)) return strings->empty();
  return false;
}

bool is_list(AttrType type) {
  return type == AttrType::kInts || type == AttrType::kFloats || type == AttrType::kStrings;
}

Status check_attributes(const Node& node, const OpInfo& op) {
  for (const auto& [name, attribute] : node.attributes) {
    const AttrInfo* known = nullptr;
    for (const AttrInfo& info : op.attributes)
      if (info.name == name) known = &info;
    if (known == nullptr) {
      std::vector<std::string> candidates;
      for (const AttrInfo& info : op.attributes) candidates.emplace_back(info.name);
      return unsupported("the operator has no attribute '" + name + "'." + did_you_mean(name, candidates));
    }
    const AttrType type = type_of(attribute);
    // Some exporters write an empty list with the type of another list; it means the same.
    const bool same = type == known->type || (is_empty_list(attribute) && is_list(known->type));
    if (!same)
      return data_corrupt("attribute '" + name + "' must be " + type_name(known->type) + ", but it is " +
                          type_name(type));
  }
  return Status::ok();
}

std::string count_range(int from, int to) {
  if (to < 0) return std::to_string(from) + " or more";
  return from == to ? std::to_string(from) : std::to_string(from) + " to " + std::to_string(to);
}

Status check_counts(const Node& node, const OpInfo& op) {
  const auto n_in = static_cast<int>(std::min<size_t>(node.inputs.size(), INT32_MAX));
  const auto n_out = static_cast<int>(std::min<size_t>(node.outputs.size(), INT32_MAX));
  if (n_in < op.min_inputs || (op.max_inputs >= 0 && n_in > op.max_inputs))
    return data_corrupt("it has " + std::to_string(n_in) + " inputs, but the operator takes " +
                        count_range(op.min_inputs, op.max_inputs));
  if (n_out < op.min_outputs || (op.max_outputs >= 0 && n_out > op.max_outputs))
    return data_corrupt("it has " + std::to_string(n_out) + " outputs, but the operator gives " +
                        count_range(op.min_outputs, op.max_outputs));
  return Status::ok();
}

// Walks the graph in order and remembers what is available so far.
class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), available_(graph.value_count(), false) {}

  Status run() {
    OCTET_RETURN_IF_ERROR(check_values());
    OCTET_RETURN_IF_ERROR(check_inputs());
    std::unordered_set<std::string> node_names;
    for (const Node& node : graph_.nodes) {
      if (node.name.empty()) return data_corrupt("a node of type " + node.op_type + " has no name");
      if (!node_names.insert(node.name).second)
        return data_corrupt("the node name '" + node.name + "' is used twice");
      OCTET_RETURN_IF_ERROR(check_node(node).at(node_place(node)));
    }
    return check_outputs();
  }

 private:
  Status check_values() {
    std::unordered_set<std::string> names;
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      const Value& v = graph_.value(static_cast<ValueId>(i));
      if (v.name.empty()) return data_corrupt("value number " + std::to_string(i) + " has no name");
      if (!names.insert(v.name).second) return data_corrupt("the value name '" + v.name + "' is used twice");
      if (!v.constant) continue;
      if (!v.constant->defined()) return data_corrupt("the constant '" + v.name + "' holds no tensor");
      OCTET_RETURN_IF_ERROR(check_constant(v));
      available_[i] = true;
    }
    return Status::ok();
  }

  static Status check_constant(const Value& v) {
    if (v.dtype != DType::kUndefined && v.dtype != v.constant->dtype())
      return data_corrupt("the constant '" + v.name + "' is declared " + dtype_name(v.dtype) + " but holds " +
                          dtype_name(v.constant->dtype()));
    if (!v.shape) return Status::ok();
    const Dims& dims = v.constant->dims();
    bool same = v.shape->size() == dims.size();
    for (size_t i = 0; same && i < dims.size(); ++i) {
      const Dim& d = (*v.shape)[i];
      same = !d.is_static() || d.coefficient == dims[i];
    }
    if (same) return Status::ok();
    return data_corrupt("the constant '" + v.name + "' is declared " + shape_to_string(*v.shape) + " but holds " +
                        dims_to_string(dims));
  }

  Status check_inputs() {
    for (ValueId id : graph_.inputs) {
      if (!in_range(graph_, id))
        return data_corrupt("a graph input refers to value " + std::to_string(id) + ", which does not exist");
      const Value& v = graph_.value(id);
      if (v.constant) return data_corrupt("the graph input '" + v.name + "' is also a constant");
      if (available_[static_cast<size_t>(id)])
        return data_corrupt("the graph input '" + v.name + "' is listed twice");
      available_[static_cast<size_t>(id)] = true;
    }
    return Status::ok();
  }

  Status check_node(const Node& node) {
    const OpInfo* op = find_op(node.domain, node.op_type);
    if (op == nullptr) return unknown_op(node);
    OCTET_RETURN_IF_ERROR(check_counts(node, *op));
    for (size_t i = 0; i < node.inputs.size(); ++i) OCTET_RETURN_IF_ERROR(check_node_input(node, *op, i));
    for (size_t i = 0; i < node.outputs.size(); ++i) OCTET_RETURN_IF_ERROR(check_node_output(node, *op, i));
    return check_attributes(node, *op);
  }

  static Status unknown_op(const Node& node) {
    if (!node.domain.empty() && node.domain != "ai.onnx")
      return unsupported("Octet does not know operators of the domain '" + node.domain + "'");
    std::vector<std::string> names;
    for (const OpInfo& op : all_ops()) names.emplace_back(op.op_type);
    return unsupported("Octet does not know this operator." + did_you_mean(node.op_type, names));
  }

  Status check_node_input(const Node& node, const OpInfo& op, size_t i) const {
    const ValueId id = node.inputs[i];
    if (id == kNoValue) {
      if (op.max_inputs >= 0 && i >= static_cast<size_t>(op.min_inputs)) return Status::ok();
      return data_corrupt("input " + std::to_string(i) + " is required but missing");
    }
    if (!in_range(graph_, id))
      return data_corrupt("input " + std::to_string(i) + " refers to value " + std::to_string(id) +
                          ", which does not exist");
    if (available_[static_cast<size_t>(id)]) return Status::ok();
    return data_corrupt("it reads '" + graph_.value(id).name +
                        "', which no earlier node, graph input or constant provides");
  }

  Status check_node_output(const Node& node, const OpInfo& op, size_t i) {
    const ValueId id = node.outputs[i];
    if (id == kNoValue) {
      if (op.max_outputs >= 0 && i >= static_cast<size_t>(op.min_outputs)) return Status::ok();
      return data_corrupt("output " + std::to_string(i) + " is required but missing");
    }
    if (!in_range(graph_, id))
      return data_corrupt("output " + std::to_string(i) + " refers to value " + std::to_string(id) +
                          ", which does not exist");
    const Value& v = graph_.value(id);
    if (available_[static_cast<size_t>(id)])
      return data_corrupt("it produces '" + v.name +
                          "', which is already a constant, a graph input or another output");
    available_[static_cast<size_t>(id)] = true;
    return Status::ok();
  }

  Status check_outputs() const {
    if (graph_.outputs.empty()) return data_corrupt("the graph has no outputs");
    for (ValueId id : graph_.outputs) {
      if (!in_range(graph_, id))
        return data_corrupt("a graph output refers to value " + std::to_string(id) + ", which does not exist");
      if (!available_[static_cast<size_t>(id)])
        return data_corrupt("the graph output '" + graph_.value(id).name + "' is never produced");
    }
    return Status::ok();
  }

  const Graph& graph_;
  std::vector<bool> available_;
};

}  // namespace

Status verify_form(const Node& node, const OpInfo& op) {
  OCTET_RETURN_IF_ERROR(check_counts(node, op));
  return check_attributes(node, op);
}

Status verify(const Graph& graph) { return Verifier(graph).run(); }

}  // namespace octet
