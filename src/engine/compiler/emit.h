// Units and float nodes to a Program whose convolutions have no kernel and no place in the constants yet.
#pragma once

#include <string>
#include <vector>

#include "engine/compiler/units.h"

namespace octet::engine {

// What a convolution is packed from.
struct ConvSource {
  size_t operation;
  const Unit* unit;
};

struct Draft {
  Program program;
  std::vector<ConvSource> convs;
};

// `units` must outlive the draft. kUnsupported names a value whose shape is not known for one image.
Result<Draft> emit_program(const Graph& graph, const Units& units, const Needs& needs, bool batched);

// The nodes (indices, ascending) as a graph of its own; inputs and outputs in the order given.
Graph extract_subgraph(const Graph& graph, const std::vector<size_t>& nodes, const std::vector<ValueId>& inputs,
                       const std::vector<ValueId>& outputs);

// Gives every tensor that lives in the arena its place: tensors that are never alive together share memory, and an
// elementwise result may take the place of its dying input.
void plan_memory(Program& program);

}  // namespace octet::engine
