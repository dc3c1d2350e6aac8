// From an older opset of ai.onnx to a newer one, with the same results.
#pragma once

#include "octet/graph.h"

namespace octet {

// Rewrites the nodes whose operators changed between graph.opset and `target` (at most 22) and sets graph.opset.
// What cannot be expressed in the newer opset is kUnsupported, naming the node; the graph is then left half-way and
// must be thrown away. A target that is not newer does nothing.
//
// Source: the version history in ONNX's docs/Changelog.md.
Status upgrade_opset(Graph& graph, int target);

}  // namespace octet
