// Saving a model together with other files, and with the size at which weights move to a file of their own; tests use
// a small one.
#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"
#include "octet/graph.h"

namespace octet {

// Constants of more than `limit` bytes in total go to "<file name of path>.data" in the same folder.
Status stage_onnx(const Graph& graph, const std::string& path, PendingFiles* files, int64_t limit);
// With the limit of save_onnx. The files appear when `files` is committed, weights before the model.
Status stage_onnx(const Graph& graph, const std::string& path, PendingFiles* files);
Status save_onnx_with_limit(const Graph& graph, const std::string& path, int64_t limit);

}  // namespace octet
