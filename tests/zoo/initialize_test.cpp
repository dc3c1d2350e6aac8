// The distributions of initial weights, against their definitions.
#include "zoo/initialize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace octet::zoo {
namespace {

TEST(Initialize, TheQuantileIsTheInverseOfTheDistribution) {
  for (double p : {1e-15, 1e-9, 1e-4, 0.02, 0.0242, 0.0243, 0.3, 0.5, 0.7, 0.9757, 0.976, 0.999, 1 - 1e-9}) {
    const double x = normal_quantile(p);
    // A relative error of x becomes one of p: that of x, times about x * x in the tail.
    EXPECT_NEAR(0.5 * std::erfc(-x / std::sqrt(2.0)) / p, 1.0, 1.2e-9 * (1 + x * x)) << p;
  }
}

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};

Moments moments_of(const Dims& dims, const Init& init, uint64_t seed = 1) {
  Tensor t(DType::kFloat32, dims);
  initialize(t, init, "w", seed);
  Moments m;
  const auto n = static_cast<double>(t.numel());
  for (int64_t i = 0; i < t.numel(); ++i) m.mean += t.data<float>()[i] / n;
  for (int64_t i = 0; i < t.numel(); ++i) {
    m.deviation += (t.data<float>()[i] - m.mean) * (t.data<float>()[i] - m.mean) / n;
    m.largest = std::max(m.largest, std::fabs(static_cast<double>(t.data<float>()[i])));
  }
  m.deviation = std::sqrt(m.deviation);
  return m;
}

// 64 x 32 x 5 x 5: fan_in 800, fan_out 1600; 51,200 numbers give the deviation to about 0.3 %.
const Dims kDims = {64, 32, 5, 5};

TEST(Initialize, DeviationsFollowTheFans) {
  EXPECT_NEAR(moments_of(kDims, kHeFanIn).deviation, std::sqrt(2.0 / 800), 1e-3);
  EXPECT_NEAR(moments_of(kDims, kHeFanOut).deviation, std::sqrt(2.0 / 1600), 7e-4);
  const Moments uniform = moments_of(kDims, kUniformFanIn);
  EXPECT_NEAR(uniform.deviation, std::sqrt(1.0 / 800 / 3), 4e-4);
  EXPECT_LE(uniform.largest, std::sqrt(1.0 / 800) * (1 + 1e-6));
  EXPECT_GT(uniform.largest, std::sqrt(1.0 / 800) * 0.999);
  const Moments normal = moments_of(kDims, {Init::Kind::kNormal, 0.01});
  EXPECT_NEAR(normal.deviation, 0.01, 2e-4);
  EXPECT_NEAR(normal.mean, 0.0, 2e-4);
  EXPECT_GT(normal.largest, 0.035);
}

TEST(Initialize, TruncationCutsAtTwoDeviations) {
  const Moments m = moments_of(kDims, {Init::Kind::kTruncatedNormal, 0.02});
  EXPECT_LE(m.largest, 0.04 * (1 + 1e-6));
  EXPECT_GT(m.largest, 0.0398);
  // 1 - 2 a phi(a) / (2 Phi(a) - 1) with a = 2 is the variance of the truncated standard normal.
  EXPECT_NEAR(m.deviation, 0.02 * std::sqrt(0.7737413), 2e-4);
}

TEST(Initialize, NamesAndSeedsAreStreamsOfTheirOwn) {
  const auto values = [](const std::string& name, uint64_t seed) {
    Tensor t(DType::kFloat32, {100});
    initialize(t, {Init::Kind::kNormal, 1.0}, name, seed);
    return std::vector<float>(t.data<float>(), t.data<float>() + 100);
  };
  EXPECT_EQ(values("a", 1), values("a", 1));
  for (const auto& [name, seed] : std::vector<std::pair<std::string, uint64_t>>{{"b", 1}, {"a", 2}, {"a", 0}}) {
    const auto one = values("a", 1), other = values(name, seed);
    double product = 0;
    for (size_t i = 0; i < one.size(); ++i) product += static_cast<double>(one[i]) * static_cast<double>(other[i]);
    EXPECT_LT(std::fabs(product) / 100, 0.4) << name << seed;  // four deviations of the mean of 100
  }
}

}  // namespace
}  // namespace octet::zoo
