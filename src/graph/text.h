// Graphs as text, for tests and for people.
//
//   graph "net" opset 13
//   input %x: float32[N, 3, 8, 8]
//   const %w: float32[1, 3, 1, 1] = [0.5, 1.0, -2.0]
//   %y: float32[N, 1, 4, 4] = Conv(%x, %w) {strides = [2, 2]} # conv1
//   output %y
//
// A type or shape that is not known is left out ("%y"), or "?" stands for the type ("?[N, 4]"); "float32" alone has
// no known rank, "float32[]" is a scalar. `_` is an omitted input or output. Names that are not made of letters,
// digits and _ . / : - are quoted. 16-bit and 8-bit floats are written as their bits.
#pragma once

#include <string>

#include "octet/graph.h"

namespace octet {

// Tensors of more than 256 elements are written as a hash of their bytes ("= hash 8c3f..."). Documentation, metadata
// and the ONNX shell are not written.
std::string to_text(const Graph& graph);

// Inverse of to_text, except for hashed tensors, which are refused. Errors begin with "line <n>:". Lines that start
// with "//" and empty lines are skipped. Types are optional; nodes without "# name" get a made-up one.
Result<Graph> parse_text(const std::string& text);

}  // namespace octet
