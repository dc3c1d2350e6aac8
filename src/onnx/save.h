// save_onnx with the size at which weights move to a file of their own; tests use a small one.
#pragma once

#include <cstdint>
#include <string>

#include "octet/graph.h"

namespace octet {

// Constants of more than `limit` bytes in total go to "<file name of path>.data" in the same folder.
Status save_onnx_with_limit(const Graph& graph, const std::string& path, int64_t limit);

}  // namespace octet
