// Repair inside the whole job: determinism, kept scales, and the way back from the repaired network.
#include "octet/pipeline.h"

#include <cmath>
#include <filesystem>

#include "arith/quantize.h"
#include "octet/onnx.h"
#include "quantization/small_networks.h"
#include "repair/host.h"

namespace octet {
namespace {

using octet::testing::NetBuilder;

class RandomImages : public Dataset {
 public:
  int64_t size() const override { return 40; }
  std::string describe() const override { return "random"; }
  Result<Sample> get(int64_t index) const override {
    test::Random random(static_cast<uint64_t>(index) + 1);
    Sample s;
    s.inputs = {test::random_tensor(random, {3, 10, 10}, -1.0, 1.5)};
    return s;
  }
};

// Plain, depthwise, grouped and residual convolutions and a matrix.
Graph network() {
  NetBuilder b;
  const ValueId x =
      b.graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(3), Dim::of(10), Dim::of(10)});
  b.graph.inputs = {x};
  ValueId v = b.relu("r1", b.conv("stem", x, 3, 16));
  v = b.relu("r2", b.conv("depthwise", v, 16, 16, 3, 16));
  const ValueId skip = b.conv("project", v, 16, 20, 1);
  v = b.relu("r3", b.conv("grouped", skip, 20, 20, 3, 2));
  v = b.op("Add", "sum", {b.conv("back", v, 20, 20), skip});
  v = b.op("Flatten", "flat", {b.op("GlobalAveragePool", "gap", {v})});
  return b.finish({b.op("Gemm", "fc", {v, b.constant("fc.weight", {5, 20}), b.constant("fc.bias", {5})},
                        {{"transB", int64_t{1}}})});
}

QuantizationOptions four_bits(const std::vector<std::string>& methods, int64_t group = 0) {
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  QuantizationRule rule;
  rule.precision = "w4a8";
  if (group > 0) rule.group_size = group;
  for (const char* op : {"Conv", "Gemm"}) {
    rule.op = op;
    options.rules.push_back(rule);
  }
  for (const std::string& name : methods) EXPECT_TRUE(set_repair_method(options.repair, name).is_ok());
  if (options.repair.adaround) options.repair.adaround->iterations = 100;
  return options;
}

Result<QuantizeResult> run(const QuantizationOptions& options, int threads = 2) {
  static const RandomImages data;
  QuantizeJob job;
  job.calibration = &data;
  job.images = 40;
  job.run.threads = threads;
  return quantize_network(network(), SelectiveQuantizer(options), job);
}

double output_noise(const Graph& a, const Graph& b) {
  double noise = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const Tensor x = test::outputs_of(a, seed)[0], y = test::outputs_of(b, seed)[0];
    for (int64_t i = 0; i < x.numel(); ++i) noise += std::pow(x.data<float>()[i] - y.data<float>()[i], 2);
  }
  return noise;
}

TEST(RepairJob, TheSameBytesForAnyNumberOfThreads) {
  for (const auto& methods : std::vector<std::vector<std::string>>{
           {"cross_layer_equalization", "bias_absorption", "adaround", "bias_correction"},
           {"gptq", "bias_correction"}}) {
    std::vector<std::string> seen;
    for (int threads : {1, 2, 4}) {
      const auto result = run(four_bits(methods), threads);
      ASSERT_TRUE(result.is_ok()) << result.status().message();
      EXPECT_EQ(result->repairs.size(), methods.size());
      seen.push_back(graph_fingerprint(result->quantized) + ranges_to_json(result->ranges) +
                     plan_to_json(result->plan));
    }
    EXPECT_EQ(seen[0], seen[1]);
    EXPECT_EQ(seen[0], seen[2]);
  }
}

TEST(RepairJob, RoundedWeightsAreTheMiddlesOfTheirCodesAndScalesStay) {
  for (const auto& [method, group] : {std::pair{"adaround", 0}, std::pair{"gptq", 0}, std::pair{"gptq", 8}}) {
    const auto plain = run(four_bits({}, group)), repaired = run(four_bits({method}, group));
    ASSERT_TRUE(plain.is_ok() && repaired.is_ok()) << plain.status().message() << repaired.status().message();
    EXPECT_EQ(repaired->repairs[0].changed, 6) << method;
    EXPECT_TRUE(repaired->repairs[0].skipped.empty());
    int moved = 0;
    for (const auto& [name, t] : repaired->plan.tensors) {
      if (t.role != TensorRole::kWeight) continue;
      EXPECT_EQ(t.params.scale, plain->plan.tensors.at(name).params.scale) << name;
      const Tensor w = test::constant_of_graph(repaired->prepared, name);
      EXPECT_TRUE(same_bits(*fake_quantize(w, t.params), w)) << name;
      const Tensor nearest = *fake_quantize(test::constant_of_graph(plain->prepared, name), t.params);
      for (int64_t i = 0; i < w.numel(); ++i) moved += w.data<float>()[i] != nearest.data<float>()[i] ? 1 : 0;
    }
    EXPECT_GT(moved, 100) << method << " chose other codes than the nearest";
  }
}

TEST(RepairJob, RoundingLowersTheOutputsNoise) {
  const Graph exact = network();
  const double nearest = output_noise(exact, run(four_bits({}))->quantized);
  EXPECT_LT(output_noise(exact, run(four_bits({"gptq"}))->quantized), 0.8 * nearest);
  EXPECT_LT(output_noise(exact, run(four_bits({"adaround"}))->quantized), 0.8 * nearest);
}

TEST(RepairJob, RangesAndTheRepairedNetworkLeadBack) {
  const auto result = run(four_bits({"cross_layer_equalization", "adaround", "bias_correction"}));
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  const std::string folder = ::testing::TempDir() + "octet_repair_" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(save_onnx(result->prepared, folder + "/repaired.onnx").is_ok());
  const auto loaded = load_onnx(folder + "/repaired.onnx");
  ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
  std::filesystem::remove_all(folder);
  QuantizeJob job;
  job.ranges = *ranges_from_json(ranges_to_json(result->ranges), "ranges");
  const auto again = quantize_network(*loaded, SelectiveQuantizer(four_bits({})), job);
  ASSERT_TRUE(again.is_ok()) << again.status().message();
  EXPECT_EQ(plan_to_json(again->plan), plan_to_json(result->plan));
  EXPECT_TRUE(test::outputs_identical(test::outputs_of(again->quantized), test::outputs_of(result->quantized)));
}

TEST(RepairJob, GivenRangesLeaveTheNetworkAloneAndSaySo) {
  const auto plain = run(four_bits({}));
  ASSERT_TRUE(plain.is_ok());
  QuantizeJob job;
  job.ranges = plain->ranges;
  const auto again = quantize_network(network(), SelectiveQuantizer(four_bits({"adaround"})), job);
  ASSERT_TRUE(again.is_ok()) << again.status().message();
  EXPECT_EQ(graph_fingerprint(again->quantized), graph_fingerprint(plain->quantized));
  ASSERT_EQ(again->notes.size(), 1u);
  EXPECT_NE(again->notes[0].find("repair was not carried out"), std::string::npos);
}

TEST(RepairJob, AWeightThatAFloatLayerReadsTooIsNotRounded) {
  NetBuilder b;
  const ValueId x =
      b.graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(3), Dim::of(10), Dim::of(10)});
  b.graph.inputs = {x};
  const ValueId v = b.conv("stem", x, 3, 16), w = b.constant("shared", {16, 16, 1, 1});
  const ValueId kept = b.op("Conv", "kept", {v, w}), rounded = b.op("Conv", "rounded", {kept, w});
  const Graph graph = b.finish({rounded});
  QuantizationOptions options = four_bits({"gptq"});
  options.rules.pop_back();  // there is no Gemm
  options.skip_modules = {"kept"};
  const RandomImages data;
  QuantizeJob job;
  job.calibration = &data;
  job.images = 8;
  const auto result = quantize_network(graph, SelectiveQuantizer(options), job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  EXPECT_EQ(result->repairs[0].changed, 1);
  EXPECT_TRUE(same_bits(test::constant_of_graph(result->prepared, "shared"), *graph.value(w).constant));
  ASSERT_EQ(result->repairs[0].skipped.size(), 2u);
  EXPECT_NE(result->repairs[0].skipped[1].find("other nodes read"), std::string::npos)
      << result->repairs[0].skipped[1];
}

TEST(RepairJob, MistakesAreRefusedBeforeTheWork) {
  QuantizationOptions both = four_bits({"adaround", "gptq"});
  EXPECT_NE(run(both).status().message().find("name one of them"), std::string::npos);
  QuantizationOptions bad = four_bits({"smooth_quant"});
  bad.repair.smooth_quant->alpha = 1.5;
  EXPECT_NE(run(bad).status().message().find("alpha"), std::string::npos);
  RepairOptions options;
  const Status unknown = set_repair_method(options, "adaruond");
  EXPECT_NE(unknown.message().find("'adaround'"), std::string::npos) << unknown.message();
  QuantizeJob job;
  const auto without = quantize_network(network(), SelectiveQuantizer(four_bits({"gptq"})), job);
  EXPECT_NE(without.status().message().find("--data"), std::string::npos) << without.status().message();
}

TEST(RepairJob, CancellingStopsIt) {
  const CancelFlag cancel{true};
  const RandomImages data;
  QuantizeJob job;
  job.calibration = &data;
  job.run.cancel = &cancel;
  const auto result = quantize_network(network(), SelectiveQuantizer(four_bits({"bias_absorption"})), job);
  EXPECT_EQ(result.status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace octet
