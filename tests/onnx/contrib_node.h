// One node of com.microsoft as a model, codes and what they stand for: shared by the tests of such operators.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "interp/interpreter.h"
#include "octet/onnx.h"
#include "onnx/models.h"

namespace octet::test {

constexpr int kUint8 = onnx::TensorProto::UINT8, kInt8 = onnx::TensorProto::INT8, kFloat = onnx::TensorProto::FLOAT;
constexpr int kInt32 = onnx::TensorProto::INT32, kBool = onnx::TensorProto::BOOL;

struct Code {
  double scale;
  int zero;
  int type = kUint8;
};

inline int code_at(const Tensor& t, int64_t i) {
  return t.dtype() == DType::kInt8 ? t.data<int8_t>()[i] : t.data<uint8_t>()[i];
}

inline double real_at(const Tensor& t, int64_t i, const Code& code) {
  return (code_at(t, i) - code.zero) * static_cast<double>(static_cast<float>(code.scale));
}

inline Tensor random_codes(const Dims& dims, int type, uint32_t seed) {
  Tensor t(type == kInt8 ? DType::kInt8 : DType::kUint8, dims);
  std::mt19937 random(seed);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(random());
  return t;
}

// Real numbers that lie on the border between two codes, as far as float32 can tell, may become either.
inline void expect_codes(const Tensor& actual, const Dims& dims, const std::vector<double>& real, const Code& code) {
  ASSERT_EQ(actual.dims(), dims);
  ASSERT_EQ(actual.dtype(), code.type == kInt8 ? DType::kInt8 : DType::kUint8);
  ASSERT_EQ(actual.numel(), static_cast<int64_t>(real.size()));
  const double lo = code.type == kInt8 ? -128 : 0, hi = lo + 255;
  for (int64_t i = 0; i < actual.numel(); ++i) {
    const double exact = real[static_cast<size_t>(i)] / static_cast<float>(code.scale);
    const bool border = std::abs(exact - std::floor(exact) - 0.5) < 1e-4;
    const double nearest = std::clamp(std::nearbyint(exact) + code.zero, lo, hi);
    EXPECT_LE(std::abs(code_at(actual, i) - nearest), border ? 1 : 0) << "element " << i << ": " << exact;
  }
}

// A model with one node of com.microsoft, "n", and its result "y".
class OneNode {
 public:
  explicit OneNode(const std::string& op, int opset = 13) : model_(empty_model(opset)), op_(op) {
    auto& import = *model_.add_opset_import();
    import.set_domain("com.microsoft");
    import.set_version(1);
  }

  // A graph input.
  OneNode& input(const std::string& name, const Tensor& value) {
    const int type = value.dtype() == DType::kInt8    ? kInt8
                     : value.dtype() == DType::kUint8 ? kUint8
                     : value.dtype() == DType::kBool  ? kBool
                                                      : kFloat;
    add_input(model_, name, value.dims(), type);
    names_.push_back(name);
    values_.push_back(value);
    return *this;
  }

  OneNode& integers(const std::string& name, const std::vector<int64_t>& dims, const std::vector<int>& values,
                    int type) {
    onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (int64_t d : dims) tensor.add_dims(d);
    for (int v : values) tensor.add_int32_data(v);
    names_.push_back(name);
    return *this;
  }

  OneNode& floats(const std::string& name, const std::vector<int64_t>& dims, const std::vector<float>& values) {
    add_floats(model_, name, dims, values);
    names_.push_back(name);
    return *this;
  }

  // Its scale and, unless left out, its zero point.
  OneNode& params(const std::string& name, const Code& code, bool with_zero = true) {
    floats(name + "_scale", {}, {static_cast<float>(code.scale)});
    return with_zero ? integers(name + "_zero", {}, {code.zero}, code.type) : skip();
  }

  OneNode& skip() {
    names_.emplace_back();
    return *this;
  }

  onnx::NodeProto& node() {
    if (node_ == nullptr) {
      node_ = &add_node(model_, op_, names_, {"y"}, "n");
      node_->set_domain("com.microsoft");
      add_output(model_, "y");
    }
    return *node_;
  }

  onnx::ModelProto& model() {
    node();
    return model_;
  }

  Tensor run(Graph* loaded = nullptr) {
    node();
    Result<Graph> graph = parse(model_);
    EXPECT_TRUE(graph.is_ok()) << graph.status().message();
    if (!graph) return {};
    if (loaded != nullptr) *loaded = *graph;
    Result<std::vector<Tensor>> result = interpret(*graph, values_);
    EXPECT_TRUE(result.is_ok()) << result.status().message();
    return result ? (*result)[0] : Tensor();
  }

 private:
  onnx::ModelProto model_;
  std::string op_;
  std::vector<std::string> names_;
  std::vector<Tensor> values_;
  onnx::NodeProto* node_ = nullptr;
};

inline Tensor random_floats(const Dims& dims, uint32_t seed) {
  Tensor t(DType::kFloat32, dims);
  std::mt19937 random(seed);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(random() % 2001) / 500.0f - 2.0f;
  return t;
}

}  // namespace octet::test
