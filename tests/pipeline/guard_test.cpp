// The selective regime's check: a layer that 8 bits ruin is found and stays in float.
#include "pipeline/guard.h"

#include <gtest/gtest.h>

#include "support/compare.h"
#include "support/random_graph.h"

namespace octet {
namespace {

// Depthwise convolution whose channels differ by a factor of 4,000 in size and whose weights undo that: per-tensor
// rounding of the input wipes out the small channels.
Graph lopsided_network() {
  Graph g;
  g.name = "lopsided";
  test::Random random(5);
  const ValueId x = g.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(16), Dim::of(6), Dim::of(6)});
  g.inputs = {x};
  Tensor spread(DType::kFloat32, {16, 16, 1, 1}), undo(DType::kFloat32, {16, 1, 3, 3}),
      fine = test::random_tensor(random, {16, 16, 3, 3});
  std::fill_n(spread.data<float>(), spread.numel(), 0.0f);
  for (int64_t c = 0; c < 16; ++c) {
    const float size = c < 2 ? 4000.0f : 1.0f;
    spread.data<float>()[c * 16 + c] = size;
    for (int64_t k = 0; k < 9; ++k) undo.data<float>()[c * 9 + k] = static_cast<float>(random.real(0.5, 1.0)) / size;
  }
  const auto conv = [&](ValueId in, Tensor w, const char* name, int64_t groups) {
    const ValueId weight = g.add_constant(std::string(name) + ".weight", std::move(w));
    g.add_node("Conv", {in, weight}, {std::string(name) + ".out"},
               {{"group", groups},
                {"pads", weight >= 0 && groups == 1 && g.value(weight).constant->dim(2) == 1
                             ? std::vector<int64_t>{0, 0, 0, 0}
                             : std::vector<int64_t>{1, 1, 1, 1}}},
               name);
    return g.find_value(std::string(name) + ".out");
  };
  const ValueId a = conv(x, spread, "spread", 1);
  const ValueId b = conv(a, undo, "depthwise", 16);
  g.outputs = {conv(b, fine, "plain", 1)};
  return g;
}

class Images : public Dataset {
 public:
  int64_t size() const override { return 16; }
  std::string describe() const override { return "random"; }
  Result<Sample> get(int64_t index) const override {
    test::Random random(static_cast<uint64_t>(index) + 1);
    Sample s;
    s.inputs = {test::random_tensor(random, {16, 6, 6}, 0.0, 1.0)};
    return s;
  }
};

TEST(Guard, KeepsOnlyTheRuinedLayerInFloat) {
  const Graph graph = lopsided_network();
  const Images data;
  QuantizeJob job;
  job.calibration = &data;
  job.images = 16;
  job.min_layer_sqnr_db = 0;
  const SelectiveQuantizer quantizer;
  const auto unguarded = quantize_network(graph, quantizer, job);
  ASSERT_TRUE(unguarded.is_ok()) << unguarded.status().message();
  const auto losses = isolated_losses(unguarded->prepared, unguarded->plan, data, {0, 1, 2, 3}, {});
  ASSERT_TRUE(losses.is_ok()) << losses.status().message();
  ASSERT_EQ(losses->size(), 3u);
  EXPECT_LT((*losses)[1].sqnr_db, 15) << "the depthwise convolution";
  EXPECT_GT((*losses)[0].sqnr_db, 30);
  EXPECT_GT((*losses)[2].sqnr_db, 30);

  job.min_layer_sqnr_db = 20;
  const auto guarded = quantize_network(graph, quantizer, job);
  ASSERT_TRUE(guarded.is_ok()) << guarded.status().message();
  for (const NodePlan& n : guarded->plan.nodes) {
    if (n.name == "depthwise") {
      EXPECT_EQ(n.decision, NodeDecision::kFloat);
      EXPECT_NE(n.why.find("dB above the noise"), std::string::npos) << n.why;
    } else if (n.op_type == "Conv") {
      EXPECT_EQ(n.decision, NodeDecision::kQuantized) << n.name << ": " << n.why;
    }
  }
  EXPECT_EQ(guarded->ranges.tensors.count("depthwise.weight"), 0u);
  ASSERT_EQ(guarded->ranges.left_out.count("depthwise.weight"), 1u);
  ASSERT_EQ(guarded->plan.notes.size(), 1u);
  EXPECT_NE(guarded->plan.notes[0].find("'depthwise' only "), std::string::npos) << guarded->plan.notes[0];
  // The saved ranges alone lead to the same network again.
  job.ranges = guarded->ranges;
  const auto again = quantize_network(graph, quantizer, job);
  ASSERT_TRUE(again.is_ok()) << again.status().message();
  EXPECT_EQ(test::operators(again->quantized), test::operators(guarded->quantized));
  EXPECT_EQ(again->plan.notes, guarded->plan.notes) << "the reason is in the ranges";
}

TEST(Guard, TheMeasuredFigureAndTheLimitAreToldApart) {
  const Graph graph = lopsided_network();
  const Images data;
  QuantizeJob job;
  job.calibration = &data;
  job.images = 16;
  job.min_layer_sqnr_db = 0;
  const SelectiveQuantizer quantizer;
  const auto unguarded = quantize_network(graph, quantizer, job);
  ASSERT_TRUE(unguarded.is_ok());
  const auto losses = isolated_losses(unguarded->prepared, unguarded->plan, data, {0, 1, 2, 3, 4, 5, 6, 7}, {});
  ASSERT_TRUE(losses.is_ok());
  job.min_layer_sqnr_db = (*losses)[1].sqnr_db + 1e-4;
  const auto guarded = quantize_network(graph, quantizer, job);
  ASSERT_TRUE(guarded.is_ok());
  const std::string& why = guarded->ranges.left_out.at("depthwise.weight");
  const std::string measured = why.substr(why.find("only ") + 5, why.find(" dB above") - why.find("only ") - 5);
  EXPECT_EQ(why.find("is " + measured + " dB"), std::string::npos) << why;
}

TEST(Guard, TheNaiveRegimeIsLeftAlone) {
  const Graph graph = lopsided_network();
  const Images data;
  QuantizationOptions options;
  options.regime = Regime::kNaive;
  QuantizeJob job;
  job.calibration = &data;
  job.images = 16;
  const auto result = quantize_network(graph, SelectiveQuantizer(options), job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  for (const NodePlan& n : result->plan.nodes) EXPECT_EQ(n.decision, NodeDecision::kQuantized) << n.name;
}

TEST(Guard, LayersOfFourBitsAreNotJudged) {
  const Graph graph = lopsided_network();
  const Images data;
  QuantizationOptions options;
  QuantizationRule rule;
  rule.name = "plain";
  rule.weights = "int4";
  options.rules = {rule};
  QuantizeJob job;
  job.calibration = &data;
  job.images = 16;
  job.min_layer_sqnr_db = 60;  // nobody reaches it
  const auto result = quantize_network(graph, SelectiveQuantizer(options), job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  for (const NodePlan& n : result->plan.nodes)
    EXPECT_EQ(n.decision, n.name == "plain" ? NodeDecision::kQuantized : NodeDecision::kFloat) << n.name << n.why;
  EXPECT_EQ(result->plan.tensors.at("plain.weight").dtype, DType::kInt4);
}

}  // namespace
}  // namespace octet
