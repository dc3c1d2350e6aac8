// Is this graph well-formed?
#pragma once

#include "octet/graph.h"

namespace octet {

// Unique names, ids in range, each input produced earlier or constant or graph input, each value produced once, known
// operators, input and output counts and attribute types within the operator's definition. The first violation is
// returned in one sentence that names node and value.
Status verify(const Graph& graph);

// Numbers of inputs and outputs, and attributes, of a node of this operator.
struct OpInfo;
Status verify_form(const Node& node, const OpInfo& op);

}  // namespace octet
