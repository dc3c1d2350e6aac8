// Fisher scores against the formula, and on a layer that must come first.
#include <gtest/gtest.h>

#include <cmath>

#include "arith/quantize.h"
#include "octet/train.h"
#include "search/support.h"

namespace octet {
namespace {

// One row of classes: logits = x * w^T.
Graph classifier() {
  Graph g;
  g.name = "linear";
  g.opset = 17;
  test::Random random(3);
  const ValueId x = g.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(4)});
  const ValueId w = g.add_constant("fc.weight", test::random_tensor(random, {3, 4}));
  g.inputs = {x};
  g.add_node("Gemm", {x, w}, {"y"}, {{"transB", int64_t{1}}}, "fc");
  g.outputs = {g.find_value("y")};
  g.value(g.outputs[0]).dtype = DType::kFloat32;
  g.value(g.outputs[0]).shape = Shape{Dim::named("N"), Dim::of(3)};
  return g;
}

QuantizationOptions coarse() {
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  options.rules.push_back({.op = "Gemm", .precision = "w4a8"});
  return options;
}

// -log softmax(logits)[label] has the gradient softmax - one-hot; the label is one of three that the network draws.
TEST(Fisher, OfALinearLayerIsTheFormula) {
  const Graph graph = classifier();
  const test::FormulaData data({4}, 16, false);
  QuantizeResult q = test::quantized(graph, coarse(), data);
  std::erase_if(q.plan.tensors, [](const auto& t) { return t.first != "fc.weight"; });
  const auto scores = fisher_scores(q.prepared, q.plan, {{"fc"}}, data, {5});
  ASSERT_TRUE(scores.is_ok()) << scores.status().message();
  const Tensor x = data.get(5)->inputs[0], w = *q.prepared.value(q.prepared.find_value("fc.weight")).constant;
  const auto rounded = fake_quantize(w, *q.plan.params_of("fc.weight"));
  ASSERT_TRUE(rounded.is_ok());
  double shares[3], total = 0;
  for (int c = 0; c < 3; ++c) {
    double logit = 0;
    for (int k = 0; k < 4; ++k) logit += static_cast<double>(w.data<float>()[c * 4 + k]) * x.data<float>()[k];
    total += shares[c] = std::exp(logit);
  }
  double nearest = 1;
  for (int label = 0; label < 3; ++label) {
    double sum = 0;
    for (int c = 0; c < 3; ++c)
      for (int k = 0; k < 4; ++k) {
        const double gradient = (shares[c] / total - (c == label ? 1 : 0)) * x.data<float>()[k];
        const double error = static_cast<double>(w.data<float>()[c * 4 + k]) - rounded->data<float>()[c * 4 + k];
        sum += gradient * gradient * error * error;
      }
    nearest = std::min(nearest, std::fabs((*scores)[0] / (sum / 2) - 1));
  }
  EXPECT_LT(nearest, 1e-4);
}

TEST(Fisher, FindsTheRuinedLayerAndIsTheSameAgain) {
  Graph graph = test::residual_network(7);
  Tensor w = graph.value(graph.find_value("block.a.weight")).constant->clone();
  for (int64_t i = 0; i < 9; ++i) w.data<float>()[i] *= 300;
  graph.value(graph.find_value("block.a.weight")).constant = w;
  const test::FormulaData data({3, 12, 12}, 16, false);
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  options.per_channel = false;
  const QuantizeResult q = test::quantized(graph, options, data);
  const std::vector<std::vector<std::string>> units = {{"stem"}, {"block.a"}, {"fc"}};
  const auto scores = fisher_scores(q.prepared, q.plan, units, data, {0, 1, 2, 3});
  ASSERT_TRUE(scores.is_ok()) << scores.status().message();
  EXPECT_GT((*scores)[1], 10 * (*scores)[0]);
  EXPECT_GT((*scores)[1], 10 * (*scores)[2]);
  EXPECT_EQ(*fisher_scores(q.prepared, q.plan, units, data, {0, 1, 2, 3}), *scores);
}

TEST(Fisher, WorksWithoutClasses) {
  Graph graph = test::residual_network(5);
  graph.outputs = {graph.find_value("block.relu.out")};
  graph.value(graph.outputs[0]).dtype = DType::kFloat32;
  const test::FormulaData data({3, 12, 12}, 8, false);
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  const QuantizeResult q = test::quantized(graph, options, data);
  const auto scores = fisher_scores(q.prepared, q.plan, {{"stem"}, {"block.b"}}, data, {0, 1});
  ASSERT_TRUE(scores.is_ok()) << scores.status().message();
  EXPECT_GT((*scores)[0], 0);
  EXPECT_GT((*scores)[1], 0);
}

}  // namespace
}  // namespace octet
