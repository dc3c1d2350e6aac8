// Which parameters of a network that takes large numbers are trained in units of their own.
#include "training/loop/input_units.h"

#include <gtest/gtest.h>

#include <limits>

namespace octet::training {
namespace {

// x -> Pad -> Conv "first" [-> norm] -> Relu -> Conv "second"; x -> Flatten -> MatMul "side".
Graph network(bool norm) {
  Graph g;
  const auto four = [](int64_t c) { return Shape{Dim::named("N"), Dim::of(c), Dim::of(4), Dim::of(4)}; };
  const ValueId x = g.add_value("x", DType::kFloat32, four(2));
  const ValueId other = g.add_value("other", DType::kFloat32, four(2));
  g.inputs = {x, other};
  const auto weight = [&](const char* name, Dims dims) {
    return g.add_constant(name, Tensor(DType::kFloat32, dims));
  };
  const auto node = [&](const char* op, std::vector<ValueId> in, const char* out) {
    g.add_node(op, std::move(in), {out}, {}, out);
    return g.find_value(out);
  };
  const ValueId padded =
      node("Pad", {x, g.add_constant("pads", Tensor::from<int64_t>({8}, std::vector<int64_t>(8, 0)))}, "padded");
  ValueId y = node("Conv", {padded, weight("first", {3, 2, 1, 1}), weight("bias", {3})}, "y");
  if (norm)
    y = node("BatchNormalization", {y, weight("a", {3}), weight("b", {3}), weight("m", {3}), weight("v", {3})}, "n");
  const ValueId second = node("Conv", {node("Relu", {y}, "r"), weight("second", {3, 3, 1, 1})}, "z");
  const ValueId side = node("MatMul", {node("Flatten", {x}, "flat"), weight("side", {32, 5})}, "s");
  const ValueId third = node("Conv", {other, weight("third", {3, 2, 1, 1})}, "t");
  g.outputs = {second, side, third};
  return g;
}

TEST(InputUnits, ArePowersOfTwoOfLargeInputsAlone) {
  for (double small : {0.0, 0.25, 1.0, 3.9}) EXPECT_EQ(unit_of_input(small), 1) << small;
  EXPECT_EQ(unit_of_input(4), 4);
  EXPECT_EQ(unit_of_input(120), 128);
  EXPECT_EQ(unit_of_input(181), 128);
  EXPECT_EQ(unit_of_input(182), 256);
  EXPECT_EQ(unit_of_input(-5), 1);
  EXPECT_EQ(unit_of_input(1e300), 1);
  EXPECT_EQ(unit_of_input(std::numeric_limits<double>::infinity()), 1);
  EXPECT_EQ(unit_of_input(std::numeric_limits<double>::quiet_NaN()), 1);
}

TEST(InputUnits, BelongToWeightsThatReadTheInputAndToRanges) {
  const auto units = parameter_units(network(false), {128, 1});
  for (const char* large : {"first", "first.scale", "first.hi", "side", "side.scale"})
    EXPECT_EQ(units.count(large) == 1 ? units.at(large) : 0, 128) << large;
  for (const char* input : {"x.scale", "x.lo", "padded.scale", "flat.scale"})
    EXPECT_EQ(units.count(input) == 1 ? units.at(input) : 0, 1.0 / 128) << input;
  for (const char* none : {"bias", "second", "second.scale", "y.scale", "third", "other.scale"})
    EXPECT_EQ(units.count(none), 0u) << none;
  EXPECT_TRUE(parameter_units(network(false), {1, 1}).empty());
}

TEST(InputUnits, InFrontOfANormOnlyRangesHaveThem) {
  const auto units = parameter_units(network(true), {128, 1});
  EXPECT_EQ(units.count("first"), 0u);
  for (const char* range : {"first.scale", "first.lo", "first.hi", "side", "side.scale"})
    EXPECT_EQ(units.count(range) == 1 ? units.at(range) : 0, 128) << range;
}

// The Focus stem of YOLOX: every second pixel, in four ways, one behind the other.
TEST(InputUnits, PassThroughAConcatOfTheSameSizes) {
  const auto focus = [](bool all_of_x) {
    Graph g;
    const Shape image{Dim::named("N"), Dim::of(3), Dim::of(8), Dim::of(8)};
    const ValueId x = g.add_value("x", DType::kFloat32, image), other = g.add_value("other", DType::kFloat32, image);
    g.inputs = {x, other};
    const auto numbers = [&](const std::string& name, const std::vector<int64_t>& values) {
      return g.add_constant(name, Tensor::from<int64_t>({2}, values));
    };
    const ValueId ends = numbers("ends", {8, 8}), axes = numbers("axes", {2, 3}), steps = numbers("steps", {2, 2});
    std::vector<ValueId> parts;
    for (int64_t i = 0; i < 4; ++i) {
      const std::string name = "part" + std::to_string(i);
      const ValueId starts = numbers(name + "_starts", {i % 2, i / 2});
      g.add_node("Slice", {i < 3 || all_of_x ? x : other, starts, ends, axes, steps}, {name});
      parts.push_back(g.find_value(name));
    }
    g.add_node("Concat", parts, {"focus"}, {{"axis", int64_t{1}}});
    const ValueId weight = g.add_constant("stem", Tensor(DType::kFloat32, {8, 12, 3, 3}));
    g.add_node("Conv", {g.find_value("focus"), weight}, {"y"});
    g.outputs = {g.find_value("y")};
    return g;
  };
  const auto units = parameter_units(focus(true), {128, 1});
  for (const char* weight : {"stem", "stem.scale"})
    EXPECT_EQ(units.count(weight) == 1 ? units.at(weight) : 0, 128) << weight;
  for (const char* input : {"part3.scale", "focus.scale"})
    EXPECT_EQ(units.count(input) == 1 ? units.at(input) : 0, 1.0 / 128) << input;
  EXPECT_EQ(units.count("y.scale"), 0u);
  EXPECT_EQ(parameter_units(focus(false), {128, 128}).count("stem"), 1u);
  for (const std::vector<double>& unlike :
       {std::vector<double>{128, 1}, std::vector<double>{1, 128}, std::vector<double>{128, 64}})
    EXPECT_EQ(parameter_units(focus(false), unlike).count("stem"), 0u);
}

TEST(InputUnits, AWeightThatIsReadTwiceHasNone) {
  Graph g = network(false);
  g.add_node("Conv", {g.find_value("other"), g.find_value("first")}, {"again"});
  EXPECT_EQ(parameter_units(g, {128, 1}).count("first"), 0u);
}

}  // namespace
}  // namespace octet::training
