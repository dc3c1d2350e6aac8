#include "passes/rewrites.h"

namespace octet {

Result<int> sort_nodes(Graph& graph, const PassOptions&) {
  std::vector<std::string> before;
  for (const Node& node : graph.nodes) before.push_back(node.name);
  OCTET_RETURN_IF_ERROR(graph.sort_topologically());
  for (size_t i = 0; i < before.size(); ++i)
    if (graph.nodes[i].name != before[i]) return 1;
  return 0;
}

}  // namespace octet
