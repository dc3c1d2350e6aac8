#include "passes/net.h"

namespace octet::test {
namespace {

TEST(FoldConstants, ComputesChains) {
  Net net;
  const ValueId a = net.op("Mul", {net.floats({3}), net.floats({3})});
  const ValueId row = net.op("Unsqueeze", {net.op("Add", {a, net.number(2)}), net.ints({1, 2})});
  net.output(net.op("Add", {net.input("x", {-1, 3, 4, 4}), row}));
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0), 3);
  EXPECT_EQ(operators(net.graph), "Add");
}

TEST(FoldConstants, ComputesConstantNodesAndConstantOfShape) {
  Net net;
  const ValueId c = net.op("Constant", {}, {{"value", Tensor::from<float>({2}, {1, 2})}});
  const ValueId z = net.op("ConstantOfShape", {net.ints({3, 2})}, {{"value", Tensor::from<float>({1}, {0.5F})}});
  net.output(net.op("Add", {net.op("Add", {net.input("x", {3, 2}), c}), z}));
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0), 2);
  EXPECT_EQ(operators(net.graph), "Add Add");
}

TEST(FoldConstants, FoldsSplitIntoAllItsOutputs) {
  Net net;
  const size_t split = net.graph.add_node("Split", {net.floats({4, 2})}, {"a", "b"}, {{"axis", int64_t{0}}});
  const std::vector<ValueId> halves = net.graph.nodes[split].outputs;
  net.output(net.op("Add", {net.op("Add", {net.input("x", {2, 2}), halves[0]}), halves[1]}));
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0), 1);
}

TEST(FoldConstants, KeepsOutputsAndRandomOperators) {
  Net net;
  net.output(net.op("Relu", {net.floats({3})}));
  net.output(net.op("Add", {net.input("x", {3}), net.op("RandomUniform", {}, {{"shape", std::vector<int64_t>{3}}})}));
  ASSERT_TRUE(infer_shapes(net.graph).is_ok());
  EXPECT_EQ(*fold_constants(net.graph, {}), 0);
}

TEST(FoldConstants, KeepsQuantizedWeightsUnlessAsked) {
  Net net;
  const ValueId q = net.op("QuantizeLinear", {net.floats({2, 3, 1, 1}), net.number(0.01F)});
  const ValueId w = net.op("DequantizeLinear", {q, net.number(0.01F)});
  net.output(net.op("Conv", {net.input("x", {-1, 3, 4, 4}), w}));
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0), 0);
  PassOptions options;
  options.fold_quantized_weights = true;
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0, options), 2);
  EXPECT_EQ(operators(net.graph), "Conv");
}

TEST(FoldConstants, KeepsWhatWouldGrowTheFile) {
  Net net;
  const ValueId big = net.op("Expand", {net.floats({1, 1}), net.ints({600, 600})});
  net.output(net.op("Add", {net.input("x", {600, 600}), big}));
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0), 0);
  PassOptions options;
  options.fold_limit_bytes = 2 << 20;
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0, options), 1);
}

TEST(FoldConstants, DoesNotAllocateWhatAHostileFileAsksFor) {
  Net net;
  const int64_t huge = int64_t{1} << 30;
  const ValueId a = net.op("ConstantOfShape", {net.ints({huge, 4})});
  const ValueId b = net.op("Tile", {net.floats({1, 1}), net.ints({huge, 4})});
  net.output(net.op("Add", {net.op("Add", {net.input("x", {1, 4}), a}), b}));
  (void)infer_shapes(net.graph);
  EXPECT_EQ(*fold_constants(net.graph, {}), 0);
}

TEST(FoldConstants, FoldsShapeOfStaticValues) {
  Net net;
  const ValueId x = net.input("x", {2, 3, 4});
  net.output(net.op("Reshape", {net.op("Relu", {x}), net.op("Shape", {x})}));
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0), 1);
  EXPECT_EQ(operators(net.graph), "Relu Reshape");
}

TEST(FoldConstants, FoldsStaticPartsOfSymbolicShapes) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 5});
  const ValueId shape = net.op("Shape", {x});
  auto gathered = [&](int64_t i) {
    const ValueId at = net.graph.add_constant("at", Tensor::scalar<int64_t>(i));
    return net.op("Unsqueeze", {net.op("Gather", {shape, at}), net.ints({0})});
  };
  const ValueId tail = net.op("Slice", {shape, net.ints({2}), net.ints({4}), net.ints({0})});
  const ValueId target = net.op("Concat", {gathered(0), gathered(-3), tail}, {{"axis", int64_t{0}}});
  net.output(net.op("Reshape", {net.op("Relu", {x}), target}));
  // Gather and Unsqueeze of the channels and the Slice go; those of the batch and the Concat stay.
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0), 3);
  EXPECT_EQ(count_nodes(net.graph, "Gather"), 1);
  EXPECT_EQ(count_nodes(net.graph, "Slice"), 0);
  EXPECT_EQ(count_nodes(net.graph, "Concat"), 1);
}

TEST(FoldConstants, FoldsSizeOfStaticValuesOnly) {
  Net net;
  const ValueId x = net.input("x", {2, 3});
  const ValueId y = net.input("y", {-1, 3});
  auto as_float = [&](ValueId id) { return net.op("Cast", {net.op("Size", {id})}, {{"to", int64_t{1}}}); };
  net.output(net.op("Mul", {x, as_float(x)}));
  net.output(net.op("Mul", {y, as_float(y)}));
  EXPECT_EQ(apply(net.graph, fold_constants, 0.0), 2);
  EXPECT_EQ(count_nodes(net.graph, "Size"), 1);
}

TEST(FoldConstants, LeavesABrokenNodeForTheRunToReport) {
  Net net;
  const ValueId bad = net.op("Gather", {net.floats({3}), net.ints({7})});
  net.output(net.op("Add", {net.input("x", {1}), bad}));
  (void)infer_shapes(net.graph);
  const Result<int> rewrites = fold_constants(net.graph, {});
  ASSERT_TRUE(rewrites.is_ok());
  EXPECT_EQ(*rewrites, 0);
}

}  // namespace
}  // namespace octet::test
