// Graph -> ModelProto.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "octet/graph.h"
#include "onnx/schema.h"

namespace octet {

// Where one tensor goes in the file beside the model.
struct ExternalTensor {
  const Tensor* tensor;  // belongs to the graph that is written
  int64_t offset;
};

struct ExternalPlan {
  std::string location;  // file name, relative to the model's folder; empty: everything inside the model
  std::vector<ExternalTensor> tensors;
  int64_t bytes = 0;
};

// The oldest opset that has the types and attributes of the graph's Q/DQ nodes and constants, at least 13.
int required_opset(const Graph& graph);
// Bytes of all constants as they stand in a file.
int64_t constant_bytes(const Graph& graph);

// The graph, which must be at an opset >= required_opset(graph), in its shell. Small tensors stay in the model even
// when the plan has a location; the plan's list is filled in.
Result<std::unique_ptr<onnx::ModelProto>> build_model(const Graph& graph, ExternalPlan& plan);

}  // namespace octet
