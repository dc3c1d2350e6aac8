// Operators of ONNX Runtime's own domain com.microsoft, as its quantizer and optimizer write them.
#pragma once

#include "octet/graph.h"

namespace octet {

// Rewrites the nodes of com.microsoft that have a rule (contrib_rules.h) to ai.onnx: quantized operators become their
// float form between DequantizeLinear and QuantizeLinear. The node that computes keeps the name, and so does every
// tensor of the file. Nodes without a rule stay as they are, for verify() to refuse. The graph must be sorted; its
// opset stays, so that upgrade_opset() may follow. Errors name the node: missing inputs, attributes, types, shapes.
Status rewrite_contrib_operators(Graph& graph);

}  // namespace octet
