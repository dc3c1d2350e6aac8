// Activations that files spell out as chains of simple operators.
#pragma once

#include <optional>
#include <vector>

#include "octet/graph.h"

namespace octet {

struct ComposedActivation {
  ValueId input;
  std::vector<size_t> nodes;  // ascending; the last one makes the result
};

// Each looks at the chain that ends in node `root`. Other nodes may read the chain's inner values too; who wants to
// replace the whole chain asks fusion_patterns.h instead.

// x * Sigmoid(x)
std::optional<ComposedActivation> silu_at(const Graph& graph, const GraphIndex& index, size_t root);
// Clip(x + 3, 0, 6) / 6
std::optional<ComposedActivation> hard_sigmoid_at(const Graph& graph, const GraphIndex& index, size_t root);
// x * Clip(x + 3, 0, 6) / 6 with its factors in any arrangement, or x * HardSigmoid(x, 1/6, 1/2)
std::optional<ComposedActivation> hard_swish_at(const Graph& graph, const GraphIndex& index, size_t root);
// x * (1 + Erf(x / sqrt(2))) / 2 with its factors in any arrangement
std::optional<ComposedActivation> gelu_at(const Graph& graph, const GraphIndex& index, size_t root);

}  // namespace octet
