// Calibration, evaluation and comparison over data: determinism first.
#include "octet/pipeline.h"

#include <gtest/gtest.h>

#include <cmath>

#include "octet/onnx.h"
#include "passes/pass.h"
#include "support/compare.h"
#include "support/random_graph.h"

namespace octet {
namespace {

// Smooth images from a formula, with a label that a network could learn.
class FormulaData : public Dataset {
 public:
  FormulaData(Dims image, int64_t count, int64_t bad = -1) : image_(std::move(image)), count_(count), bad_(bad) {}
  int64_t size() const override { return count_; }
  std::string describe() const override { return "formula"; }
  bool has_labels() const override { return true; }
  Result<Sample> get(int64_t index) const override {
    if (index == bad_) return data_corrupt("image #" + std::to_string(index) + " is damaged");
    Sample s;
    test::Random random(static_cast<uint64_t>(index) + 1);
    s.inputs = {test::random_tensor(random, image_, -1.0 - static_cast<double>(index % 7), 2.0)};
    s.label = index % 3;
    s.name = "#" + std::to_string(index);
    return s;
  }

 private:
  Dims image_;
  int64_t count_, bad_;
};

Dims image_of(const Graph& graph) {
  Dims dims;
  for (const Dim& d : *graph.value(graph.inputs[0]).shape) dims.push_back(d.coefficient);
  dims.erase(dims.begin());
  return dims;
}

Graph prepared_network(uint64_t seed) {
  test::RandomGraphOptions options;
  options.with_dequantize = false;
  Graph graph = test::random_cnn(seed, options);
  EXPECT_TRUE(run_passes(graph).is_ok());
  return graph;
}

std::string ranges_of(const Graph& graph, const std::vector<int64_t>& images, int threads, int batch_size) {
  QuantizationOptions options;
  options.calib_batch_size = batch_size;
  const SelectiveQuantizer quantizer(options);
  const FormulaData data(image_of(graph), 64);
  auto plan = quantizer.prepare(graph);
  EXPECT_TRUE(plan.is_ok()) << plan.status().message();
  RunOptions run;
  run.threads = threads;
  auto stats = QuantizationCalibrator(run).collect_stats(graph, plan->tensors_to_observe(), data, images);
  EXPECT_TRUE(stats.is_ok()) << stats.status().message();
  auto ranges = quantizer.calibrate(graph, *plan, *stats);
  EXPECT_TRUE(ranges.is_ok()) << ranges.status().message();
  return ranges.is_ok() ? ranges_to_json(*ranges) : "";
}

TEST(Calibration, RangesAreTheSameBytesForAnyOrderBatchSizeAndThreads) {
  for (uint64_t seed : {11, 12, 13}) {
    const Graph graph = prepared_network(seed);
    std::vector<int64_t> images(48);
    for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<int64_t>(i);
    const std::string expected = ranges_of(graph, images, 1, 1);
    ASSERT_GT(expected.size(), 100u);
    EXPECT_EQ(ranges_of(graph, images, 2, 8), expected);
    EXPECT_EQ(ranges_of(graph, images, 5, 48), expected);
    std::reverse(images.begin(), images.end());
    EXPECT_EQ(ranges_of(graph, images, 2, 3), expected);
    images.pop_back();
    EXPECT_NE(ranges_of(graph, images, 2, 3), expected) << "one image less must show";
  }
}

TEST(Calibration, ADamagedImageIsNamed) {
  const Graph graph = prepared_network(11);
  const FormulaData data(image_of(graph), 20, 13);
  std::vector<int64_t> images(20);
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<int64_t>(i);
  const auto stats = QuantizationCalibrator().collect_stats(graph, {graph.value(graph.inputs[0]).name}, data, images);
  ASSERT_FALSE(stats.is_ok());
  EXPECT_EQ(stats.status().code(), StatusCode::kDataCorrupt);
  EXPECT_NE(stats.status().message().find("image #13"), std::string::npos) << stats.status().message();
}

TEST(Calibration, CancelStopsBetweenImages) {
  const Graph graph = prepared_network(11);
  const FormulaData data(image_of(graph), 1000);
  std::vector<int64_t> images(1000, 0);
  CancelFlag cancel{false};
  RunOptions run;
  run.threads = 1;
  run.cancel = &cancel;
  int64_t last = 0;
  run.progress = [&](const std::string&, int64_t done, int64_t) {
    last = done;
    if (done == 5) cancel = true;
  };
  const auto stats =
      QuantizationCalibrator(run).collect_stats(graph, {graph.value(graph.inputs[0]).name}, data, images);
  ASSERT_FALSE(stats.is_ok());
  EXPECT_EQ(stats.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(last, 5);
}

// 3x6x6 -> conv -> [batch, 4, 6, 6], with a batch that may be fixed.
Graph small_network(Dim batch) {
  Graph g;
  test::Random random(5);
  const ValueId x = g.add_value("x", DType::kFloat32, Shape{batch, Dim::of(3), Dim::of(6), Dim::of(6)});
  const ValueId w = g.add_constant("w", test::random_tensor(random, {4, 3, 3, 3}));
  g.inputs = {x};
  const size_t conv = g.add_node("Conv", {x, w}, {"y"}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}, "conv");
  g.outputs = {g.nodes[conv].outputs[0]};
  g.value(g.outputs[0]).dtype = DType::kFloat32;
  return g;
}

TEST(Calibration, TheImagesThatWereUsedAreCounted) {
  const FormulaData data({3, 6, 6}, 150);
  QuantizeJob job;
  job.calibration = &data;
  job.images = 100;
  const auto fixed = quantize_network(small_network(Dim::of(64)), SelectiveQuantizer(), job);
  ASSERT_TRUE(fixed.is_ok()) << fixed.status().message();
  EXPECT_EQ(fixed->calibration_images, 64);
  ASSERT_EQ(fixed->notes.size(), 1u);
  EXPECT_NE(fixed->notes[0].find("64 of 100 images"), std::string::npos) << fixed->notes[0];
  job.images = 1000;
  const auto open = quantize_network(small_network(Dim::named("N")), SelectiveQuantizer(), job);
  ASSERT_TRUE(open.is_ok()) << open.status().message();
  EXPECT_EQ(open->calibration_images, 150);
  ASSERT_EQ(open->notes.size(), 1u);
  EXPECT_NE(open->notes[0].find("1000 images, and the data has 150"), std::string::npos) << open->notes[0];
  job.images = 0;
  EXPECT_TRUE(quantize_network(small_network(Dim::named("N")), SelectiveQuantizer(), job)->notes.empty());
}

TEST(Comparison, OnlyScoresOfClassesArePredictions) {
  const FormulaData data({3, 6, 6}, 12);
  const Graph maps = small_network(Dim::named("N"));
  const auto report = compare(maps, maps, data, 0);
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  EXPECT_FALSE(report->agreement.has_value());
  ASSERT_EQ(report->tensors.size(), 1u);
}

TEST(Comparison, TheSumsDoNotDependOnThreads) {
  const Graph graph = prepared_network(13);
  const FormulaData data(image_of(graph), 40);
  QuantizeJob job;
  job.calibration = &data;
  job.images = 8;
  const auto quantized = quantize_network(graph, SelectiveQuantizer(), job);
  ASSERT_TRUE(quantized.is_ok()) << quantized.status().message();
  std::vector<std::vector<double>> figures;
  for (const int threads : {1, 4}) {
    RunOptions run;
    run.threads = threads;
    const auto report = compare(graph, quantized->quantized, data, 0, run);
    ASSERT_TRUE(report.is_ok());
    figures.emplace_back();
    for (const TensorDifference& d : report->tensors)
      figures.back().insert(figures.back().end(), {d.sqnr_db, d.cosine, d.max_abs});
  }
  EXPECT_GT(figures[0].size(), 3u);
  EXPECT_EQ(figures[0], figures[1]);
}

TEST(Evaluation, CountsDoNotDependOnThreadsOrBatch) {
  const Graph graph = prepared_network(12);
  const FormulaData data(image_of(graph), 50);
  EvalOptions options;
  options.run.threads = 1;
  options.batch_size = 1;
  const auto expected = evaluate(graph, data, options);
  if (!expected.is_ok())
    GTEST_SKIP() << "the network's first output has fewer than 3 classes: " << expected.status().message();
  options.run.threads = 3;
  options.batch_size = 7;
  const auto other = evaluate(graph, data, options);
  ASSERT_TRUE(other.is_ok()) << other.status().message();
  EXPECT_EQ(other->count, 50);
  EXPECT_EQ(other->predictions, expected->predictions);
  EXPECT_EQ(other->top1, expected->top1);
}

TEST(Comparison, ANetworkEqualsItselfAndItsQuantizationIsRanked) {
  const Graph graph = prepared_network(13);
  const FormulaData data(image_of(graph), 16);
  const auto same = compare(graph, graph, data, 8);
  ASSERT_TRUE(same.is_ok()) << same.status().message();
  EXPECT_EQ(same->agreement, 100.0);
  for (const TensorDifference& d : same->tensors) EXPECT_TRUE(std::isinf(d.sqnr_db)) << d.tensor;

  QuantizationOptions options;
  options.regime = Regime::kNaive;
  QuantizeJob job;
  job.calibration = &data;
  job.images = 16;
  const auto result = quantize_network(graph, SelectiveQuantizer(options), job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  const auto different = compare(result->prepared, result->quantized, data, 8);
  ASSERT_TRUE(different.is_ok()) << different.status().message();
  ASSERT_FALSE(different->tensors.empty());
  EXPECT_TRUE(std::is_sorted(different->tensors.begin(), different->tensors.end(),
                             [](const auto& a, const auto& b) { return a.sqnr_db < b.sqnr_db; }));
  EXPECT_TRUE(std::isfinite(different->tensors.front().sqnr_db));
}

TEST(Agreement, IsTheShareOfEqualPredictions) {
  EXPECT_EQ(agreement({}, {}), 100.0);
  EXPECT_EQ(agreement({1, 2, 3, 4}, {1, 0, 3, 0}), 50.0);
}

}  // namespace
}  // namespace octet
