#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "arith/isa.h"
#include "calibration/histogram_loops.h"
#include "octet/calibration.h"

namespace octet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TensorStatistics statistics_of(const std::vector<float>& x) {
  TensorStatistics s;
  s.add(x.data(), static_cast<int64_t>(x.size()));
  return s;
}

// Everything that tends to go wrong: half zeros, both signs, 60 binades, denormals, NaN, infinities.
std::vector<float> difficult_values(size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) {
    switch (rng() % 8) {
      case 0: x[i] = std::ldexp(normal(rng), static_cast<int>(rng() % 60) - 40); break;
      case 1: x[i] = i % 3 == 0 ? -0.0f : 0.0f; break;
      case 2: x[i] = std::bit_cast<float>(static_cast<uint32_t>(rng() & 0x807fffffu)); break;  // denormal
      case 3: x[i] = rng() % 500 == 0 ? (rng() % 2 == 0 ? kNan : -kInf) : 0.0f; break;
      case 4: x[i] = std::fabs(normal(rng)); break;
      default: x[i] = i % 2 == 0 ? 0.0f : normal(rng);
    }
  }
  return x;
}

// The definition of the histogram, one value at a time, in exact double arithmetic.
void expect_matches_definition(const TensorStatistics& s, const std::vector<float>& x) {
  uint64_t nan = 0, inf = 0, zero = 0, finite = 0;
  float lo = kInf, hi = -kInf, amax = 0;
  for (float v : x) {
    nan += std::isnan(v);
    inf += std::isinf(v);
    if (!std::isfinite(v)) continue;
    ++finite;
    zero += v == 0;
    lo = std::min(lo, v);
    hi = std::max(hi, v);
    amax = std::max(amax, std::fabs(v));
  }
  EXPECT_EQ(s.count(), x.size());
  EXPECT_EQ(s.finite_count(), finite);
  EXPECT_EQ(s.nan_count(), nan);
  EXPECT_EQ(s.inf_count(), inf);
  EXPECT_EQ(s.zero_count(), zero);
  if (finite == 0) return;
  EXPECT_EQ(s.min(), lo);
  EXPECT_EQ(s.max(), hi);
  EXPECT_EQ(s.amax(), amax);
  if (amax == 0) return;
  const int k = std::max(std::ilogb(amax) - 11, -149);
  ASSERT_EQ(s.bin_exponent(), k);
  std::vector<uint64_t> bins[2] = {std::vector<uint64_t>(TensorStatistics::kBins),
                                   std::vector<uint64_t>(TensorStatistics::kBins)};
  for (float v : x) {
    if (!std::isfinite(v) || v == 0) continue;
    const double bin = std::floor(std::ldexp(std::fabs(static_cast<double>(v)), -k));
    ASSERT_LT(bin, TensorStatistics::kBins);
    ++bins[v < 0][static_cast<size_t>(bin)];
  }
  EXPECT_TRUE(std::ranges::equal(s.positive_bins(), bins[0]));
  EXPECT_TRUE(std::ranges::equal(s.negative_bins(), bins[1]));
}

class StatisticsIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { set_isa_limit_for_testing(GetParam()); }
  void TearDown() override { set_isa_limit_for_testing(Isa::kAvx512); }
};

TEST_P(StatisticsIsa, EqualsTheDefinition) {
  for (size_t n : {0u, 1u, 7u, 16u, 1001u, 4096u, 40001u, 100000u})
    expect_matches_definition(statistics_of(difficult_values(n, 5)), difficult_values(n, 5));
}

TEST_P(StatisticsIsa, AtEveryMagnitudeOfFloat) {
  std::mt19937 rng(9);
  for (int e = -149; e <= 127; ++e) {
    std::vector<float> x;
    for (int i = 0; i < 300; ++i) {
      const float m = std::ldexp(static_cast<float>(rng() % 16777216) / 16777216.0f, e);
      x.push_back(i % 2 == 0 ? m : -m);
    }
    x.push_back(std::ldexp(1.0f, e));
    expect_matches_definition(statistics_of(x), x);
    if (HasFailure()) FAIL() << "2^" << e;
  }
}

TEST_P(StatisticsIsa, CrowdedBinsDoNotOverflowTheirCounters) {
  std::vector<float> x(600001, 1.5f);  // more than 65535 increments for each internal counter
  x[17] = -3.0f;
  expect_matches_definition(statistics_of(x), x);
}

TEST_P(StatisticsIsa, ErrorSumsAreTheSameBitsAsBase) {
  std::mt19937 rng(2);
  std::vector<double> counts(4001);
  for (double& c : counts) c = static_cast<double>(rng() % 100000);
  std::vector<float> x(4099);
  std::normal_distribution<float> normal(0, 40);
  for (float& v : x) v = normal(rng);
  const HistogramLoops& loops = histogram_loops();
  for (double ratio : {0.001, 0.06, 0.37, 15.9}) {
    const ErrorSums a = loops.grid_error(counts.data(), 4001, ratio);
    const ErrorSums b = base::kHistogramLoops.grid_error(counts.data(), 4001, ratio);
    EXPECT_EQ(a.e, b.e);
    EXPECT_EQ(a.e_sq, b.e_sq);
  }
  const ErrorSums a = loops.sample_error(x.data(), 4099, 0.5f, 3, -128, 127);
  const ErrorSums b = base::kHistogramLoops.sample_error(x.data(), 4099, 0.5f, 3, -128, 127);
  EXPECT_EQ(a.e, b.e);
  EXPECT_EQ(a.e_sq, b.e_sq);
}

INSTANTIATE_TEST_SUITE_P(Statistics, StatisticsIsa, testing::ValuesIn(runnable_isas()),
                         [](const auto& info) { return std::string(isa_name(info.param)); });

TEST(TensorStatistics, OrderPartitionAndMergeTreeLeaveNoTrace) {
  std::vector<float> x = difficult_values(120000, 21);
  const std::string expected = statistics_of(x).fingerprint();
  std::mt19937 rng(4);
  for (int trial = 0; trial < 12; ++trial) {
    std::shuffle(x.begin(), x.end(), rng);
    std::vector<TensorStatistics> parts(1 + rng() % 9);
    for (size_t first = 0; first < x.size();) {
      const size_t n = std::min<size_t>(x.size() - first, 1 + rng() % (trial % 2 == 0 ? 900 : 70000));
      parts[rng() % parts.size()].add(x.data() + first, static_cast<int64_t>(n));
      first += n;
    }
    while (parts.size() > 1) {  // a random tree
      std::swap(parts[rng() % parts.size()], parts.back());
      TensorStatistics last = parts.back();
      parts.pop_back();
      parts[rng() % parts.size()].merge(last);
    }
    ASSERT_EQ(parts[0].fingerprint(), expected) << trial;
    ASSERT_EQ(parts[0], statistics_of(x));
  }
}

TEST(TensorStatistics, GrowsOverManyBinadesInAnyDirection) {
  std::vector<float> x;
  for (int e = -149; e <= 127; ++e)
    for (float m : {1.0f, 1.25f, -1.999f}) x.push_back(std::ldexp(m, e));
  std::erase_if(x, [](float v) { return std::isinf(v); });
  TensorStatistics up, down;
  for (float v : x) up.add(&v, 1);
  for (auto it = x.rbegin(); it != x.rend(); ++it) down.add(&*it, 1);
  EXPECT_EQ(up.fingerprint(), down.fingerprint());
  expect_matches_definition(up, x);
}

TEST(TensorStatistics, AtLeastHalfOfTheBinsCoverTheRange) {
  for (float amax : {1.0f, 1.9999999f, 3.0f, 1e-30f, 3.4e38f, 1.17549435e-38f}) {
    const TensorStatistics s = statistics_of({amax});
    EXPECT_GE(amax / s.bin_width(), 2048) << amax;
    EXPECT_LT(amax / s.bin_width(), 4096) << amax;
  }
}

TEST(TensorStatistics, CountsBeyondFloatAndIntRange) {
  TensorStatistics s = statistics_of({1.0f, 1.0f, 0.0f, -0.5f});
  for (int i = 0; i < 40; ++i) s.merge(s);  // 2^40 copies: float32 counts stop at 2^24, 32-bit counts at 2^32
  EXPECT_EQ(s.count(), uint64_t{4} << 40);
  EXPECT_EQ(s.zero_count(), uint64_t{1} << 40);
  EXPECT_EQ(s.positive_bins()[2048], uint64_t{2} << 40);
  EXPECT_NEAR(s.mean(), 0.375, s.bin_width());
  const float one = 1.0f;
  s.add(&one, 1);
  EXPECT_EQ(s.positive_bins()[2048], (uint64_t{2} << 40) + 1);
}

TEST(TensorStatistics, MeanAndSecondMomentWithinTheirBounds) {
  std::mt19937 rng(8);
  std::normal_distribution<float> normal(0.7f, 2.0f);
  std::vector<float> x(50000);
  double sum = 0, sum_sq = 0;
  for (float& v : x) {
    v = rng() % 3 == 0 ? 0.0f : normal(rng);
    sum += v;
    sum_sq += static_cast<double>(v) * v;
  }
  const TensorStatistics s = statistics_of(x);
  EXPECT_LE(std::fabs(s.mean() - sum / 50000), s.bin_width() / 2);
  EXPECT_LE(std::fabs(s.second_moment() - sum_sq / 50000), s.bin_width() * s.amax());
  EXPECT_NEAR(s.mean(), sum / 50000, s.bin_width() / 50);  // what the errors of many values average to
  EXPECT_NEAR(s.second_moment(), sum_sq / 50000, 1e-4 * sum_sq / 50000);
}

TEST(TensorStatistics, EmptyAndSpecialOnly) {
  const TensorStatistics empty;
  EXPECT_EQ(empty.count(), 0u);
  EXPECT_EQ(empty.mean(), 0);
  EXPECT_EQ(empty.second_moment(), 0);
  EXPECT_EQ(empty.min(), 0);
  EXPECT_TRUE(empty.positive_bins().empty());
  const TensorStatistics special = statistics_of({kNan, kInf, -kInf});
  EXPECT_EQ(special.nan_count(), 1u);
  EXPECT_EQ(special.inf_count(), 2u);
  EXPECT_EQ(special.finite_count(), 0u);
  TensorStatistics zeros = statistics_of({0.0f, -0.0f});
  EXPECT_EQ(zeros.zero_count(), 2u);
  EXPECT_EQ(zeros.amax(), 0);
  EXPECT_FALSE(std::signbit(zeros.min()));
  EXPECT_NE(zeros, empty);
  zeros.merge(empty);
  zeros.merge(statistics_of({-2.0f}));
  EXPECT_EQ(zeros.min(), -2.0f);
  EXPECT_EQ(zeros.max(), 0.0f);
}

TEST(TensorStatistics, BytesGiveTheSameStatisticsAndDamageIsRefused) {
  const std::vector<std::vector<float>> cases = {
      {}, {0.0f, -0.0f}, {kNan, kInf}, {1.5f, -3.0f, 0.0f, kNan}, difficult_values(5000, 3)};
  TensorStatistics merged, together;
  for (const std::vector<float>& x : cases) {
    const TensorStatistics s = statistics_of(x);
    const std::string bytes = s.to_bytes();
    const Result<TensorStatistics> back = TensorStatistics::from_bytes(bytes);
    ASSERT_TRUE(back.is_ok()) << back.status().message();
    EXPECT_TRUE(*back == s);
    merged.merge(*back);
    together.add(x.data(), static_cast<int64_t>(x.size()));
    for (size_t cut : {size_t{0}, size_t{1}, bytes.size() / 2, bytes.size() - 1})
      EXPECT_EQ(TensorStatistics::from_bytes(std::string_view(bytes).substr(0, cut)).status().code(),
                StatusCode::kDataCorrupt);
  }
  EXPECT_EQ(merged.fingerprint(), together.fingerprint());
  std::string bytes = statistics_of({1.0f}).to_bytes();
  bytes[7 * 8] = static_cast<char>(bytes[7 * 8] + 1);  // the exponent no longer is that of the largest magnitude
  EXPECT_FALSE(TensorStatistics::from_bytes(bytes).is_ok());
}

}  // namespace
}  // namespace octet
