// Quantized random networks to compile.
#pragma once

#include <gtest/gtest.h>

#include "octet/pipeline.h"
#include "passes/pass.h"
#include "support/random_graph.h"

namespace octet::test {

// Random images of a graph's input, the same for the same index.
class NoiseImages : public Dataset {
 public:
  explicit NoiseImages(const Graph& graph) : graph_(graph) {}
  int64_t size() const override { return 16; }
  std::string describe() const override { return "noise"; }
  bool has_labels() const override { return false; }
  Result<Sample> get(int64_t index) const override {
    Sample sample;
    for (const Tensor& t : random_inputs(graph_, static_cast<uint64_t>(index) + 100, 1)) {
      Dims dims(t.dims().begin() + 1, t.dims().end());
      sample.inputs.push_back(t.reshaped(dims));
    }
    return sample;
  }

 private:
  const Graph& graph_;
};

// A network of the seed as Octet's own quantizer leaves it.
inline Graph quantized_network(uint64_t seed, const QuantizationOptions& options, Graph* simplified = nullptr) {
  RandomGraphOptions shape;
  shape.with_dequantize = false;
  Graph graph = random_cnn(seed, shape);
  EXPECT_TRUE(run_passes(graph).is_ok());
  if (simplified != nullptr) *simplified = graph;
  const SelectiveQuantizer quantizer(options);
  auto decisions = quantizer.prepare(graph);
  EXPECT_TRUE(decisions.is_ok()) << decisions.status().message();
  const NoiseImages images(graph);
  std::vector<int64_t> all;
  for (int64_t i = 0; i < images.size(); ++i) all.push_back(i);
  auto statistics = QuantizationCalibrator().collect_stats(graph, decisions->tensors_to_observe(), images, all);
  EXPECT_TRUE(statistics.is_ok()) << statistics.status().message();
  auto ranges = quantizer.calibrate(graph, *decisions, *statistics);
  EXPECT_TRUE(ranges.is_ok()) << ranges.status().message();
  auto plan = quantizer.finish(graph, *ranges);
  EXPECT_TRUE(plan.is_ok()) << plan.status().message();
  auto quantized = quantizer.quantize_module(graph, *plan);
  EXPECT_TRUE(quantized.is_ok()) << quantized.status().message();
  return *quantized;
}

}  // namespace octet::test
