// Types and shapes of all values, with symbolic dimensions, and values of small integer tensors that shapes depend on.
#pragma once

#include <map>
#include <string>

#include "octet/graph.h"

namespace octet {

// Fills dtype and shape of every value from inputs, constants and attributes. `input_dims` replaces the declared
// shape of the named graph inputs (to fix the batch, say). What cannot be known stays unknown: no error. A
// contradiction (Conv with 3 channels on a tensor with 4) is an error that names node, op and shapes.
Status infer_shapes(Graph& graph, const std::map<std::string, Dims>& input_dims = {});

}  // namespace octet
