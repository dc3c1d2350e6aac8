#include "graph/op_table.h"
#include "passes/rewrites.h"

namespace octet {
namespace {

// Unread outputs beyond the required ones are given up. An operator with any number of outputs (Split) needs all of
// them: how many there are is part of what it computes.
int drop_optional_outputs(Node& node, const std::vector<bool>& read) {
  const OpInfo* op = find_op(node.domain, node.op_type);
  if (op == nullptr || op->max_outputs < 0) return 0;
  int dropped = 0;
  for (size_t i = static_cast<size_t>(op->min_outputs); i < node.outputs.size(); ++i) {
    ValueId& id = node.outputs[i];
    if (id == kNoValue || read[static_cast<size_t>(id)]) continue;
    id = kNoValue;
    ++dropped;
  }
  while (node.outputs.size() > static_cast<size_t>(op->min_outputs) && node.outputs.back() == kNoValue)
    node.outputs.pop_back();
  return dropped;
}

}  // namespace

Result<int> eliminate_dead_code(Graph& graph, const PassOptions&) {
  std::vector<bool> read(graph.value_count(), false);
  for (ValueId id : graph.outputs) read[static_cast<size_t>(id)] = true;
  std::vector<bool> dead(graph.nodes.size(), true);
  int rewrites = 0;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    for (ValueId out : node.outputs)
      if (out != kNoValue && read[static_cast<size_t>(out)]) dead[i] = false;
    if (dead[i]) {
      ++rewrites;
      continue;
    }
    for (ValueId in : node.inputs)
      if (in != kNoValue) read[static_cast<size_t>(in)] = true;
  }
  graph.remove_nodes(dead);
  for (Node& node : graph.nodes) rewrites += drop_optional_outputs(node, read);
  graph.compact();
  return rewrites;
}

}  // namespace octet
