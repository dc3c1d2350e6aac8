#include "passes/net.h"

namespace octet::test {
namespace {

int merge(Net& net) { return apply(net.graph, eliminate_common_subexpressions, 0.0); }

TEST(CommonSubexpressions, MergesEqualNodesAndWhatFollows) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 4});
  const ValueId a = net.op("Relu", {net.op("Sigmoid", {x})});
  const ValueId b = net.op("Relu", {net.op("Sigmoid", {x})});
  net.output(net.op("Mul", {a, b}));
  EXPECT_EQ(merge(net), 2);
  EXPECT_EQ(operators(net.graph), "Sigmoid Relu Mul");
  EXPECT_EQ(merge(net), 0);
}

TEST(CommonSubexpressions, TellsAttributesAndInputOrderApart) {
  Net net;
  const ValueId x = net.input("x", {-1, 3});
  const ValueId y = net.input("y", {-1, 3});
  const ValueId a = net.op("LeakyRelu", {x}, {{"alpha", 0.1F}});
  const ValueId b = net.op("LeakyRelu", {x}, {{"alpha", 0.2F}});
  net.output(net.op("Concat", {a, b}, {{"axis", int64_t{0}}}));
  net.output(net.op("Concat", {net.op("Sub", {x, y}), net.op("Sub", {y, x})}, {{"axis", int64_t{0}}}));
  net.output(net.op("Concat", {a, b}, {{"axis", int64_t{1}}}));
  EXPECT_EQ(merge(net), 0);
}

TEST(CommonSubexpressions, KeepsBothNamesOfEqualOutputs) {
  Net net;
  const ValueId x = net.input("x", {-1, 3});
  net.output(net.op("Relu", {x}));
  net.output(net.op("Relu", {x}));
  EXPECT_EQ(merge(net), 0);
}

TEST(CommonSubexpressions, TheOneThatIsAnOutputGivesItsName) {
  Net net;
  const ValueId x = net.input("x", {-1, 3});
  const ValueId a = net.op("Relu", {x});
  const ValueId b = net.op("Relu", {x});
  net.output(b);
  net.output(net.op("Sigmoid", {a}));
  EXPECT_EQ(merge(net), 1);
  EXPECT_EQ(operators(net.graph), "Relu Sigmoid");
}

TEST(CommonSubexpressions, MergesSmallConstantsButNotWeights) {
  Net net;
  const ValueId x = net.input("x", {-1, 2, 4, 4});
  const Tensor w = random_tensor(net.random, {2, 2, 1, 1});
  const ValueId a = net.op("Reshape", {net.op("Conv", {x, net.graph.add_constant("w1", w)}), net.ints({0, 2, 16})});
  const ValueId r = net.op("Relu", {x});
  const ValueId b = net.op("Reshape", {net.op("Conv", {r, net.graph.add_constant("w2", w)}), net.ints({0, 2, 16})});
  net.output(net.op("Mul", {a, b}));
  EXPECT_EQ(merge(net), 1);
  EXPECT_EQ(net.graph.nodes[1].inputs[1], net.graph.nodes[4].inputs[1]);  // the shapes
  EXPECT_NE(net.graph.nodes[0].inputs[1], net.graph.nodes[3].inputs[1]);  // the weights
}

TEST(CommonSubexpressions, SeesThatEqualWeightsOnTheSameInputGiveTheSame) {
  Net net;
  const ValueId x = net.input("x", {-1, 2, 4, 4});
  const Tensor w = random_tensor(net.random, {2, 2, 1, 1});
  const ValueId a = net.op("Conv", {x, net.graph.add_constant("w1", w)});
  const ValueId b = net.op("Conv", {x, net.graph.add_constant("w2", w)});
  net.output(net.op("Add", {net.op("Relu", {a}), b}));
  EXPECT_EQ(merge(net), 1);
}

TEST(CommonSubexpressions, LeavesQuantizationAndChanceAlone) {
  Net net;
  const ValueId x = net.input("x", {2});
  const ValueId s = net.number(0.1F);
  const ValueId q = net.op("QuantizeLinear", {x, s});
  net.output(net.op("Add", {net.op("DequantizeLinear", {q, s}), net.op("DequantizeLinear", {q, s})}));
  const Attributes shape = {{"shape", std::vector<int64_t>{2}}};
  net.output(net.op("Add", {net.op("RandomNormal", {}, shape), net.op("RandomNormal", {}, shape)}));
  EXPECT_EQ(*eliminate_common_subexpressions(net.graph, {}), 0);
}

TEST(DeadCode, RemovesBranchesAndTheirConstants) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 4});
  net.op("Relu", {net.op("Conv", {x, net.floats({2, 3, 1, 1})})});
  net.output(net.op("Sigmoid", {x}));
  EXPECT_EQ(apply(net.graph, eliminate_dead_code, 0.0), 2);
  EXPECT_EQ(operators(net.graph), "Sigmoid");
  EXPECT_EQ(net.graph.value_count(), 2U);
}

TEST(DeadCode, DropsUnreadOptionalOutputs) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 4});
  const size_t pool =
      net.graph.add_node("MaxPool", {x}, {"y", "indices"}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  net.output(net.graph.nodes[pool].outputs[0]);
  EXPECT_EQ(apply(net.graph, eliminate_dead_code, 0.0), 1);
  EXPECT_EQ(net.graph.nodes[0].outputs.size(), 1U);
}

TEST(DeadCode, KeepsAllPartsOfASplitAndUnreadInputs) {
  Net net;
  net.input("unused", {-1, 2});
  const size_t split = net.graph.add_node("Split", {net.input("x", {-1, 4})}, {"a", "b"}, {{"axis", int64_t{1}}});
  net.output(net.graph.nodes[split].outputs[0]);
  EXPECT_EQ(apply(net.graph, eliminate_dead_code, 0.0), 0);
  EXPECT_EQ(net.graph.nodes[0].outputs.size(), 2U);
  EXPECT_EQ(net.graph.inputs.size(), 2U);
}

}  // namespace
}  // namespace octet::test
