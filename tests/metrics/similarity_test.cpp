#include "metrics/similarity.h"

#include <gtest/gtest.h>

#include <cmath>

namespace octet {
namespace {

Tensor row(const std::vector<float>& v) { return Tensor::from<float>({1, static_cast<int64_t>(v.size())}, v); }

TEST(Similarity, ByHand) {
  const Tensor r = row({3, 4}), t = row({3, 3.5});
  EXPECT_NEAR(*sqnr_db(r, t), 20, 1e-12);  // 25 to 0.25
  EXPECT_NEAR(*cosine_similarity(r, t), 23 / (5 * std::sqrt(21.25)), 1e-12);
  EXPECT_DOUBLE_EQ(*max_abs_difference(r, t), 0.5);
  Similarity s;
  ASSERT_TRUE(s.add(r, t).is_ok());
  EXPECT_DOUBLE_EQ(s.mse(), 0.125);
}

TEST(Similarity, Edges) {
  EXPECT_EQ(*sqnr_db(row({1, 2}), row({1, 2})), INFINITY);
  EXPECT_EQ(*sqnr_db(row({0, 0}), row({0, 1})), -INFINITY);
  EXPECT_EQ(*cosine_similarity(row({0, 0}), row({0, 0})), 1);
  EXPECT_EQ(*cosine_similarity(row({0, 0}), row({0, 1})), 0);
  EXPECT_NEAR(*cosine_similarity(row({1, -2}), row({-1, 2})), -1, 1e-15);
  EXPECT_FALSE(sqnr_db(row({1}), row({1, 2})).is_ok());
  EXPECT_FALSE(sqnr_db(row({1}), Tensor::from<int32_t>({1}, {1})).is_ok());
  Similarity s;
  ASSERT_TRUE(s.add(row({1, NAN, INFINITY, 2}), row({1, 1, 1, 2})).is_ok());
  EXPECT_EQ(s.nonfinite(), 2);
  EXPECT_EQ(s.count(), 4);
  EXPECT_EQ(s.sqnr_db(), INFINITY);
}

TEST(Similarity, MergingAddsTheSums) {
  Similarity a, b, both;
  ASSERT_TRUE(a.add(row({1, 2}), row({1, 2.5})).is_ok());
  ASSERT_TRUE(b.add(row({4, 8}), row({4.25, 8})).is_ok());
  ASSERT_TRUE(both.add(row({1, 2, 4, 8}), row({1, 2.5, 4.25, 8})).is_ok());
  a.merge(b);
  EXPECT_DOUBLE_EQ(a.sqnr_db(), both.sqnr_db());
  EXPECT_DOUBLE_EQ(a.cosine(), both.cosine());
  EXPECT_DOUBLE_EQ(a.max_abs_diff(), 0.5);
}

TEST(Kl, SoftmaxDivergence) {
  const float l2 = std::log(2.0f);
  // p = (1/2, 1/2), q = (2/3, 1/3): KL = 1/2 ln(3/4) + 1/2 ln(3/2).
  const double expected = 0.5 * std::log(0.75) + 0.5 * std::log(1.5);
  EXPECT_NEAR(*softmax_kl_divergence(row({5, 5}), row({l2, 0})), expected, 1e-7);
  EXPECT_NEAR(*softmax_kl_divergence(row({1, 2, 3}), row({101, 102, 103})), 0, 1e-12);
  const double far = *softmax_kl_divergence(row({1000, 0}), row({0, 1000}));
  EXPECT_NEAR(far, 1000, 1e-9);  // and no overflow
  EXPECT_FALSE(softmax_kl_divergence(row({NAN, 0}), row({0, 1})).is_ok());
  EXPECT_FALSE(softmax_kl_divergence(row({1, 0}), row({0, 1, 2})).is_ok());
}

}  // namespace
}  // namespace octet
