#include <cmath>

#include "passes/net.h"

namespace octet::test {
namespace {

Attributes attrs(int64_t group, int64_t stride = 1, int64_t dilation = 1) {
  return {{"group", group},
          {"strides", std::vector<int64_t>{stride, stride}},
          {"dilations", std::vector<int64_t>{dilation, dilation}}};
}

void expect_folded(Net& net, const std::string& operators_after) {
  EXPECT_EQ(apply(net.graph, fold_batch_norm, 2e-6), 1);
  EXPECT_EQ(operators(net.graph), operators_after);
  EXPECT_EQ(apply(net.graph, fold_batch_norm, 0.0), 0);
}

void expect_kept(Net& net) {
  EXPECT_EQ(apply(net.graph, fold_batch_norm, 0.0), 0);
  EXPECT_EQ(count_nodes(net.graph, "BatchNormalization"), 1);
}

struct ConvCase {
  const char* op;
  int64_t ic, oc, group, stride, dilation;
  bool bias;
};

class FoldIntoConv : public ::testing::TestWithParam<ConvCase> {};

TEST_P(FoldIntoConv, GivesTheSameOutputs) {
  const ConvCase& c = GetParam();
  const bool transposed = std::string(c.op) == "ConvTranspose";
  Net net;
  const ValueId x = net.input("x", {-1, c.ic, 7, 6});
  const Dims weight = transposed ? Dims{c.ic, c.oc / c.group, 3, 2} : Dims{c.oc, c.ic / c.group, 3, 2};
  std::vector<ValueId> in = {x, net.floats(weight)};
  if (c.bias) in.push_back(net.floats({c.oc}));
  net.output(net.batch_norm(net.op(c.op, in, attrs(c.group, c.stride, c.dilation)), c.oc, {{"epsilon", 1e-3F}}));
  expect_folded(net, c.op);
  EXPECT_EQ(net.graph.nodes[0].inputs.size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, FoldIntoConv,
    ::testing::Values(ConvCase{"Conv", 3, 4, 1, 1, 1, true}, ConvCase{"Conv", 3, 4, 1, 2, 1, false},
                      ConvCase{"Conv", 4, 6, 2, 1, 1, true}, ConvCase{"Conv", 4, 4, 4, 1, 2, false},
                      ConvCase{"Conv", 3, 6, 3, 2, 2, true}, ConvCase{"ConvTranspose", 3, 5, 1, 1, 1, true},
                      ConvCase{"ConvTranspose", 4, 6, 2, 2, 1, true}, ConvCase{"ConvTranspose", 4, 6, 2, 1, 2, false},
                      ConvCase{"ConvTranspose", 4, 4, 4, 2, 2, true}, ConvCase{"ConvTranspose", 6, 9, 3, 2, 1, false},
                      ConvCase{"ConvTranspose", 4, 8, 4, 1, 1, false}));

struct GemmCase {
  bool trans_b;
  float alpha, beta;
  int bias;  // 0: none, 1: [n], 2: [1, n], 3: scalar, 4: [1]
};

class FoldIntoGemm : public ::testing::TestWithParam<GemmCase> {};

TEST_P(FoldIntoGemm, GivesTheSameOutputs) {
  const GemmCase& c = GetParam();
  Net net;
  std::vector<ValueId> in = {net.input("x", {-1, 5}), net.floats(c.trans_b ? Dims{4, 5} : Dims{5, 4})};
  const Dims shapes[] = {{}, {4}, {1, 4}, {}, {1}};
  if (c.bias != 0) in.push_back(net.floats(shapes[c.bias]));
  const Attributes a = {{"transB", int64_t{c.trans_b}}, {"alpha", c.alpha}, {"beta", c.beta}};
  net.output(net.batch_norm(net.op("Gemm", in, a), 4));
  expect_folded(net, "Gemm");
}

INSTANTIATE_TEST_SUITE_P(Forms, FoldIntoGemm,
                         ::testing::Values(GemmCase{false, 1, 1, 1}, GemmCase{true, 1, 1, 1},
                                           GemmCase{true, 0.5F, 3, 2}, GemmCase{false, 2, 0.25F, 3},
                                           GemmCase{true, -1, 0, 1}, GemmCase{false, 1, 2, 0},
                                           GemmCase{true, 1, -1, 4}));

TEST(FoldBatchNorm, TurnsMatMulIntoGemm) {
  Net net;
  net.output(net.batch_norm(net.op("MatMul", {net.input("x", {-1, 5}), net.floats({5, 3})}), 3));
  expect_folded(net, "Gemm");
}

TEST(FoldBatchNorm, TakesTheFormulaInDouble) {
  Net net;
  const ValueId x = net.input("x", {1, 1, 1, 1});
  auto one = [&](float v) { return net.graph.add_constant("p", Tensor::from<float>({1}, {v})); };
  const ValueId w = net.graph.add_constant("w", Tensor::from<float>({1, 1, 1, 1}, {3.0F}));
  const ValueId y = net.op("Conv", {x, w, one(0.5F)});
  net.output(net.op("BatchNormalization", {y, one(1.7F), one(-0.3F), one(0.2F), one(2.5F)}, {{"epsilon", 1e-3F}}));
  ASSERT_TRUE(infer_shapes(net.graph).is_ok());
  ASSERT_EQ(*fold_batch_norm(net.graph, {}), 1);
  const double s = static_cast<double>(1.7F) / std::sqrt(2.5 + static_cast<double>(1e-3F));
  const Node& conv = net.graph.nodes[0];
  EXPECT_EQ(net.graph.value(conv.inputs[1]).constant->data<float>()[0], static_cast<float>(3.0 * s));
  EXPECT_EQ(net.graph.value(conv.inputs[2]).constant->data<float>()[0],
            static_cast<float>(0.5 * s + (static_cast<double>(-0.3F) - static_cast<double>(0.2F) * s)));
}

TEST(FoldBatchNorm, CopiesSharedWeights) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 4});
  const ValueId w = net.floats({3, 3, 1, 1});
  const ValueId b = net.floats({3});
  net.output(net.batch_norm(net.op("Conv", {x, w, b}), 3));
  net.output(net.op("Conv", {net.op("Relu", {x}), w, b}));
  const Tensor original = net.graph.value(w).constant->clone();
  EXPECT_EQ(apply(net.graph, fold_batch_norm, 2e-6), 1);
  EXPECT_TRUE(same_bits(*net.graph.value(w).constant, original));
  EXPECT_NE(net.graph.nodes[0].inputs[1], w);
}

TEST(FoldBatchNorm, DoesNotWriteIntoABufferThatAnotherGraphHolds) {
  Net net;
  const ValueId w = net.floats({3, 3, 1, 1});
  net.output(net.batch_norm(net.op("Conv", {net.input("x", {-1, 3, 4, 4}), w}), 3));
  const Graph copy = net.graph;
  const Tensor original = copy.value(w).constant->clone();
  ASSERT_EQ(*fold_batch_norm(net.graph, {}), 1);
  EXPECT_TRUE(same_bits(*copy.value(w).constant, original));
}

TEST(FoldBatchNorm, KeepsWhatOthersRead) {
  Net net;
  const ValueId y = net.op("Conv", {net.input("x", {-1, 3, 4, 4}), net.floats({2, 3, 1, 1})});
  net.output(net.batch_norm(y, 2));
  net.output(net.op("Relu", {y}));
  expect_kept(net);
}

TEST(FoldBatchNorm, KeepsGraphOutputs) {
  Net net;
  const ValueId y = net.op("Conv", {net.input("x", {-1, 3, 4, 4}), net.floats({2, 3, 1, 1})});
  net.output(net.batch_norm(y, 2));
  net.output(y);
  expect_kept(net);
}

TEST(FoldBatchNorm, KeepsOneWithoutWeightsBefore) {
  Net net;
  net.output(net.batch_norm(net.op("Relu", {net.input("x", {-1, 3, 4, 4})}), 3));
  expect_kept(net);
}

TEST(FoldBatchNorm, KeepsOneBehindComputedWeights) {
  Net net;
  const ValueId q = net.graph.add_constant("q", Tensor::from<int8_t>({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}));
  const ValueId w = net.op("DequantizeLinear", {q, net.number(0.1F)});
  net.output(net.batch_norm(net.op("Conv", {net.input("x", {-1, 3, 4, 4}), w}), 2));
  expect_kept(net);
}

TEST(FoldBatchNorm, KeepsOneWhoseResultWouldNotBeFinite) {
  Net net;
  const ValueId y = net.op("Conv", {net.input("x", {-1, 3, 4, 4}), net.floats({1, 3, 1, 1})});
  auto one = [&](float v) { return net.graph.add_constant("p", Tensor::from<float>({1}, {v})); };
  net.output(net.op("BatchNormalization", {y, one(1), one(0), one(0), one(-1)}));
  ASSERT_TRUE(infer_shapes(net.graph).is_ok());
  EXPECT_EQ(*fold_batch_norm(net.graph, {}), 0);
}

TEST(FoldBatchNorm, KeepsGemmWithABiasPerRow) {
  Net net;
  const ValueId c = net.floats({2, 1});
  net.output(net.batch_norm(net.op("Gemm", {net.input("x", {2, 5}), net.floats({5, 4}), c}), 4));
  expect_kept(net);
}

TEST(FoldBatchNorm, KeepsMatMulOfHigherRank) {
  Net net;  // channels of the batch norm are on axis 1, those of the product on axis 2
  net.output(net.batch_norm(net.op("MatMul", {net.input("x", {-1, 3, 5}), net.floats({5, 3})}), 3));
  expect_kept(net);
}

}  // namespace
}  // namespace octet::test
