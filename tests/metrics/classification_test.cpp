#include "metrics/classification.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace octet {
namespace {

Tensor scores(Dims dims, const std::vector<float>& v) { return Tensor::from<float>(std::move(dims), v); }

// Agresti and Coull (1998) print (0, 0.278) for 0 of 10; the others are from the formula in exact arithmetic.
TEST(Wilson, KnownIntervals) {
  const Interval none = wilson_interval(0, 10);
  EXPECT_DOUBLE_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.277533, 1e-6);
  const Interval half = wilson_interval(5, 10);
  EXPECT_NEAR(half.low, 0.236593, 1e-6);
  EXPECT_NEAR(half.high, 0.763407, 1e-6);
  const Interval cifar = wilson_interval(9173, 10000);
  EXPECT_NEAR(cifar.low, 0.911740121686, 1e-9);
  EXPECT_NEAR(cifar.high, 0.922539393274, 1e-9);
  EXPECT_DOUBLE_EQ(wilson_interval(10, 10).high, 1);
  EXPECT_DOUBLE_EQ(wilson_interval(0, 0).low, 0);
  EXPECT_DOUBLE_EQ(wilson_interval(0, 0).high, 1);
}

TEST(TopK, TiesGoToTheLowerIndexAndNanIsLast) {
  const float v[] = {1, 3, NAN, 3, -INFINITY, 2};
  EXPECT_EQ(top_k(v, 6, 4), (std::vector<int64_t>{1, 3, 5, 0}));
  EXPECT_EQ(top_k(v, 6, 99), (std::vector<int64_t>{1, 3, 5, 0, 4, 2}));
  EXPECT_TRUE(top_k(v, 0, 3).empty());
}

TEST(TopK, CountsBatches) {
  TopKAccuracy a;
  const Tensor rows = scores({3, 6}, {9, 5, 4, 3, 2, 1, 9, 5, 4, 3, 2, 1, 9, 5, 4, 3, 2, 1});
  ASSERT_TRUE(a.add(rows, {0, 4, 5}).is_ok());
  EXPECT_EQ(a.count(), 3);
  EXPECT_EQ(a.correct_top1(), 1);
  EXPECT_EQ(a.correct_top5(), 2);
  TopKAccuracy b;
  ASSERT_TRUE(b.add(scores({1, 2, 1, 1}, {0, 1}), {1}).is_ok());
  b.merge(a);
  EXPECT_EQ(b.count(), 4);
  EXPECT_DOUBLE_EQ(b.top1(), 0.5);
  EXPECT_DOUBLE_EQ(b.top5(), 0.75);
  EXPECT_LT(b.top1_interval().low, 0.5);
}

TEST(TopK, TiesAndNanRows) {
  TopKAccuracy a;
  ASSERT_TRUE(a.add(scores({2, 2}, {1, 1, 1, 1}), {0, 1}).is_ok());
  EXPECT_EQ(a.correct_top1(), 1);  // all equal: class 0 wins
  ASSERT_TRUE(a.add(scores({1, 2}, {1, NAN}), {0}).is_ok());
  EXPECT_EQ(a.correct_top1(), 1);
  EXPECT_EQ(a.count(), 3);
}

TEST(TopK, WrongInputLeavesTheCountsAlone) {
  TopKAccuracy a;
  const Tensor rows = scores({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_NE(a.add(rows, {0, 3}).message().find("label 3 of sample 1"), std::string::npos);
  EXPECT_FALSE(a.add(rows, {0, -1}).is_ok());
  EXPECT_FALSE(a.add(rows, {0}).is_ok());
  EXPECT_FALSE(a.add(scores({6}, {1, 2, 3, 4, 5, 6}), {0}).is_ok());
  EXPECT_FALSE(a.add(scores({1, 2, 3}, {1, 2, 3, 4, 5, 6}), {0}).is_ok());
  EXPECT_FALSE(a.add(Tensor::from<int8_t>({1, 2}, {1, 2}), {0}).is_ok());
  EXPECT_EQ(a.count(), 0);
}

TEST(Agreement, CountsEqualDecisions) {
  Agreement a;
  ASSERT_TRUE(a.add(scores({3, 2}, {1, 2, 3, 1, 1, 1}), scores({3, 2}, {5, 9, 1, 2, 0, 0})).is_ok());
  EXPECT_EQ(a.count(), 3);
  EXPECT_EQ(a.same(), 2);
  ASSERT_TRUE(a.add(Tensor::from<double>({1, 2}, {1, 2}), scores({1, 2}, {NAN, 2})).is_ok());
  EXPECT_EQ(a.same(), 2);
  EXPECT_DOUBLE_EQ(a.share(), 0.5);
  EXPECT_FALSE(a.add(scores({1, 2}, {1, 2}), scores({1, 3}, {1, 2, 3})).is_ok());
}

}  // namespace
}  // namespace octet
