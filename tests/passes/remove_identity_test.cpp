#include <functional>

#include "passes/net.h"

namespace octet::test {
namespace {

struct Case {
  const char* name;
  std::function<ValueId(Net&, ValueId)> make;  // puts something behind a [N, 3, 4, 4] tensor
  int removed;
  int opset = 13;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class RemoveIdentity : public ::testing::TestWithParam<Case> {};

TEST_P(RemoveIdentity, RemovesWhatDoesNothingAndNothingElse) {
  const Case& c = GetParam();
  Net net(c.opset);
  const ValueId y = c.make(net, net.op("Relu", {net.input("x", {-1, 3, 4, 4})}));
  net.output(net.op("Sigmoid", {y}));
  const size_t before = net.graph.nodes.size();
  EXPECT_EQ(apply(net.graph, remove_identity, 0.0), c.removed);
  EXPECT_EQ(net.graph.nodes.size(), before - static_cast<size_t>(c.removed));
  EXPECT_EQ(apply(net.graph, remove_identity, 0.0), 0);
}

using Perm = std::vector<int64_t>;

ValueId scaled(Net& n, ValueId x, const std::vector<float>& scales, const char* mode) {
  const ValueId s = n.graph.add_constant("scales", Tensor::from<float>({4}, scales));
  return n.op("Resize", {x, kNoValue, s}, {{"mode", std::string(mode)}});
}

ValueId one_of_ones(Net& n, int64_t count) {
  return n.graph.add_constant("ones", Tensor::from<float>({count, 1, 1}, std::vector<float>(count, 1.0F)));
}

const Case kCases[] = {
    {"Identity", [](Net& n, ValueId x) { return n.op("Identity", {x}); }, 1},
    {"IdentityTwice", [](Net& n, ValueId x) { return n.op("Identity", {n.op("Identity", {x})}); }, 2},
    {"Dropout",
     [](Net& n, ValueId x) {
       return n.op("Dropout", {x, n.number(0.5F)});
     },
     1},
    {"DropoutNotTraining",
     [](Net& n, ValueId x) {
       Tensor off(DType::kBool, {});
       off.data<uint8_t>()[0] = 0;
       return n.op("Dropout", {x, n.number(0.5F), n.graph.add_constant("t", off)});
     },
     1},
    {"CastToSame",
     [](Net& n, ValueId x) {
       return n.op("Cast", {x}, {{"to", int64_t{1}}});
     },
     1},
    {"CastToIntAndBack",
     [](Net& n, ValueId x) {
       return n.op("Cast", {n.op("Cast", {x}, {{"to", int64_t{6}}})}, {{"to", int64_t{1}}});
     },
     0},
    {"ReshapeToSame",
     [](Net& n, ValueId x) {
       return n.op("Reshape", {x, n.ints({0, 3, 4, -1})});
     },
     1},
    {"ReshapeToOther",
     [](Net& n, ValueId x) {
       return n.op("Reshape", {x, n.ints({0, 4, 3, 4})});
     },
     0},
    {"ExpandToSame",
     [](Net& n, ValueId x) {
       return n.op("Expand", {x, n.ints({1, 1, 4, 1})});
     },
     1},
    {"TileByTwo",
     [](Net& n, ValueId x) {
       return n.op("Tile", {x, n.ints({1, 2, 1, 1})});
     },
     0},
    {"TransposeNothing",
     [](Net& n, ValueId x) {
       return n.op("Transpose", {x}, {{"perm", Perm{0, 1, 2, 3}}});
     },
     1},
    {"TransposeOfEqualSizes",
     [](Net& n, ValueId x) {
       return n.op("Transpose", {x}, {{"perm", Perm{0, 1, 3, 2}}});
     },
     0},
    {"TransposeThereAndBack",
     [](Net& n, ValueId x) {
       return n.op("Transpose", {n.op("Transpose", {x}, {{"perm", Perm{0, 2, 3, 1}}})}, {{"perm", Perm{0, 3, 1, 2}}});
     },
     1},
    {"TransposeTwiceTheSameWay",
     [](Net& n, ValueId x) {
       return n.op("Transpose", {n.op("Transpose", {x}, {{"perm", Perm{0, 2, 3, 1}}})}, {{"perm", Perm{0, 2, 3, 1}}});
     },
     0},
    {"SliceAll",
     [](Net& n, ValueId x) {
       return n.op("Slice", {x, n.ints({0}), n.ints({99}), n.ints({2})});
     },
     1},
    {"SliceReversed",
     [](Net& n, ValueId x) {
       return n.op("Slice", {x, n.ints({-1}), n.ints({-99}), n.ints({2}), n.ints({-1})});
     },
     0},
    {"SlicePart",
     [](Net& n, ValueId x) {
       return n.op("Slice", {x, n.ints({1}), n.ints({4}), n.ints({2})});
     },
     0},
    {"PadByZero",
     [](Net& n, ValueId x) {
       return n.op("Pad", {x, n.ints(Perm(8, 0))});
     },
     1},
    {"PadAndCrop",
     [](Net& n, ValueId x) {
       return n.op("Pad", {x, n.ints({0, 0, 1, 0, 0, 0, -1, 0})});
     },
     0},
    {"ConcatOfOne",
     [](Net& n, ValueId x) {
       return n.op("Concat", {x}, {{"axis", int64_t{1}}});
     },
     1},
    {"ConcatOfTwo",
     [](Net& n, ValueId x) {
       return n.op("Concat", {x, x}, {{"axis", int64_t{1}}});
     },
     0},
    {"SumOfOne", [](Net& n, ValueId x) { return n.op("Sum", {x}); }, 1},
    {"ResizeByOne",
     [](Net& n, ValueId x) {
       return scaled(n, x, {1, 1, 1, 1}, "linear");
     },
     1},
    {"ResizeByNearlyOne",
     [](Net& n, ValueId x) {
       return scaled(n, x, {1, 1, 1.2F, 1}, "linear");
     },
     0},
    {"AveragePool1x1",
     [](Net& n, ValueId x) {
       return n.op("AveragePool", {x}, {{"kernel_shape", Perm{1, 1}}});
     },
     1},
    {"MaxPool1x1Strided",
     [](Net& n, ValueId x) {
       return n.op("MaxPool", {x}, {{"kernel_shape", Perm{1, 1}}, {"strides", Perm{2, 2}}});
     },
     0},
    {"AveragePool3x3",
     [](Net& n, ValueId x) {
       return n.op("AveragePool", {x}, {{"kernel_shape", Perm{3, 3}}, {"pads", Perm{1, 1, 1, 1}}});
     },
     0},
    {"MulByOne",
     [](Net& n, ValueId x) {
       return n.op("Mul", {n.number(1), x});
     },
     1},
    {"DivByOne",
     [](Net& n, ValueId x) {
       return n.op("Div", {x, n.number(1)});
     },
     1},
    {"OneDividedBy",
     [](Net& n, ValueId x) {
       return n.op("Div", {n.number(1), x});
     },
     0},
    {"SubOfZero",
     [](Net& n, ValueId x) {
       return n.op("Sub", {x, n.number(0)});
     },
     1},
    {"ZeroMinus",
     [](Net& n, ValueId x) {
       return n.op("Sub", {n.number(0), x});
     },
     0},
    {"MulByAOneOfHigherRank",
     [](Net& n, ValueId x) {
       return n.op("Mul", {x, n.graph.add_constant("one", Tensor::from<float>({1, 1, 1, 1, 1}, {1.0F}))});
     },
     0},
    {"MulByOnesThatBroadcast",
     [](Net& n, ValueId x) {
       return n.op("Mul", {n.op("GlobalAveragePool", {x}), one_of_ones(n, 3)});
     },
     0},
};

INSTANTIATE_TEST_SUITE_P(Operators, RemoveIdentity, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(RemoveIdentityAtTheEnds, TheOutputKeepsItsName) {
  Net net;
  const ValueId y = net.op("Relu", {net.input("x", {-1, 3})});
  const ValueId out = net.op("Identity", {y});
  net.graph.rename_value(out, "result");
  net.output(out);
  net.output(net.op("Sigmoid", {y}));
  EXPECT_EQ(apply(net.graph, remove_identity, 0.0), 1);
  EXPECT_EQ(operators(net.graph), "Relu Sigmoid");
  EXPECT_EQ(net.graph.value(net.graph.nodes[0].outputs[0]).name, "result");
}

TEST(RemoveIdentityAtTheEnds, StaysBetweenTwoPromisedNames) {
  Net net;
  const ValueId x = net.input("x", {-1, 3});
  const ValueId y = net.op("Relu", {x});
  net.output(net.op("Identity", {x}));  // graph input to graph output
  net.output(y);
  net.output(net.op("Identity", {y}));  // graph output to graph output
  net.output(net.op("Identity", {net.floats({3})}));
  EXPECT_EQ(apply(net.graph, remove_identity, 0.0), 0);
}

TEST(RemoveIdentityAtTheEnds, TwoNamesForOneTensorNeedOneIdentity) {
  Net net;
  const ValueId y = net.op("Relu", {net.input("x", {-1, 3})});
  net.output(net.op("Identity", {y}));
  net.output(net.op("Identity", {y}));
  EXPECT_EQ(apply(net.graph, remove_identity, 0.0), 1);
  EXPECT_EQ(operators(net.graph), "Relu Identity");
}

TEST(RemoveIdentityAtTheEnds, ADropoutWithAReadMaskStays) {
  Net net;
  const size_t drop = net.graph.add_node("Dropout", {net.input("x", {-1, 3})}, {"y", "mask"});
  net.output(net.op("Relu", {net.graph.nodes[drop].outputs[0]}));
  net.output(net.graph.nodes[drop].outputs[1]);
  EXPECT_EQ(apply(net.graph, remove_identity, 0.0), 0);
}

}  // namespace
}  // namespace octet::test
