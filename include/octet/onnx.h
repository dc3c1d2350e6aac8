// ONNX files in and out. Reads opsets 7 to 22; writes what the graph's own opset says (>= 13).
#pragma once

#include <string>
#include <string_view>

#include "octet/graph.h"

namespace octet {

// Errors: not an ONNX file, truncated, unsupported opset, op or type (naming node and op), external data that is
// missing or leaves the model's folder. Shapes and types of all values are inferred on load.
Result<Graph> load_onnx(const std::string& path);
// `folder` is where external data is looked for; empty forbids external data.
Result<Graph> parse_onnx(std::string_view bytes, const std::string& folder);

// Bytes of the file and of the external data files that it names.
Result<int64_t> onnx_bytes(const std::string& path);

// The file is complete or absent, never half-written. Fields that Octet does not interpret are kept as they came.
Status save_onnx(const Graph& graph, const std::string& path);
Result<std::string> serialize_onnx(const Graph& graph);

}  // namespace octet
