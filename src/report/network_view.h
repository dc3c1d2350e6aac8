// The network as the page draws it: the operators of a Q/DQ file without its Q/DQ nodes, placed on sheets.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "octet/graph.h"
#include "report/artifacts.h"

namespace octet::report {

struct DrawnEdge {
  size_t from = 0, to = 0;
  bool coded = false;  // a QuantizeLinear stands on it
  std::string tensor;
};

struct DrawnNode {
  std::string name, op;
  std::string tensor;  // its first output
  std::vector<std::string> inputs;
};

struct DrawnNetwork {
  std::vector<DrawnNode> nodes;  // topological order
  std::vector<DrawnEdge> edges;
};

// QuantizeLinear and DequantizeLinear become properties of edges; operators on constants alone are left out.
DrawnNetwork draw(const Graph& graph);

// Columns of nodes (names, op, decision, precision, why, sqnr, times, tensor, group, x, y) and of edges (from, to,
// kind, path), on sheets of at most so many nodes that each is laid out and drawn quickly. Null without a network or
// plan.
Json network_view(const Artifacts& artifacts, const std::unordered_map<std::string, size_t>& tensor_index,
                  const std::unordered_map<std::string, size_t>& group_index);

}  // namespace octet::report
