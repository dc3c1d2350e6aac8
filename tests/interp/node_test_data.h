// The files of one ONNX node test.
#pragma once

#include <string>
#include <vector>

#include "octet/tensor.h"

namespace octet::node_tests {

// What the model says about itself, read without Octet's loader.
struct ModelSummary {
  std::vector<std::string> ops;  // of all nodes, "domain::Op" outside ai.onnx
  std::string foreign;           // the first operator, type or opset that Octet does not have, in words; or empty
};
Result<ModelSummary> summarize_model(const std::string& path);

// One TensorProto file.
Result<Tensor> read_tensor(const std::string& path);
// folder/<stem>_0.pb, folder/<stem>_1.pb, ... up to the first that is missing.
Result<std::vector<Tensor>> read_tensors(const std::string& folder, const std::string& stem);

// "" when they agree, else what differs (a sentence with the first differing element).
std::string difference(const Tensor& actual, const Tensor& expected);

}  // namespace octet::node_tests
