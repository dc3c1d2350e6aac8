// Small models made field by field, the way files come in, and the shorthand the tests of this room share.
#pragma once

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "octet/onnx.h"

namespace octet::test {

// ir_version 8, one import of ai.onnx; no graph content yet.
onnx::ModelProto empty_model(int opset = 13);
void add_input(onnx::ModelProto& model, const std::string& name, const std::vector<int64_t>& dims, int type = 1);
void add_output(onnx::ModelProto& model, const std::string& name);
onnx::NodeProto& add_node(onnx::ModelProto& model, const std::string& op_type, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs, const std::string& name = "");
onnx::TensorProto& add_floats(onnx::ModelProto& model, const std::string& name, const std::vector<int64_t>& dims,
                              const std::vector<float>& values);
void add_int(onnx::NodeProto& node, const std::string& name, int64_t value);
void add_ints(onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values);
void add_float(onnx::NodeProto& node, const std::string& name, float value);
void add_string(onnx::NodeProto& node, const std::string& name, const std::string& value);

// x [2, 3] -> Add(x, bias) -> Relu -> y, with metadata and documentation everywhere.
onnx::ModelProto rich_model();
// x [N, 2, 4, 4] -> Conv -> Clip -> Pad -> GlobalAveragePool -> y at opset 9, with typed and raw initializers.
onnx::ModelProto old_cnn();

Result<Graph> parse(const onnx::ModelProto& model, const std::string& folder = "");
// What loading says; "" when it succeeds.
std::string error_of(const onnx::ModelProto& model);
onnx::ModelProto written(const Graph& graph);

// A fresh folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& bytes) const;

 private:
  std::string path_;
};

}  // namespace octet::test

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << "got: " << (text)
