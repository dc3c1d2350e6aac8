// The dimensions that flow through shape arithmetic, known ones next to symbolic ones.
#pragma once

#include <optional>
#include <vector>

#include "octet/graph.h"

namespace octet {

// Contents of an int64 tensor of rank 0 or 1 that holds dimensions.
struct ShapeValue {
  std::vector<Dim> dims;
  bool is_scalar = false;
};

// Follows Shape (of inferred shapes) through Gather, Slice, Concat, Squeeze, Unsqueeze and Identity. The graph must
// be in topological order. Entry i belongs to value i; nullopt where a value holds no dimensions or they cannot be
// followed.
std::vector<std::optional<ShapeValue>> trace_shape_values(const Graph& graph);

}  // namespace octet
