// A small network with every kind of weight, and a folder for files.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "octet/zoo.h"
#include "zoo/pth_files.h"

namespace octet::test {

// conv [2, 3, 1, 1], a batch norm of 2, a MatMul operand [2, 4] (in a state dict [4, 2]).
inline Graph small_network() {
  Graph g;
  g.name = "small";
  g.opset = 17;
  g.inputs = {g.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(3), Dim::of(1), Dim::of(2)})};
  const auto zeros = [&](const std::string& name, const Dims& dims) {
    Tensor t(DType::kFloat32, dims);
    for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = 0;
    return g.add_constant(name, t);
  };
  const auto node = [&](const char* op, std::vector<ValueId> in, const char* out) {
    return g.nodes[g.add_node(op, std::move(in), {out})].outputs[0];
  };
  ValueId y = node("Conv", {g.inputs[0], zeros("conv.weight", {2, 3, 1, 1})}, "conv");
  y = node("BatchNormalization",
           {y, zeros("bn.weight", {2}), zeros("bn.bias", {2}), zeros("bn.running_mean", {2}),
            zeros("bn.running_var", {2})},
           "bn");
  y = node("MatMul", {y, zeros("fc.weight", {2, 4})}, "fc");
  g.outputs = {y};
  return g;
}

class WeightFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("octet-weights-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  // Tensors for small_network(), all in one storage "0" of 22 floats 1, 2, 3, ...
  static std::vector<PthTensor> tensors(const std::string& prefix = "") {
    std::vector<PthTensor> all = {
        {prefix + "conv.weight", "FloatStorage", "0", 22, 0, {2, 3, 1, 1}, {3, 1, 1, 1}, true},
        {prefix + "bn.weight", "FloatStorage", "0", 22, 6, {2}, {1}, false},
        {prefix + "bn.bias", "FloatStorage", "0", 22, 8, {2}, {1}, false},
        {prefix + "bn.running_mean", "FloatStorage", "0", 22, 10, {2}, {1}, false},
        {prefix + "bn.running_var", "FloatStorage", "0", 22, 12, {2}, {1}, false},
        {prefix + "fc.weight", "FloatStorage", "0", 22, 14, {4, 2}, {2, 1}, false}};
    return all;
  }
  static std::string storage() {
    std::vector<float> values;
    for (int i = 1; i <= 22; ++i) values.push_back(static_cast<float>(i));
    return float_bytes(values);
  }
  static std::vector<float> floats(const Graph& graph, const std::string& name) {
    const Tensor& t = *graph.value(graph.find_value(name)).constant;
    return {t.data<float>(), t.data<float>() + t.numel()};
  }
  // conv and fc hold what tensors() say.
  static void expect_loaded(const Graph& graph) {
    EXPECT_EQ(floats(graph, "conv.weight"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(floats(graph, "bn.running_var"), (std::vector<float>{13, 14}));
    // [4, 2] = 15 16 / 17 18 / 19 20 / 21 22 in the file, transposed here.
    EXPECT_EQ(floats(graph, "fc.weight"), (std::vector<float>{15, 17, 19, 21, 16, 18, 20, 22}));
  }
  // The sentence of a refusal; "" when the file loads.
  std::string refusal(const std::string& bytes, StatusCode code = StatusCode::kOk) const {
    Graph graph = small_network();
    const Status status = load_weights(graph, write("refused", bytes));
    if (code != StatusCode::kOk) {
      EXPECT_EQ(status.code(), code) << status.message();
    }
    return status.message();
  }

  std::filesystem::path folder_;
};

}  // namespace octet::test
