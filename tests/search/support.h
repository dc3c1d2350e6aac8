// Data and networks that the tests of search share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "octet/pipeline.h"
#include "support/compare.h"
#include "support/random_graph.h"

namespace octet::test {

// Images from a formula; labels as a network of that seed would hardly give them.
class FormulaData : public Dataset {
 public:
  FormulaData(Dims image, int64_t count, bool labels = true, int64_t classes = 3)
      : image_(std::move(image)), count_(count), labels_(labels), classes_(classes) {}
  int64_t size() const override { return count_; }
  std::string describe() const override { return "formula " + std::to_string(count_); }
  bool has_labels() const override { return labels_; }
  Result<Sample> get(int64_t index) const override {
    if (index < 0 || index >= count_) return invalid_argument("no such image");
    Sample s;
    Random random(static_cast<uint64_t>(index) + 1);
    s.inputs = {random_tensor(random, image_, -1.0 - 0.1 * static_cast<double>(index % 7), 2.0)};
    s.label = labels_ ? index % classes_ : -1;
    s.name = "#" + std::to_string(index);
    return s;
  }

 private:
  Dims image_;
  int64_t count_;
  bool labels_;
  int64_t classes_;
};

inline Dims image_of(const Graph& graph) {
  Dims dims;
  for (const Dim& d : *graph.value(graph.inputs[0]).shape) dims.push_back(d.coefficient);
  dims.erase(dims.begin());
  return dims;
}

// A plan, with all that led to it.
inline QuantizeResult quantized(const Graph& graph, const QuantizationOptions& options, const Dataset& data) {
  QuantizeJob job;
  job.calibration = &data;
  job.images = 12;
  job.min_layer_sqnr_db = 0;
  auto result = quantize_network(graph, SelectiveQuantizer(options), job);
  EXPECT_TRUE(result.is_ok()) << result.status().message();
  return result.is_ok() ? std::move(*result) : QuantizeResult{};
}

// Three convolutions with a residual, a pool and a classifier: 3x12x12 -> 5 classes.
inline Graph residual_network(uint64_t seed, Dim batch = Dim::named("N")) {
  Graph g;
  g.name = "residual";
  g.opset = 17;
  Random random(seed);
  const ValueId x = g.add_value("x", DType::kFloat32, Shape{batch, Dim::of(3), Dim::of(12), Dim::of(12)});
  g.inputs = {x};
  const auto node = [&](const char* op, std::vector<ValueId> in, const std::string& name, Attributes a = {}) {
    g.add_node(op, std::move(in), {name + ".out"}, std::move(a), name);
    return g.find_value(name + ".out");
  };
  const auto conv = [&](ValueId in, int64_t from, int64_t to, const std::string& name) {
    const ValueId w = g.add_constant(name + ".weight", random_tensor(random, {to, from, 3, 3}, -0.4, 0.4));
    const ValueId b = g.add_constant(name + ".bias", random_tensor(random, {to}, -0.2, 0.2));
    return node("Conv", {in, w, b}, name, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  };
  const ValueId stem = node("Relu", {conv(x, 3, 16, "stem")}, "stem.relu");
  const ValueId a = node("Relu", {conv(stem, 16, 16, "block.a")}, "block.a.relu");
  const ValueId sum = node("Add", {conv(a, 16, 16, "block.b"), stem}, "block.add");
  const ValueId relu = node("Relu", {sum}, "block.relu");
  const ValueId flat = node("Flatten", {node("GlobalAveragePool", {relu}, "pool")}, "flat");
  const ValueId fc = g.add_constant("fc.weight", random_tensor(random, {5, 16}));
  const ValueId y = node("Gemm", {flat, fc}, "fc", {{"transB", int64_t{1}}});
  g.value(y).dtype = DType::kFloat32;
  g.outputs = {y};
  return g;
}

class Folder {
 public:
  Folder() {
    path_ =
        (std::filesystem::temp_directory_path() / ("octet-search-" + std::to_string(::getpid()) + "-" +
                                                   ::testing::UnitTest::GetInstance()->current_test_info()->name()))
            .string();
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace octet::test
