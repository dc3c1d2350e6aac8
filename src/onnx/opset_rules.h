// One rule per operator and opset in which its interface or meaning changed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "octet/graph.h"

namespace octet {

// What a rule may do besides changing its node: add constants, put nodes around it, ask for types and shapes.
class UpgradeContext {
 public:
  explicit UpgradeContext(Graph& graph);

  Graph& graph;
  std::vector<Node> before;  // to be inserted before the rewritten node
  std::vector<Node> after;   // and after it

  ValueId add_ints(const Node& node, const std::string& what, const std::vector<int64_t>& values);
  ValueId add_floats(const Node& node, const std::string& what, const std::vector<float>& values);
  // A scalar of a floating type; kFloat32 when `dtype` is not known.
  Result<ValueId> add_scalar(const Node& node, const std::string& what, float value, DType dtype);
  // A node with a fresh name made from `like` and `what`, and one fresh output.
  Node make_node(const Node& like, const std::string& what, std::string op_type, std::vector<ValueId> inputs);

  // Type and shape of a value as far as shape inference knows them at this point of the upgrade.
  DType dtype_of(ValueId id);
  std::optional<Shape> shape_of(ValueId id);
  // Forgets what was inferred: the nodes have changed.
  void invalidate() { inferred_.reset(); }
  // True when some node reads `id` or it is a graph output.
  bool is_read(ValueId id);

 private:
  const Value& inferred_value(ValueId id);

  std::optional<Graph> inferred_;
  std::vector<bool> read_;
  std::unordered_set<std::string> node_names_;
};

struct OpsetRule {
  std::string_view op_type;
  int since;  // the opset that brought the change
  Status (*apply)(UpgradeContext& context, Node& node);
  bool needs_shapes = false;  // runs when all other nodes are at `since`, so that shapes can be inferred
};

std::span<const OpsetRule> rules_up_to_13();
std::span<const OpsetRule> rules_up_to_22();

// Sets input i, filling the gap before it with omitted inputs.
void set_input(Node& node, size_t i, ValueId id);
// Moves a list of integers from an attribute to input i; without the attribute the input is left out.
Status attr_to_input(UpgradeContext& context, Node& node, const std::string& attribute, size_t i);

}  // namespace octet
