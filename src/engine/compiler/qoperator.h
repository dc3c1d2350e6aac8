// QOperator form (QLinearConv, QLinearMatMul) rewritten to the Q/DQ form that the rest of the compiler reads.
#pragma once

#include "octet/graph.h"

namespace octet::engine {

// Returns how many nodes were rewritten. The graph stays topologically sorted.
Result<int> expand_qoperators(Graph& graph);

}  // namespace octet::engine
