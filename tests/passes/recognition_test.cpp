// Hard swish and hard sigmoid: every spelling is found, near misses are not.
#include <functional>

#include "passes/net.h"

namespace octet::test {
namespace {

struct Spelling {
  const char* name;
  std::function<ValueId(Net&, ValueId)> make;
  const char* at_13;  // operators after the pass and dead code removal
  const char* at_14;
};

std::ostream& operator<<(std::ostream& out, const Spelling& s) { return out << s.name; }

ValueId clip6(Net& n, ValueId x, float shift = 3, float low = 0, float high = 6) {
  return n.op("Clip", {n.op("Add", {x, n.number(shift)}), n.number(low), n.number(high)});
}

constexpr const char* kGateThenMul = "HardSigmoid Mul";
constexpr float kSixth = 1.0F / 6.0F;

class HardSwish : public ::testing::TestWithParam<Spelling> {};

TEST_P(HardSwish, IsFoundInEverySpellingOnly) {
  for (const int opset : {13, 14}) {
    SCOPED_TRACE(opset);
    Net net(opset);
    net.output(GetParam().make(net, net.input("x", {-1, 3, 4, 4})));
    // Inputs of the generator lie in [-1, 1]; the kinks at -3 and 3 need larger ones.
    net.graph.nodes.insert(net.graph.nodes.begin(), Node{});
    Node& scale = net.graph.nodes.front();
    const ValueId x = net.graph.inputs[0];
    const ValueId wide = net.graph.add_value("wide");
    for (Node& node : net.graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), x, wide);
    scale = {"widen", "Mul", "", {x, net.number(5)}, {wide}, {}, {}, {}};
    apply(net.graph, recognize_hard_swish, 1e-6);
    apply(net.graph, eliminate_dead_code, 0.0);
    EXPECT_EQ(operators(net.graph), "Mul " + std::string(opset == 13 ? GetParam().at_13 : GetParam().at_14));
    EXPECT_EQ(apply(net.graph, recognize_hard_swish, 0.0), 0);
  }
}

const Spelling kSpellings[] = {
    {"GateOperator",
     [](Net& n, ValueId x) {
       return n.op("Mul", {x, n.op("HardSigmoid", {x}, {{"alpha", kSixth}, {"beta", 0.5F}})});
     },
     kGateThenMul, "HardSwish"},
    {"ProductOverSix",
     [](Net& n, ValueId x) {
       return n.op("Div", {n.op("Mul", {x, clip6(n, x)}), n.number(6)});
     },
     kGateThenMul, "HardSwish"},
    {"ProductTimesSixth",
     [](Net& n, ValueId x) {
       return n.op("Mul", {n.number(kSixth), n.op("Mul", {clip6(n, x), x})});
     },
     kGateThenMul, "HardSwish"},
    {"GateOverSix",
     [](Net& n, ValueId x) {
       return n.op("Mul", {x, n.op("Div", {clip6(n, x), n.number(6)})});
     },
     kGateThenMul, "HardSwish"},
    {"GateTimesSixth",
     [](Net& n, ValueId x) {
       return n.op("Mul", {n.op("Mul", {clip6(n, x), n.number(0.1666667F)}), x});
     },
     kGateThenMul, "HardSwish"},
    {"InputOverSix",
     [](Net& n, ValueId x) {
       return n.op("Mul", {n.op("Div", {x, n.number(6)}), clip6(n, x)});
     },
     kGateThenMul, "HardSwish"},
    {"TwoSteps",
     [](Net& n, ValueId x) {
       return n.op("Mul", {n.op("Mul", {n.number(0.5F), n.op("Div", {clip6(n, x), n.number(3)})}), x});
     },
     kGateThenMul, "HardSwish"},
    {"ShiftBySub",
     [](Net& n, ValueId x) {
       const ValueId shifted = n.op("Sub", {x, n.number(-3)});
       const ValueId clip = n.op("Clip", {shifted, n.number(0), n.number(6)});
       return n.op("Div", {n.op("Mul", {x, clip}), n.number(6)});
     },
     kGateThenMul, "HardSwish"},
    {"HardSigmoidAlone",
     [](Net& n, ValueId x) {
       return n.op("Div", {clip6(n, x), n.number(6)});
     },
     "HardSigmoid", "HardSigmoid"},
    // near misses
    {"OtherInput",
     [](Net& n, ValueId x) {
       return n.op("Div", {n.op("Mul", {n.op("Tanh", {x}), clip6(n, x)}), n.number(6)});
     },
     "Tanh Add Clip Mul Div", "Tanh Add Clip Mul Div"},
    {"OtherShift",
     [](Net& n, ValueId x) {
       return n.op("Div", {n.op("Mul", {x, clip6(n, x, 2.9F)}), n.number(6)});
     },
     "Add Clip Mul Div", "Add Clip Mul Div"},
    {"OtherCeiling",
     [](Net& n, ValueId x) {
       return n.op("Div", {n.op("Mul", {x, clip6(n, x, 3, 0, 5)}), n.number(6)});
     },
     "Add Clip Mul Div", "Add Clip Mul Div"},
    {"OtherFloor",
     [](Net& n, ValueId x) {
       return n.op("Div", {n.op("Mul", {x, clip6(n, x, 3, 0.1F)}), n.number(6)});
     },
     "Add Clip Mul Div", "Add Clip Mul Div"},
    {"OtherDivisor",
     [](Net& n, ValueId x) {
       return n.op("Div", {n.op("Mul", {x, clip6(n, x)}), n.number(5)});
     },
     "Add Clip Mul Div", "Add Clip Mul Div"},
    {"SixDividedBy",
     [](Net& n, ValueId x) {
       const ValueId gate = n.op("Clip", {n.op("Add", {x, n.number(3)}), n.number(0), n.number(6)});
       return n.op("Div", {n.number(6), n.op("Add", {n.op("Mul", {x, gate}), n.number(100)})});
     },
     "Add Clip Mul Add Div", "Add Clip Mul Add Div"},
    {"NoDivisor",
     [](Net& n, ValueId x) {
       return n.op("Mul", {x, clip6(n, x)});
     },
     "Add Clip Mul", "Add Clip Mul"},
    {"DefaultHardSigmoid",
     [](Net& n, ValueId x) {
       return n.op("Mul", {x, n.op("HardSigmoid", {x})});
     },
     kGateThenMul, kGateThenMul},
    {"ClipWithoutFloor",
     [](Net& n, ValueId x) {
       const ValueId clip = n.op("Clip", {n.op("Add", {x, n.number(3)}), kNoValue, n.number(6)});
       return n.op("Div", {n.op("Mul", {x, clip}), n.number(6)});
     },
     "Add Clip Mul Div", "Add Clip Mul Div"},
};

INSTANTIATE_TEST_SUITE_P(Spellings, HardSwish, ::testing::ValuesIn(kSpellings),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(HardSwishRecognition, ReadsClipAttributesOfOldOpsets) {
  Net net(10);
  const ValueId x = net.input("x", {-1, 3});
  const ValueId clip = net.op("Clip", {net.op("Add", {x, net.number(3)})}, {{"min", 0.0F}, {"max", 6.0F}});
  net.output(net.op("Div", {net.op("Mul", {x, clip}), net.number(6)}));
  EXPECT_EQ(apply(net.graph, recognize_hard_swish, 1e-6), 1);
  EXPECT_EQ(count_nodes(net.graph, "HardSigmoid"), 1);
}

TEST(HardSwishRecognition, KeepsInnerValuesThatOthersRead) {
  Net net(14);
  const ValueId x = net.input("x", {-1, 3});
  const ValueId clip = clip6(net, x);
  net.output(net.op("Div", {net.op("Mul", {x, clip}), net.number(6)}));
  net.output(clip);
  EXPECT_EQ(apply(net.graph, recognize_hard_swish, 1e-6), 1);
  EXPECT_EQ(apply(net.graph, eliminate_dead_code, 0.0), 1);
  EXPECT_EQ(operators(net.graph), "Add Clip HardSwish");
}

}  // namespace
}  // namespace octet::test
