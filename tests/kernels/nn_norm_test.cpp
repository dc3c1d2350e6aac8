#include "kernels/nn_support.h"

namespace octet {
namespace {

using namespace test;

TEST(BatchNormalization, AppliesStatisticsPerChannel) {
  const Tensor x = floats({1, 2, 2}, {1, 2, 3, 4});
  const std::vector<Tensor> inputs{x, floats({2}, {2, 1}), floats({2}, {0, 10}), floats({2}, {1, 3}),
                                   floats({2}, {4, 0.25F})};
  expect_near({"BatchNormalization", inputs, {{"epsilon", 0.0F}}}, {1, 2, 2}, {0, 1, 10, 12});
  // Training: mean 1.5 and 3.5, variance 0.25 both; running = old * 0.5 + batch * 0.5.
  const Attributes training{{"epsilon", 0.0F}, {"training_mode", int64_t{1}}, {"momentum", 0.5F}};
  expect_near({"BatchNormalization", inputs, training, 3}, {1, 2, 2}, {-2, 2, 9, 11});
  expect_near({"BatchNormalization", inputs, training, 3}, {2}, {1.25F, 3.25F}, 1);
  expect_near({"BatchNormalization", inputs, training, 3}, {2}, {2.125F, 0.25F}, 2);
  expect_refused({"BatchNormalization", {x, floats({1}, {1}), inputs[2], inputs[3], inputs[4]}}, "scale has shape");
}

TEST(LayerNormalization, ReturnsMeanAndInverseDeviation) {
  const Tensor x = floats({2, 2}, {1, 3, 10, 30});
  const OpCall call{"LayerNormalization", {x, floats({2}, {1, 2}), floats({2}, {0, 1})}, {{"epsilon", 0.0F}}, 3};
  expect_near(call, {2, 2}, {-1, 3, -1, 3});
  expect_near(call, {2, 1}, {2, 20}, 1);
  expect_near(call, {2, 1}, {1, 0.1F}, 2);
  expect_near({"LayerNormalization", {x, floats({1}, {1})}, {{"axis", int64_t{0}}}, 2}, {1, 1}, {11}, 1);
  expect_refused({"LayerNormalization", {x, floats({3}, {1, 1, 1})}}, "does not broadcast");
  expect_refused({"LayerNormalization", {x, floats({2}, {1, 1})}, {{"axis", int64_t{2}}}}, "axis 2");
  expect_refused({"LayerNormalization", {x, floats({2}, {1, 1})}, {{"stash_type", int64_t{6}}}}, "stash_type 6");
}

TEST(GroupNormalization, TakesParametersPerGroupUntil20AndPerChannelSince21) {
  const Tensor x = floats({1, 4, 1}, {1, 3, 10, 30});
  const Attributes a{{"num_groups", int64_t{2}}, {"epsilon", 0.0F}};
  const Tensor two = floats({2}, {1, 10});
  const Tensor four = floats({4}, {1, 2, 3, 4});
  expect_near({"GroupNormalization", {x, two, two}, a, 1, 18}, {1, 4, 1}, {0, 2, 0, 20});
  expect_near({"GroupNormalization", {x, four, four}, a, 1, 21}, {1, 4, 1}, {0, 4, 0, 8});
  expect_refused({"GroupNormalization", {x, two, two}, a, 1, 21}, "expected [4]");
  expect_refused({"GroupNormalization", {x, four, four}, {{"num_groups", int64_t{3}}}}, "does not divide");
}

TEST(InstanceNormalization, StandardizesEachPlane) {
  const Tensor x = floats({1, 2, 2}, {1, 3, 10, 30});
  expect_near({"InstanceNormalization", {x, floats({2}, {1, 2}), floats({2}, {5, 0})}, {{"epsilon", 0.0F}}},
              {1, 2, 2}, {4, 6, -2, 2});
}

TEST(LRN, SumsSquaresOverNeighbouringChannels) {
  const Tensor x = floats({1, 3, 1}, {1, 2, 3});
  const Attributes a{{"size", int64_t{3}}, {"alpha", 3.0F}, {"beta", 1.0F}, {"bias", 1.0F}};
  expect_near({"LRN", {x}, a}, {1, 3, 1}, {1.0F / 6, 2.0F / 15, 3.0F / 14});
  // An even window reaches one channel farther up than down.
  const Attributes even{{"size", int64_t{2}}, {"alpha", 2.0F}, {"beta", 1.0F}};
  expect_near({"LRN", {x}, even}, {1, 3, 1}, {1.0F / 6, 2.0F / 14, 3.0F / 10});
  expect_refused({"LRN", {x}}, "size");
}

TEST(LpNormalization, LeavesZeroVectorsAlone) {
  const Tensor x = floats({2, 2}, {3, 4, 0, 0});
  expect_near({"LpNormalization", {x}}, {2, 2}, {0.6F, 0.8F, 0, 0});
  expect_near({"LpNormalization", {x}, {{"p", int64_t{1}}, {"axis", int64_t{0}}}}, {2, 2}, {1, 1, 0, 0});
  expect_refused({"LpNormalization", {x}, {{"p", int64_t{3}}}}, "expected 1 or 2");
}

TEST(Softmax, DoesNotOverflowAndFlattensBeforeOpset13) {
  const Tensor x = floats({2, 1, 2}, {1000, 1000, 0, -1000});
  expect_near({"Softmax", {x}}, {2, 1, 2}, {0.5F, 0.5F, 1, 0});
  expect_near({"LogSoftmax", {floats({2}, {1000, 1000})}}, {2}, {-std::log(2.0F), -std::log(2.0F)});
  expect_near({"Softmax", {floats({1, 2, 2}, {0, 0, 0, 0})}, {}, 1, 11}, {1, 2, 2}, {0.25F, 0.25F, 0.25F, 0.25F});
  expect_near({"Softmax", {x}, {{"axis", int64_t{0}}}}, {2, 1, 2}, {1, 1, 0, 0});
  expect_refused({"Softmax", {x}, {{"axis", int64_t{3}}}}, "axis 3");
}

TEST(Hardmax, MarksTheFirstLargest) {
  expect_near({"Hardmax", {floats({2, 3}, {1, 7, 7, 2, 1, 0})}}, {2, 3}, {0, 1, 0, 1, 0, 0});
}

}  // namespace
}  // namespace octet
