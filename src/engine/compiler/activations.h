// Activations that a store applies, and elementwise operators that a table of 256 codes can stand for.
#pragma once

#include <limits>
#include <optional>

#include "kernels/cpu/store.h"
#include "octet/graph.h"

namespace octet::engine {

struct Activation {
  bool clips = false;  // min(max(x, lo), hi)
  float lo = -std::numeric_limits<float>::infinity();
  float hi = std::numeric_limits<float>::infinity();
  cpu::Curve curve = cpu::Curve::kNone;
  float alpha = 0, beta = 0;
};

// The function of a node with one variable input, inputs[0].
std::optional<Activation> activation_of(const Graph& graph, const Node& node);

// One output element depends on one element of each input; constants of one element broadcast.
bool is_elementwise(const Node& node);

}  // namespace octet::engine
