// Bias correction: what it promises of means, and the normal integrals behind the analytic form.
#include <cmath>
#include <limits>

#include "arith/quantize.h"
#include "octet/pipeline.h"
#include "quantization/small_networks.h"
#include "repair/channel_sums.h"
#include "repair/expected_inputs.h"
#include "repair/host.h"
#include "repair/steps.h"

namespace octet {
namespace {

using octet::testing::NetBuilder;
using test::RandomHost;

TEST(ClippedNormal, EqualsTheIntegral) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (double mean : {-2.0, 0.0, 0.7, 5.0})
    for (double deviation : {0.1, 1.0, 3.0})
      for (const auto& [lo, hi] :
           {std::pair{0.0, kInf}, std::pair{0.0, 6.0}, std::pair{-1.0, 1.0}, std::pair{-kInf, 2.0}}) {
        double sum = 0;
        constexpr int kSteps = 200000;
        for (int i = 0; i < kSteps; ++i) {
          const double z = -10 + 20 * (i + 0.5) / kSteps;
          sum += std::clamp(mean + deviation * z, lo, hi) * std::exp(-z * z / 2) / std::sqrt(2 * M_PI) * 20 / kSteps;
        }
        EXPECT_NEAR(repair::clipped_normal_mean(mean, deviation, lo, hi), sum, 1e-6) << mean << " " << deviation;
      }
  EXPECT_EQ(repair::clipped_normal_mean(-1, 0, 0, kInf), 0);
}

// conv - relu - conv with 4-bit weights, quantized by the library's own steps.
struct Quantized {
  Graph graph;
  SelectiveQuantizer quantizer;
  QuantizationPlan plan;
};

Quantized quantized(const Graph& graph, const std::string& precision) {
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  QuantizationRule rule;
  rule.op = "Conv";
  rule.precision = precision;
  options.rules = {rule};
  Quantized q{graph, SelectiveQuantizer(options), {}};
  const auto decisions = q.quantizer.prepare(graph);
  EXPECT_TRUE(decisions.is_ok()) << decisions.status().message();
  std::map<std::string, TensorStatistics> statistics;
  ExecutorOptions taps;
  taps.taps = decisions->tensors_to_observe();
  const auto executor = Executor::create(graph, taps);
  const RandomHost host(graph, 8);
  for (int64_t b = 0; b < 8; ++b)
    EXPECT_TRUE((*executor)
                    ->run(*host.load(b),
                          [&](size_t t, const TensorView& v) {
                            statistics[taps.taps[t]].add(static_cast<const float*>(v.data), v.numel);
                          })
                    .is_ok());
  const auto ranges = q.quantizer.calibrate(graph, *decisions, statistics);
  EXPECT_TRUE(ranges.is_ok());
  const auto plan = q.quantizer.finish(graph, *ranges);
  EXPECT_TRUE(plan.is_ok()) << plan.status().message();
  q.plan = *plan;
  return q;
}

Graph two_layers() {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 3, 8, 8});
  const ValueId v = b.op("Conv", "first", {x, b.constant("first.weight", {8, 3, 3, 3}, 0.3f)});  // no bias yet
  return b.finish({b.conv("second", b.relu("r", v), 8, 6)});
}

// Largest difference of a channel's mean between two networks, over the host's images.
double largest_shift(const Graph& a, const Graph& b, const std::string& tensor, const RepairHost& host) {
  const auto x = repair::channel_sums(a, {{tensor, 1}}, host, ""),
             y = repair::channel_sums(b, {{tensor, 1}}, host, "");
  EXPECT_TRUE(x.is_ok() && y.is_ok());
  double most = 0;
  const auto mx = (*x)[0].moments().mean, my = (*y)[0].moments().mean;
  for (size_t c = 0; c < mx.size(); ++c) most = std::max(most, std::fabs(mx[c] - my[c]));
  return most;
}

TEST(BiasCorrection, EmpiricalMakesTheMeansEqual) {
  const Quantized q = quantized(two_layers(), "w4a8");
  const RandomHost host(q.graph, 12);
  QuantizationPlan plan = q.plan;
  plan.fingerprint.clear();
  const Graph before = *q.quantizer.quantize_module(q.graph, plan);
  EXPECT_GT(largest_shift(q.graph, before, "second_out", host), 1e-2);
  Graph repaired = q.graph;
  const auto step = repair::correct_biases_empirically({q.graph, repaired, q.quantizer, q.plan}, host);
  ASSERT_TRUE(step.is_ok()) << step.status().message();
  EXPECT_EQ(step->changed, 2);
  ASSERT_TRUE(repaired.find_node("first")->has_input(2)) << "it got a bias";
  const Graph after = *q.quantizer.quantize_module(repaired, plan);
  for (const char* tensor : {"first_out", "second_out"})
    EXPECT_LT(largest_shift(q.graph, after, tensor, host), 1e-5) << tensor;
}

TEST(BiasCorrection, AnalyticTakesOffWeightErrorTimesExpectedInput) {
  const Quantized q = quantized(two_layers(), "int4");
  const RandomHost host(q.graph, 12);
  Graph repaired = q.graph;
  const auto step = repair::correct_biases_analytically({q.graph, repaired, q.quantizer, q.plan}, host, {});
  ASSERT_TRUE(step.is_ok()) << step.status().message();
  EXPECT_EQ(step->changed, 2);
  const auto mean = (*repair::channel_sums(q.graph, {{"r_out", 1}}, host, ""))[0].moments().mean;
  const Tensor w = test::constant_of_graph(q.graph, "second.weight");
  const Tensor rounded = *fake_quantize(w, *q.plan.params_of("second.weight"));
  const Tensor old_bias = test::constant_of_graph(q.graph, "second.bias"),
               bias = test::constant_of_graph(repaired, "second.bias");
  for (int64_t o = 0; o < 6; ++o) {
    double expected = old_bias.data<float>()[o];
    for (int64_t i = 0; i < 8; ++i)
      for (int64_t k = 0; k < 9; ++k) {
        const int64_t e = (o * 8 + i) * 9 + k;
        expected -=
            (static_cast<double>(rounded.data<float>()[e]) - w.data<float>()[e]) * mean[static_cast<size_t>(i)];
      }
    EXPECT_NEAR(bias.data<float>()[o], expected, 1e-5);
  }
}

TEST(BiasCorrection, AnalyticTrustsBatchNormalization) {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 3, 8, 8});
  const ValueId ones = b.graph.add_constant("var", Tensor::from<float>({8}, std::vector<float>(8, 1.0f)));
  ValueId v = b.op(
      "BatchNormalization", "bn",
      {b.conv("first", x, 3, 8), b.constant("gamma", {8}), b.constant("beta", {8}), b.constant("mean", {8}), ones});
  const Graph original = b.finish({b.conv("second", b.relu("r", v), 8, 6)});
  const auto moments = batch_norm_moments(original);
  ASSERT_EQ(moments.size(), 1u);
  const Graph folded = *simplify_network(original);
  const auto means = repair::expected_means(folded, moments);
  const ValueId relu = folded.find_value("r_out");
  ASSERT_EQ(means.count(relu), 1u);
  const Tensor beta = test::constant_of_graph(original, "beta"), gamma = test::constant_of_graph(original, "gamma");
  for (size_t c = 0; c < 8; ++c)
    EXPECT_NEAR(means.at(relu)[c],
                repair::clipped_normal_mean(beta.data<float>()[c], std::fabs(gamma.data<float>()[c]), 0, 1e300),
                1e-9);
  const Quantized q = quantized(folded, "int4");
  Graph repaired = q.graph;
  const auto step =
      repair::correct_biases_analytically({q.graph, repaired, q.quantizer, q.plan}, RandomHost(q.graph, 2), moments);
  ASSERT_TRUE(step.is_ok()) << step.status().message();
  EXPECT_NE(step->summary.find("of 1 came from batch normalization, of 1 from images"), std::string::npos)
      << step->summary;
}

TEST(BiasCorrection, ExpectedMeansOfHostileGraphsTakeNoTime) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 2, 4, 4});
  ValueId v = b.conv("first", x, 2, 2);
  for (int i = 0; i < 200; ++i) v = b.op("Add", "a" + std::to_string(i), {v, v});
  const Graph g = b.finish({v});
  const auto means = repair::expected_means(g, {{"first_out", {{1, 2}, {1, 1}}}});
  EXPECT_EQ(means.size(), 201u);
}

}  // namespace
}  // namespace octet
