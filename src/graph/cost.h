// What a network costs to run.
#pragma once

#include <cstdint>

#include "octet/graph.h"

namespace octet {

// Multiply-accumulates of a Conv, ConvTranspose, Gemm or MatMul for one image (the first axis of its output counts
// as the batch); 0 for other operators and where a shape is not known.
int64_t multiply_accumulates(const Graph& graph, const Node& node);

}  // namespace octet
