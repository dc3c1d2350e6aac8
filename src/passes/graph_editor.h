// Edits a graph while it keeps track of who makes and who reads each value, so that a pass stays linear in the graph.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet {

// Node indices stay valid until finish(); removed nodes keep their place until then. After finish() the editor is
// done.
class GraphEditor {
 public:
  explicit GraphEditor(Graph& graph);

  const Graph& graph() const { return graph_; }
  Node& node(size_t i) { return graph_.nodes[i]; }
  const Node& node(size_t i) const { return graph_.nodes[i]; }
  size_t node_count() const { return graph_.nodes.size(); }
  bool removed(size_t node) const { return removed_[node]; }
  int64_t producer(ValueId id) const { return producer_[static_cast<size_t>(id)]; }
  size_t use_count(ValueId id) const { return uses_[static_cast<size_t>(id)].size(); }
  bool is_output(ValueId id) const { return is_output_[static_cast<size_t>(id)]; }
  // The producer of `id`, if a node makes it, nobody but one node input reads it and it is not a graph output.
  std::optional<size_t> private_producer(ValueId id) const;

  // Sets one input; missing ones before it become absent.
  void set_input(size_t node, size_t input, ValueId id);
  // Gives one input a new constant: in place when this is its only reader, else (or when it is absent) as a new
  // value.
  void set_constant(size_t node, size_t input, Tensor tensor, const std::string& name_hint);
  // Makes `id`, an output of `node`, a constant; the caller removes the node.
  void fold_output(ValueId id, Tensor tensor);

  // Whether all readers of `value` can get `by` instead. Not so when `value` is a graph output whose name nothing
  // else could carry: `by` is then a graph input, a constant or a graph output itself.
  bool can_substitute(ValueId value, ValueId by) const;
  // Does it. If `value` is a graph output, the node that makes `by` makes `value` from now on.
  void substitute(ValueId value, ValueId by);
  // `node` makes the only output of `next` from now on, instead of its own first output; `next` is removed.
  void absorb(size_t node, size_t next);
  void remove(size_t node);
  // Adds a node with one output; finish() moves it to its place. Returns its output.
  ValueId insert(const std::string& op_type, std::vector<ValueId> inputs, const std::string& output_name,
                 Attributes attributes, const std::string& name);

  // Removes what was marked and restores the order. Always call it.
  Status finish();

 private:
  void move_uses(ValueId from, ValueId to);
  void drop_use(ValueId id, size_t node, size_t input);
  void grow();

  Graph& graph_;
  std::vector<int64_t> producer_;
  std::vector<std::vector<GraphIndex::Use>> uses_;
  std::vector<bool> is_output_;
  std::vector<bool> removed_;
  bool inserted_ = false;
};

}  // namespace octet
