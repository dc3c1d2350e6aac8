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

TEST(InputUnits, AWeightThatIsReadTwiceHasNone) {
  Graph g = network(false);
  g.add_node("Conv", {g.find_value("other"), g.find_value("first")}, {"again"});
  EXPECT_EQ(parameter_units(g, {128, 1}).count("first"), 0u);
}

}  // namespace
}  // namespace octet::training
