// Cross-layer equalization and bias absorption keep what a network computes.
#include <cmath>
#include <cstring>

#include "quantization/small_networks.h"
#include "repair/channel_path.h"
#include "repair/host.h"
#include "repair/steps.h"
#include "repair/weight_view.h"

namespace octet {
namespace {

using octet::testing::NetBuilder;
using test::RandomHost;

// Gives the output channels of a weight sizes from 1/100 to 100.
void unbalance(Graph& g, const std::string& weight, uint64_t seed) {
  test::Random random(seed);
  Tensor& w = *g.value(g.find_value(weight)).constant;
  const int64_t per = w.numel() / w.dim(0);
  for (int64_t c = 0; c < w.dim(0); ++c) {
    const auto factor = static_cast<float>(std::pow(10.0, random.real(-2, 2)));
    for (int64_t i = 0; i < per; ++i) w.data<float>()[c * per + i] *= factor;
  }
}

std::vector<double> out_ranges(const Graph& g, const std::string& node) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].name != node) continue;
    const auto view = repair::WeightView::of(g, i);
    std::vector<double> r(static_cast<size_t>(view->out_channels()), 0);
    for (int64_t e = 0; e < view->numel(); ++e) {
      double& most = r[static_cast<size_t>(view->out_of(e))];
      most = std::max(most, std::fabs(static_cast<double>(g.value(view->weight()).constant->data<float>()[e])));
    }
    return r;
  }
  return {};
}

std::vector<double> in_ranges(const Graph& g, const std::string& node) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].name != node) continue;
    const auto view = repair::WeightView::of(g, i);
    std::vector<double> r(static_cast<size_t>(view->in_channels()), 0);
    for (int64_t e = 0; e < view->numel(); ++e) {
      double& most = r[static_cast<size_t>(view->in_of(e))];
      most = std::max(most, std::fabs(static_cast<double>(g.value(view->weight()).constant->data<float>()[e])));
    }
    return r;
  }
  return {};
}

// conv - act - depthwise - act - pointwise, as in MobileNetV2.
Graph depthwise_chain(const std::string& activation) {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 3, 8, 8});
  const auto act = [&](const std::string& name, ValueId v) {
    if (activation == "PRelu") return b.op("PRelu", name, {v, b.constant(name + ".slope", {8, 1, 1}, 0.2f)});
    return b.op(activation, name, {v});
  };
  ValueId v = act("a1", b.conv("expand", x, 3, 8, 1));
  v = act("a2", b.conv("depthwise", v, 8, 8, 3, 8));
  Graph g = b.finish({b.conv("project", v, 8, 4, 1)});
  unbalance(g, "expand.weight", 3);
  unbalance(g, "depthwise.weight", 4);
  return g;
}

TEST(Equalization, ADepthwiseChainKeepsItsFunctionAndGetsEqualRanges) {
  for (const char* activation : {"Relu", "LeakyRelu", "PRelu", "Identity"}) {
    const Graph before = depthwise_chain(activation);
    Graph after = before;
    const RandomHost host(before, 4);
    const auto step = repair::equalize_layers(after, {}, host);
    ASSERT_TRUE(step.is_ok()) << step.status().message();
    EXPECT_EQ(step->changed, 2) << activation;
    EXPECT_TRUE(test::outputs_near(test::outputs_of(before), test::outputs_of(after), 1e-5)) << activation;
    const auto r1 = out_ranges(after, "expand"), r2 = in_ranges(after, "depthwise"), r3 = in_ranges(after, "project");
    for (size_t c = 0; c < 8; ++c) {
      EXPECT_NEAR(r1[c] / r2[c], 1, 0.01) << activation;  // both are sqrt(r1 r2)
      EXPECT_NEAR(r2[c] / r3[c], 1, 0.01) << activation;
    }
  }
}

TEST(Equalization, TheGraphThatWasCopiedKeepsItsWeights) {
  const Graph before = depthwise_chain("Relu");
  const Tensor w = test::constant_of_graph(before, "expand.weight").clone();
  Graph after = before;
  ASSERT_TRUE(repair::equalize_layers(after, {}, RandomHost(before, 1)).is_ok());
  EXPECT_TRUE(same_bits(w, test::constant_of_graph(before, "expand.weight")));
  EXPECT_FALSE(same_bits(w, test::constant_of_graph(after, "expand.weight")));
}

TEST(Equalization, PoolsGroupsTransposedConvolutionsAndMatricesTakePart) {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 4, 8, 8});
  ValueId v = b.relu("r1", b.conv("grouped", x, 4, 8, 3, 2));
  v = b.op("MaxPool", "pool", {v},
           {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  v = b.op("ConvTranspose", "up", {v, b.constant("up.weight", {8, 3, 2, 2}, 0.3f), b.constant("up.bias", {6})},
           {{"group", int64_t{2}}, {"strides", std::vector<int64_t>{2, 2}}});
  v = b.relu("r2", v);
  v = b.relu("r3", b.conv("last", v, 6, 5));
  v = b.op("Flatten", "flat", {b.op("GlobalAveragePool", "gap", {v})});
  v = b.relu("r4", b.op("Gemm", "fc1", {v, b.constant("fc1.weight", {7, 5}), b.constant("fc1.bias", {7})},
                        {{"transB", int64_t{1}}}));
  Graph before = b.finish({b.op("MatMul", "fc2", {v, b.constant("fc2.weight", {7, 3})})});
  unbalance(before, "grouped.weight", 5);
  unbalance(before, "last.weight", 6);
  unbalance(before, "fc1.weight", 7);
  Graph after = before;
  const auto step = repair::equalize_layers(after, {}, RandomHost(before, 1));
  ASSERT_TRUE(step.is_ok()) << step.status().message();
  EXPECT_EQ(step->changed, 4);
  EXPECT_TRUE(test::outputs_near(test::outputs_of(before), test::outputs_of(after), 1e-5));
  const auto r1 = out_ranges(after, "up"), r2 = in_ranges(after, "last");
  for (size_t c = 0; c < r1.size(); ++c) EXPECT_NEAR(r1[c] / r2[c], 1, 0.01);
}

TEST(Equalization, DeadChannelsAndResidualsStay) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 4, 6, 6});
  const ValueId r = b.relu("r1", b.conv("first", x, 4, 4));
  Graph g = b.finish({b.op("Add", "sum", {b.conv("second", r, 4, 4), b.op("Neg", "n", {r})})});
  Graph after = g;
  const auto step = repair::equalize_layers(after, {}, RandomHost(g, 1));
  ASSERT_TRUE(step.is_ok());
  EXPECT_EQ(step->changed, 0) << "Relu's result has another reader";
  ASSERT_EQ(step->skipped.size(), 2u);
  EXPECT_NE(step->skipped[0].find("'n' (Neg)"), std::string::npos) << step->skipped[0];

  Graph dead = depthwise_chain("Relu");
  Tensor& w = *dead.value(dead.find_value("depthwise.weight")).constant;
  std::fill_n(w.data<float>(), 9, 0.0f);
  Graph repaired = dead;
  ASSERT_TRUE(repair::equalize_layers(repaired, {}, RandomHost(dead, 1)).is_ok());
  EXPECT_TRUE(test::outputs_near(test::outputs_of(dead), test::outputs_of(repaired), 1e-5));
}

TEST(Equalization, SharedWeightsArePartedFirst) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 4, 6, 6});
  const ValueId w = b.constant("shared", {4, 4, 1, 1});
  ValueId v = x;
  for (const char* name : {"c1", "c2", "c3"}) v = b.relu(std::string(name) + "r", b.op("Conv", name, {v, w}));
  Graph before = b.finish({b.conv("end", v, 4, 2)});
  unbalance(before, "shared", 8);
  Graph after = before;
  const auto step = repair::equalize_layers(after, {}, RandomHost(before, 1));
  ASSERT_TRUE(step.is_ok()) << step.status().message();
  EXPECT_EQ(step->changed, 3);
  EXPECT_TRUE(test::outputs_near(test::outputs_of(before), test::outputs_of(after), 1e-5));
}

Graph clipped_chain(float size) {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 3, 8, 8});
  const ValueId lo = b.graph.add_constant("lo", Tensor::scalar(0.0f)),
                hi = b.graph.add_constant("hi", Tensor::scalar(6.0f));
  const ValueId v = b.op("Clip", "clip", {b.conv("first", x, 3, 8), lo, hi});
  Graph g = b.finish({b.conv("second", v, 8, 4)});
  Tensor& w = *g.value(g.find_value("first.weight")).constant;
  for (int64_t i = 0; i < w.numel(); ++i) w.data<float>()[i] *= size;
  return g;
}

TEST(Equalization, AClipThatCutsOffNothingBecomesRelu) {
  const Graph before = clipped_chain(0.3f);
  Graph after = before;
  const auto step = repair::equalize_layers(after, {}, RandomHost(before, 8));
  ASSERT_TRUE(step.is_ok());
  EXPECT_EQ(step->changed, 1);
  EXPECT_EQ(test::count_nodes(after, "Clip"), 0);
  EXPECT_EQ(test::count_nodes(after, "Relu"), 1);
  EXPECT_NE(step->summary.find("Relu, which cut off at most 0 %"), std::string::npos) << step->summary;
  EXPECT_TRUE(test::outputs_near(test::outputs_of(before), test::outputs_of(after), 1e-5));
}

TEST(Equalization, AClipThatCutsOffMuchStaysWithItsScales) {
  const Graph before = clipped_chain(20);
  Graph after = before;
  const auto step = repair::equalize_layers(after, {}, RandomHost(before, 8));
  ASSERT_TRUE(step.is_ok());
  EXPECT_EQ(step->changed, 0);
  EXPECT_EQ(test::count_nodes(after, "Clip"), 1);
  EXPECT_TRUE(test::outputs_identical(test::outputs_of(before), test::outputs_of(after)));
  Graph all = before;
  EqualizationOptions any;
  any.max_clipped = 1;
  ASSERT_TRUE(repair::equalize_layers(all, any, RandomHost(before, 8)).is_ok());
  EXPECT_EQ(test::count_nodes(all, "Clip"), 0) << "asked for";
}

TEST(Equalization, RandomNetworksComputeTheSame) {
  int changed = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    test::RandomGraphOptions options;
    options.with_dequantize = false;
    Graph before = test::random_cnn(seed, options);
    ASSERT_TRUE(run_passes(before).is_ok());
    Graph after = before;
    RepairOptions repair;
    repair.cross_layer_equalization.emplace();
    const auto steps = repair_float_network(after, repair, RandomHost(before, 2));
    ASSERT_TRUE(steps.is_ok()) << seed << ": " << steps.status().message();
    if (test::count_nodes(before, "Clip") != test::count_nodes(after, "Clip")) continue;  // not the same by design
    EXPECT_TRUE(test::outputs_near(test::outputs_of(before), test::outputs_of(after), 1e-5)) << seed;
    changed += (*steps)[0].changed > 0 ? 1 : 0;
  }
  EXPECT_GE(changed, 10);
}

// first has biases so high that its Relu rarely clips.
Graph biased_chain(int64_t kernel, int64_t group) {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 3, 8, 8});
  const ValueId v = b.relu("r", b.conv("first", x, 3, 8));
  Graph g = b.finish({b.conv("second", v, 8, 8, kernel, group)});
  Tensor& bias = *g.value(g.find_value("first.bias")).constant;
  for (int64_t c = 0; c < 4; ++c) bias.data<float>()[c] += 30.0f;
  return g;
}

TEST(Absorption, HighBiasesMoveOnAndTheFunctionStays) {
  for (int64_t group : {1, 8}) {
    const Graph before = biased_chain(1, group);
    Graph after = before;
    const auto step = repair::absorb_biases(after, {}, RandomHost(before, 16));
    ASSERT_TRUE(step.is_ok()) << step.status().message();
    EXPECT_EQ(step->changed, 1);
    const Tensor old_bias = test::constant_of_graph(before, "first.bias"),
                 bias = test::constant_of_graph(after, "first.bias");
    for (int64_t c = 0; c < 4; ++c) EXPECT_LT(bias.data<float>()[c], old_bias.data<float>()[c] - 10);
    for (int64_t c = 4; c < 8; ++c) EXPECT_EQ(bias.data<float>()[c], old_bias.data<float>()[c]);
    // Inputs are bounded, so with enough deviations nothing is clipped.
    Graph careful = before;
    AbsorptionOptions options;
    options.deviations = 6;
    ASSERT_TRUE(repair::absorb_biases(careful, options, RandomHost(before, 16)).is_ok());
    EXPECT_FALSE(same_bits(old_bias, test::constant_of_graph(careful, "first.bias")));
    EXPECT_TRUE(test::outputs_near(test::outputs_of(before), test::outputs_of(careful), 1e-5));
  }
}

TEST(Absorption, LayersThatPadAreLeftAlone) {
  const Graph before = biased_chain(3, 1);
  Graph after = before;
  const auto step = repair::absorb_biases(after, {}, RandomHost(before, 4));
  ASSERT_TRUE(step.is_ok());
  EXPECT_EQ(step->changed, 0);
  ASSERT_EQ(step->skipped.size(), 1u);
  EXPECT_NE(step->skipped[0].find("pads with zeros"), std::string::npos) << step->skipped[0];
  EXPECT_TRUE(test::outputs_identical(test::outputs_of(before), test::outputs_of(after)));
}

TEST(Repair, NoImagesIsAnError) {
  Graph g = biased_chain(1, 1);
  RepairOptions options;
  options.bias_absorption.emplace();
  const auto steps = repair_float_network(g, options, RandomHost(g, 0));
  ASSERT_FALSE(steps.is_ok());
  EXPECT_NE(steps.status().message().find("there are none"), std::string::npos) << steps.status().message();
}

}  // namespace
}  // namespace octet
