#include "passes/net.h"

namespace octet::test {
namespace {

struct Case {
  const char* weighted;
  const char* op;
  Dims constant;
  bool constant_first;
  bool folds;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.weighted << " " << c.op << " " << dims_to_string(c.constant) << (c.constant_first ? " first" : "");
}

class FoldMulAdd : public ::testing::TestWithParam<Case> {};

ValueId weighted_node_of(Net& net, const std::string& op) {
  if (op == "Conv") return net.op("Conv", {net.input("x", {-1, 3, 6, 6}), net.floats({4, 3, 3, 3}), net.floats({4})});
  if (op == "ConvTranspose")
    return net.op(op, {net.input("x", {-1, 4, 4, 4}), net.floats({4, 2, 2, 2})}, {{"group", int64_t{2}}});
  if (op == "Gemm") return net.op(op, {net.input("x", {-1, 5}), net.floats({4, 5})}, {{"transB", int64_t{1}}});
  if (op == "MatMul") return net.op(op, {net.input("x", {-1, 5}), net.floats({5, 4})});
  return net.op("MatMul", {net.input("x", {-1, 3, 5}), net.floats({5, 4})});  // "MatMul3"
}

TEST_P(FoldMulAdd, FoldsExactlyWhatIsPerChannel) {
  const Case& c = GetParam();
  Net net;
  const ValueId y = weighted_node_of(net, c.weighted);
  const ValueId k = net.floats(c.constant, 0.5, 1.5);
  net.output(net.op("Relu", {c.constant_first ? net.op(c.op, {k, y}) : net.op(c.op, {y, k})}));
  EXPECT_EQ(apply(net.graph, fold_mul_add, c.folds ? 2e-6 : 0.0), c.folds ? 1 : 0);
  EXPECT_EQ(count_nodes(net.graph, c.op), c.folds ? 0 : 1);
  EXPECT_EQ(apply(net.graph, fold_mul_add, 0.0), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, FoldMulAdd,
    ::testing::Values(Case{"Conv", "Add", {4, 1, 1}, false, true}, Case{"Conv", "Add", {1, 4, 1, 1}, true, true},
                      Case{"Conv", "Mul", {4, 1, 1}, true, true}, Case{"Conv", "Mul", {}, false, true},
                      Case{"Conv", "Sub", {4, 1, 1}, false, true}, Case{"Conv", "Sub", {4, 1, 1}, true, true},
                      Case{"Conv", "Div", {1, 4, 1, 1}, false, true}, Case{"Conv", "Div", {4, 1, 1}, true, false},
                      Case{"Conv", "Add", {4}, false, false},              // along the width
                      Case{"Conv", "Mul", {4, 4, 1}, false, false},        // per channel and row
                      Case{"Conv", "Mul", {4, 4}, false, false},           // along rows and columns
                      Case{"Conv", "Add", {1, 1, 1, 1, 1}, false, false},  // raises the rank
                      Case{"Conv", "Pow", {}, false, false}, Case{"ConvTranspose", "Mul", {4, 1, 1}, false, true},
                      Case{"ConvTranspose", "Sub", {4, 1, 1}, true, true}, Case{"Gemm", "Add", {4}, false, true},
                      Case{"Gemm", "Mul", {1, 4}, false, true}, Case{"Gemm", "Div", {}, false, true},
                      Case{"Gemm", "Add", {2, 1}, false, false}, Case{"MatMul", "Add", {4}, false, true},
                      Case{"MatMul", "Mul", {4}, false, true}, Case{"MatMul3", "Mul", {4}, false, true},
                      Case{"MatMul3", "Mul", {1}, true, true},
                      Case{"MatMul3", "Add", {4}, false, false},  // Gemm has no such rank
                      Case{"MatMul3", "Mul", {3, 1}, false, false}));

TEST(FoldMulAdd, FoldsChainsToTheEnd) {
  Net net;
  const ValueId y = net.op("Conv", {net.input("x", {-1, 3, 4, 4}), net.floats({2, 3, 1, 1})});
  net.output(net.op("Add", {net.op("Mul", {y, net.floats({2, 1, 1})}), net.floats({2, 1, 1})}));
  EXPECT_EQ(apply(net.graph, fold_mul_add, 2e-6), 2);
  EXPECT_EQ(operators(net.graph), "Conv");
}

TEST(FoldMulAdd, AnAddLeavesTheWeightsAlone) {
  Net net;
  const ValueId w = net.floats({2, 3, 1, 1});
  net.output(net.op("Add", {net.op("Conv", {net.input("x", {-1, 3, 4, 4}), w}), net.floats({2, 1, 1})}));
  const Tensor original = net.graph.value(w).constant->clone();
  EXPECT_EQ(apply(net.graph, fold_mul_add, 2e-6), 1);
  EXPECT_TRUE(same_bits(*net.graph.value(net.graph.nodes[0].inputs[1]).constant, original));
}

TEST(FoldMulAdd, CopiesSharedConstants) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 4});
  const ValueId w = net.floats({3, 3, 1, 1});
  const ValueId b = net.floats({3});
  const ValueId y = net.op("Mul", {net.op("Conv", {x, w, b}), net.floats({3, 1, 1})});
  net.output(net.op("Conv", {net.op("Relu", {y}), w, b}));
  EXPECT_EQ(apply(net.graph, fold_mul_add, 2e-6), 1);
}

TEST(FoldMulAdd, KeepsWhatOthersReadAndDivisionByZero) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 4});
  const ValueId y = net.op("Conv", {x, net.floats({2, 3, 1, 1})});
  net.output(net.op("Add", {y, net.floats({2, 1, 1})}));
  net.output(net.op("Relu", {y}));
  const ValueId z = net.op("Conv", {x, net.floats({2, 3, 1, 1})});
  net.output(net.op("Div", {z, net.number(0)}));
  ASSERT_TRUE(infer_shapes(net.graph).is_ok());
  EXPECT_EQ(*fold_mul_add(net.graph, {}), 0);
}

}  // namespace
}  // namespace octet::test
