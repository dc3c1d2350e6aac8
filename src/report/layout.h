// Where the nodes of a network stand on paper.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace octet::report {

struct LayoutEdge {
  size_t from = 0, to = 0;
};

struct Layout {
  double width = 0, height = 0;
  std::vector<std::pair<double, double>> nodes;  // centres; y grows downwards
  std::vector<std::string> paths;                // of the edges, as SVG path data with an arrow head
};

constexpr double kNodeWidth = 150, kNodeHeight = 30;

// Lays out nodes 0 ... count-1 from top to bottom. By Graphviz's dot up to kMostDotNodes nodes and twice as many
// edges, beyond that (its time grows with more than the square) in layers by the longest path, which takes linear
// time. Edges lead from lower to higher nodes. The same arguments give the same layout.
constexpr size_t kMostDotNodes = 400;
Layout lay_out(size_t count, const std::vector<LayoutEdge>& edges);

}  // namespace octet::report
