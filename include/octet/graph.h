// The network as data: values (tensors by name) and nodes (operators) in topological order.
//
// A Graph is a plain value: copy it, edit it, pass it on. Passes take a Graph& and keep the invariants that
// verify() in graph/verify.h states: unique value names, every input produced earlier, no cycles.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

using ValueId = int32_t;
constexpr ValueId kNoValue = -1;  // an omitted optional input or output

// One dimension: coefficient * symbol. A known size has an empty symbol ({8, ""}); the batch is {1, "N"}; a flattened
// batch of 64-element rows is {64, "N"}; {-1, ""} is not known at all.
struct Dim {
  int64_t coefficient = -1;
  std::string symbol;

  static Dim of(int64_t n) { return {n, {}}; }
  static Dim named(std::string symbol) { return {1, std::move(symbol)}; }
  static Dim unknown() { return {}; }
  bool is_static() const { return symbol.empty() && coefficient >= 0; }
  bool is_known() const { return coefficient >= 0; }  // static or symbolic
  bool operator==(const Dim&) const = default;
};
using Shape = std::vector<Dim>;

std::string shape_to_string(const Shape& shape);  // "[N, 3, 224, 224]", "?" for unknown
Shape static_shape(const Dims& dims);
bool is_static(const Shape& shape);
Dims to_dims(const Shape& shape);  // requires is_static(shape)

struct Value {
  std::string name;
  DType dtype = DType::kUndefined;
  std::optional<Shape> shape;      // absent: even the rank is unknown
  std::optional<Tensor> constant;  // initializer or folded constant
};

using Attribute = std::variant<int64_t, float, std::string, Tensor, std::vector<int64_t>, std::vector<float>,
                               std::vector<std::string>>;
using Attributes = std::map<std::string, Attribute>;

struct Node {
  std::string name;     // unique in the graph; made up on load when the file has none
  std::string op_type;  // ONNX operator, e.g. "Conv"
  std::string domain;   // "" is ai.onnx
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Attributes attributes;
  std::string doc;
  std::map<std::string, std::string> metadata;  // ONNX NodeProto.metadata_props

  bool is(std::string_view type) const { return domain.empty() && op_type == type; }
  bool has_input(size_t i) const { return i < inputs.size() && inputs[i] != kNoValue; }
  // Attribute or default when absent or of another type (the verifier reports wrong types).
  int64_t attr_int(const std::string& key, int64_t fallback) const;
  float attr_float(const std::string& key, float fallback) const;
  std::string attr_string(const std::string& key, const std::string& fallback) const;
  std::vector<int64_t> attr_ints(const std::string& key, std::vector<int64_t> fallback = {}) const;
  std::vector<float> attr_floats(const std::string& key, std::vector<float> fallback = {}) const;
  const Tensor* attr_tensor(const std::string& key) const;  // nullptr when absent
};

class Graph {
 public:
  std::string name;
  int opset = 13;                                 // of ai.onnx
  std::map<std::string, int64_t> other_opsets;    // other domains in use
  std::vector<Node> nodes;                        // topological order
  std::vector<ValueId> inputs;                    // without initializers
  std::vector<ValueId> outputs;
  // Everything of the ONNX file that is not the graph (producer, metadata, functions, unknown fields): a serialized
  // ModelProto that the writer fills in again. Null for graphs that did not come from a file.
  std::shared_ptr<const std::string> onnx_shell;

  // Adds a value; an empty or taken name is made unique.
  ValueId add_value(std::string name, DType dtype = DType::kUndefined, std::optional<Shape> shape = std::nullopt);
  ValueId add_constant(std::string name, Tensor tensor);
  // Appends a node with one fresh output per given output name; returns the index of the node.
  size_t add_node(std::string op_type, std::vector<ValueId> inputs, std::vector<std::string> output_names,
                  Attributes attributes = {}, std::string name = {});

  size_t value_count() const { return values_.size(); }
  Value& value(ValueId id) { return values_[static_cast<size_t>(id)]; }
  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  ValueId find_value(const std::string& name) const;      // kNoValue when absent
  const Node* find_node(const std::string& name) const;   // nullptr when absent
  bool is_constant(ValueId id) const { return id != kNoValue && value(id).constant.has_value(); }
  bool is_output(ValueId id) const;
  void rename_value(ValueId id, std::string name);  // made unique when taken
  std::string unique_value_name(const std::string& hint) const;
  std::string unique_node_name(const std::string& hint) const;

  // Makes every reader of `from` (nodes and graph outputs) read `to` instead.
  void replace_uses(ValueId from, ValueId to);
  // Removes the nodes whose flag is set; flags.size() == nodes.size().
  void remove_nodes(const std::vector<bool>& flags);
  // Drops values that nothing mentions and renumbers the rest.
  void compact();
  // Restores topological order after insertions at the end; kInvalidArgument names a node on a cycle.
  Status sort_topologically();

 private:
  std::vector<Value> values_;
  std::unordered_map<std::string, ValueId> by_name_;
};

// Who makes and who reads each value. Valid until the graph is edited.
class GraphIndex {
 public:
  struct Use {
    size_t node;   // index into graph.nodes
    size_t input;  // position among its inputs
  };
  explicit GraphIndex(const Graph& graph);
  // Index of the producing node, or -1 for graph inputs and constants.
  int64_t producer(ValueId id) const { return producer_[static_cast<size_t>(id)]; }
  const std::vector<Use>& uses(ValueId id) const { return uses_[static_cast<size_t>(id)]; }

 private:
  std::vector<int64_t> producer_;
  std::vector<std::vector<Use>> uses_;
};

}  // namespace octet
