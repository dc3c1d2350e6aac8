#include "calibration/distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace octet {
namespace {

double fake(double x, const Quantizer& q) {
  const auto v = static_cast<float>(x);
  if (q.codes.hi == 0) return fake_quantize_value_fp8(v, q.scale, q.dtype);
  return fake_quantize_value(v, q.scale, q.zero_point, q.codes.lo, q.codes.hi);
}

// Midpoint rule over every bin: what the closed form must equal.
ErrorMoments integrate(const TensorStatistics& s, const Quantizer& q) {
  constexpr int kPoints = 2000;
  ErrorMoments sum;
  for (int side = 0; side < 2; ++side) {
    const auto bins = side == 0 ? s.positive_bins() : s.negative_bins();
    for (size_t j = 0; j < bins.size(); ++j) {
      if (bins[j] == 0) continue;
      for (int i = 0; i < kPoints; ++i) {
        const double y = (static_cast<double>(j) + (i + 0.5) / kPoints) * s.bin_width();
        const double x = side == 0 ? y : -y;
        const double e = fake(x, q) - x;
        sum.mean += e * static_cast<double>(bins[j]) / kPoints;
        sum.mean_sq += e * e * static_cast<double>(bins[j]) / kPoints;
      }
    }
  }
  const auto n = static_cast<double>(s.finite_count());
  return {sum.mean / n, sum.mean_sq / n};
}

TEST(HistogramDistribution, ErrorEqualsNumericalIntegration) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal(0.3f, 1.0f);
  std::vector<float> x(150);
  for (float& v : x) v = normal(rng);
  x.push_back(0.0f);
  TensorStatistics s;
  s.add(x.data(), static_cast<int64_t>(x.size()));
  const HistogramDistribution d(s);
  for (DType dtype :
       {DType::kInt8, DType::kUint8, DType::kInt4, DType::kInt16, DType::kFloat8E4M3, DType::kFloat8E5M2}) {
    for (bool symmetric : {true, false}) {
      if (!symmetric && (dtype == DType::kFloat8E4M3 || dtype == DType::kFloat8E5M2)) continue;
      for (double clip : {1.0, 0.6, 0.013}) {
        const CalibratorOptions options{.dtype = dtype, .symmetric = symmetric};
        const Quantizer q = make_quantizer(s.min() * clip, s.max() * clip, options);
        const ErrorMoments got = d.error(q), expected = integrate(s, q);
        EXPECT_NEAR(got.mean_sq, expected.mean_sq, 2e-3 * expected.mean_sq) << dtype_name(dtype) << " " << clip;
        EXPECT_NEAR(got.mean, expected.mean, 2e-3 * std::sqrt(expected.mean_sq)) << dtype_name(dtype) << " " << clip;
      }
    }
  }
}

TEST(SampleDistribution, ErrorAndMomentsAreExact) {
  std::mt19937 rng(5);
  std::normal_distribution<float> normal(-0.2f, 1.0f);
  std::vector<float> x(1003);
  for (float& v : x) v = normal(rng);
  const SampleDistribution d(x.data(), 1003);
  for (DType dtype : {DType::kInt8, DType::kUint4, DType::kFloat8E4M3}) {
    const Quantizer q = make_quantizer(-1.5, 2.0, {.dtype = dtype});
    double sum = 0, sum_sq = 0;
    for (float v : x) {
      const double e = fake(v, q) - v;
      sum += e;
      sum_sq += e * e;
    }
    EXPECT_NEAR(d.error(q).mean, sum / 1003, 1e-12);
    EXPECT_NEAR(d.error(q).mean_sq, sum_sq / 1003, 1e-12);
  }
}

TEST(MakeQuantizer, CoversTheRangeThatTheTypeCan) {
  EXPECT_EQ(make_quantizer(-3, 2, {.dtype = DType::kInt8}).scale, 3.0f / 127);
  EXPECT_EQ(make_quantizer(-3, 2, {.dtype = DType::kUint8}).scale, 2.0f / 255);
  EXPECT_EQ(make_quantizer(-3, 2, {.dtype = DType::kFloat8E4M3}).scale, 3.0f / 448);
  EXPECT_EQ(make_quantizer(-1, 3, {.dtype = DType::kUint8, .symmetric = false}).zero_point, 64);
  bool degenerate = false;
  make_quantizer(-1, 0, {.dtype = DType::kUint8}, &degenerate);
  EXPECT_TRUE(degenerate);
}

}  // namespace
}  // namespace octet
