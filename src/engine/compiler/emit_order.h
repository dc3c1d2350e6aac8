// What a program has to run, in an order in which everything is there before it is needed.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/compiler/units.h"

namespace octet::engine {

// One thing to run.
struct Item {
  enum class Kind { kUnit, kNode, kDequantize, kRaw } kind;
  size_t index;  // unit, node or value
  size_t place;  // where it would stand among the nodes
};

// Needed units, float nodes, and values that leave the integers. Topological, otherwise in the order of the nodes.
std::vector<Item> items_in_order(const Graph& graph, const Units& units, const Needs& needs);

}  // namespace octet::engine
