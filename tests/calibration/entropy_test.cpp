#include "calibration/entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace octet {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The method as its description reads: build P and Q in full, then sum. O(bins) per candidate, O(bins^2) in all.
double reference_divergence(const std::vector<double>& counts, size_t a, size_t b, int levels) {
  std::vector<double> p(counts.begin() + static_cast<long>(a), counts.begin() + static_cast<long>(b));
  std::vector<double> q(p.size());
  const size_t width = b - a;
  for (int g = 0; g < levels; ++g) {
    double mass = 0, nonempty = 0;
    std::vector<size_t> members;
    for (size_t j = 0; j < width; ++j)
      if (j * static_cast<size_t>(levels) / width == static_cast<size_t>(g)) members.push_back(j);
    for (size_t j : members) {
      mass += p[j];
      nonempty += p[j] > 0;
    }
    for (size_t j : members) q[j] = p[j] > 0 ? mass / nonempty : 0;
  }
  for (size_t j = 0; j < a; ++j) p.front() += counts[j];
  for (size_t j = b; j < counts.size(); ++j) p.back() += counts[j];
  double sum_p = 0, sum_q = 0, kl = 0;
  for (double v : p) sum_p += v;
  for (double v : q) sum_q += v;
  if (2 * sum_q < sum_p) return kInfinity;
  for (size_t j = 0; j < width; ++j) {
    if (p[j] == 0) continue;
    if (q[j] == 0) return kInfinity;
    kl += p[j] / sum_p * std::log((p[j] / sum_p) / (q[j] / sum_q));
  }
  return kl;
}

std::vector<double> uniform(int levels) {
  std::vector<double> edges;
  for (int g = 0; g <= levels; ++g) edges.push_back(static_cast<double>(g) / levels);
  return edges;
}

TEST(EntropySearch, DivergenceEqualsTheDefinition) {
  std::mt19937 rng(6);
  for (int levels : {8, 16, 128}) {
    std::vector<double> counts(400);
    for (size_t j = 0; j < counts.size(); ++j)
      counts[j] = rng() % 4 == 0 ? 0 : static_cast<double>(rng() % 20000) * std::exp(-static_cast<double>(j) / 90);
    for (double& c : counts) c = std::floor(c);
    counts.back() = 2;
    const EntropySearch search(counts, uniform(levels));
    for (int b = levels; b <= 400; b += 3) {
      for (int a : {0, b > levels + 40 ? 37 : 0}) {
        const double expected = reference_divergence(counts, static_cast<size_t>(a), static_cast<size_t>(b), levels);
        const double got = search.divergence(a, b);
        if (std::isinf(expected)) EXPECT_EQ(got, kInfinity);
        else EXPECT_NEAR(got, expected, 1e-11) << levels << " levels, [" << a << ", " << b << ")";
      }
    }
  }
}

TEST(EntropyCalibrator, PicksTheThresholdOfTheSlowReference) {
  std::mt19937 rng(12);
  for (auto [dtype, levels] : {std::pair{DType::kInt8, 128}, {DType::kUint8, 256}, {DType::kInt4, 8}}) {
    std::vector<float> x(3000);
    std::exponential_distribution<float> tail(3.0f);
    for (float& v : x) v = rng() % 2 == 0 ? 0.0f : tail(rng);
    x[5] = 4.1f;  // an outlier, in the used half of the bins
    const SampleDistribution d(x.data(), static_cast<int64_t>(x.size()));
    std::vector<double> counts = d.magnitude_bins().positive;
    double least = kInfinity;
    size_t best = counts.size();
    for (size_t b = static_cast<size_t>(levels); b <= counts.size(); ++b) {
      const double kl = reference_divergence(counts, 0, b, levels);
      if (kl <= least + 1e-13) {
        least = std::min(least, kl);
        best = b;
      }
    }
    const ClipRange r = entropy_range(d, {.method = CalibrationMethod::kEntropy, .dtype = dtype});
    const double expected = best == counts.size() ? 4.1f : static_cast<double>(best) * d.magnitude_bins().width;
    EXPECT_DOUBLE_EQ(r.hi, expected) << dtype_name(dtype);
    // One-sided affine is the same search with the levels of the whole type.
    const ClipRange affine = entropy_range(d, {.dtype = DType::kUint8, .symmetric = false});
    EXPECT_EQ(affine.hi, entropy_range(d, {.dtype = DType::kUint8}).hi);
    EXPECT_EQ(affine.lo, 0);
  }
}

TEST(EntropyCalibrator, TwoSidedIsAtLeastAsGoodAsNoClipAndAsTheCoarseGrid) {
  std::mt19937 rng(13);
  std::normal_distribution<float> normal(0.5f, 1.0f);
  std::vector<float> x(60000);
  for (float& v : x) v = normal(rng) > 0 ? normal(rng) * 2 : normal(rng) * 0.2f;
  x[0] = 40;
  x[1] = -55;
  TensorStatistics s;
  s.add(x.data(), static_cast<int64_t>(x.size()));
  const HistogramDistribution d(s);
  const CalibratorOptions options{.method = CalibrationMethod::kEntropy, .dtype = DType::kInt8, .symmetric = false};
  const ClipRange r = entropy_range(d, options);
  EXPECT_LT(r.hi, 20);
  EXPECT_GT(r.lo, -30);
  const MagnitudeBins bins = d.magnitude_bins();
  std::vector<double> line(bins.negative.rbegin(), bins.negative.rend());
  line.insert(line.end(), bins.positive.begin(), bins.positive.end());
  const auto zero = static_cast<double>(bins.negative.size());
  const auto a = static_cast<size_t>(std::lround(zero + r.lo / bins.width));
  const auto b = static_cast<size_t>(std::lround(zero + r.hi / bins.width));
  const double chosen = reference_divergence(line, a, b, 256);
  EXPECT_LT(chosen, 0.5 * reference_divergence(line, 0, line.size(), 256));
}

TEST(EntropyCalibrator, FallsBackToTheWholeRangeWhenThereIsNothingToMerge) {
  const std::vector<float> nine = {0.1f, -0.4f, 0.3f, 0.05f, -0.9f, 0.7f, 0.2f, -0.15f, 0.0f};
  const SampleDistribution d(nine.data(), 9);
  EXPECT_EQ(entropy_range(d, {.dtype = DType::kInt8}).hi, static_cast<double>(0.9f));
  EXPECT_EQ(entropy_range(d, {.dtype = DType::kInt16}).hi, static_cast<double>(0.9f));
  EXPECT_TRUE(entropy_range(d, {.dtype = DType::kInt4}).fallback);
  EXPECT_EQ(entropy_range(d, {.symmetric = false}).lo, static_cast<double>(-0.9f));
}

}  // namespace
}  // namespace octet
