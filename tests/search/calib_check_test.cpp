// Calibration checks: what must be found is put in by hand.
#include "octet/calib_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "search/histogram_distance.h"
#include "search/support.h"

namespace octet {
namespace {

// Images of noise whose size and offset a test chooses by image.
class Noise : public Dataset {
 public:
  using Size = std::function<double(int64_t)>;
  Noise(int64_t count, Size size, uint64_t seed = 0, double offset = 0)
      : count_(count), size_(std::move(size)), seed_(seed), offset_(offset) {}
  int64_t size() const override { return count_; }
  std::string describe() const override { return "noise"; }
  Result<Sample> get(int64_t index) const override {
    test::Random random(seed_ * 100003 + static_cast<uint64_t>(index) + 1);
    Sample s;
    const double size = size_(index);
    s.inputs = {test::random_tensor(random, {3, 12, 12}, offset_ - size, offset_ + size)};
    s.name = "img" + std::to_string(index);
    return s;
  }

 private:
  int64_t count_;
  Size size_;
  uint64_t seed_;
  double offset_;
};

// Drawn for each image: 0.7 to 1.3.
double like_photographs(int64_t image) { return test::Random(static_cast<uint64_t>(image) + 77).real(0.7, 1.3); }
double like_others(int64_t image) { return test::Random(static_cast<uint64_t>(image) + 7777).real(0.7, 1.3); }

Result<CalibCheckReport> check(const Dataset& calibration, const Dataset* evaluation = nullptr, int64_t images = 64,
                               int threads = 0, QuantizationOptions options = {}) {
  CalibCheckJob job;
  job.calibration = &calibration;
  job.evaluation = evaluation;
  job.images = images;
  job.run.threads = threads;
  return check_calibration(test::residual_network(3), SelectiveQuantizer(std::move(options)), job);
}

TEST(CalibCheck, NamesTheImageThatStandsOut) {
  const Noise data(64, [](int64_t i) { return i == 37 ? 40 : like_photographs(i); });
  const auto report = check(data);
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  ASSERT_EQ(report->outliers.size(), 1u);
  EXPECT_EQ(report->outliers[0].image, 37);
  EXPECT_EQ(report->outliers[0].name, "img37");
  EXPECT_GT(report->outliers[0].amax, 10 * report->outliers[0].typical);
  EXPECT_GT(report->outliers[0].tensors, 1);
}

TEST(CalibCheck, OrdinaryImagesDoNotStandOut) {
  const Noise data(64, like_photographs);
  const auto report = check(data);
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  EXPECT_TRUE(report->outliers.empty());
}

TEST(CalibCheck, EqualImagesAreEnoughAtOnce) {
  const Noise data(64, [](int64_t) { return 1.0; });
  QuantizationOptions options;
  options.calibrator_i = "percentile";
  const auto report = check(data, nullptr, 64, 0, options);
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  ASSERT_EQ(report->convergence.size(), 3u);
  EXPECT_EQ(report->convergence[0].images, 16);
  EXPECT_EQ(report->convergence[2].images, 64);
  EXPECT_GT(report->enough, 0);
}

TEST(CalibCheck, GrowingImagesAreNeverEnough) {
  const Noise data(64, [](int64_t i) { return 1 + static_cast<double>(i); });
  QuantizationOptions options;
  options.calibrator_i = "max";
  const auto report = check(data, nullptr, 64, 0, options);
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  EXPECT_EQ(report->enough, 0);
  EXPECT_NEAR(report->convergence.back().worst_change, 0.5, 0.1) << "32 of 64 images have half the range";
}

TEST(CalibCheck, DriftIsSeenAndItsAbsenceToo) {
  const Noise data(128, like_photographs), same(64, like_others, 5), darker(64, like_others, 5, -0.8),
      larger(
          64, [](int64_t i) { return 2 * like_others(i); }, 5);
  const auto none = check(data, &same, 128), dark = check(data, &darker, 128), large = check(data, &larger, 128);
  ASSERT_TRUE(none.is_ok() && dark.is_ok() && large.is_ok());
  EXPECT_TRUE(none->drift_measured);
  EXPECT_EQ(none->drift_images, 64);
  EXPECT_FALSE(none->drifted) << none->distance << " against " << none->threshold;
  EXPECT_TRUE(dark->drifted) << dark->distance << " against " << dark->threshold;
  EXPECT_TRUE(large->drifted) << large->distance << " against " << large->threshold;
  EXPECT_GT(dark->drift[0].distance, dark->drift[0].threshold);
}

TEST(CalibCheck, TooFewImagesForDriftAreSaid) {
  const Noise data(64, like_photographs), few(5, like_photographs, 5);
  const auto report = check(data, &few);
  ASSERT_TRUE(report.is_ok());
  EXPECT_FALSE(report->drift_measured);
  ASSERT_EQ(report->notes.size(), 1u);
  EXPECT_FALSE(check(few).is_ok());
}

TEST(CalibCheck, DoesNotDependOnThreads) {
  const Noise data(70, like_photographs), other(40, like_photographs, 5);
  const auto one = check(data, &other, 70, 1), three = check(data, &other, 70, 3);
  ASSERT_TRUE(one.is_ok() && three.is_ok());
  EXPECT_EQ(calib_check_to_json(*one), calib_check_to_json(*three));
  EXPECT_TRUE(nlohmann::json::accept(calib_check_to_json(*one)));
}

// By the definition, for two histograms that a person can compute.
TEST(JensenShannon, IsTheDefinition) {
  const auto of = [](std::vector<float> values) {
    TensorStatistics s;
    s.add(values.data(), static_cast<int64_t>(values.size()));
    return s;
  };
  EXPECT_EQ(jensen_shannon_distance(of({1, 2, 3, -4, 0}), of({1, 2, 3, -4, 0})), 0);
  EXPECT_NEAR(jensen_shannon_distance(of({1, 1, 1}), of({-1, -1})), 1, 1e-12);
  // Shares 1/2, 1/2 against 1, 0: JS = 1/2 (1/2 log2(1/2 / 3/4) + 1/2 log2(1/2 / 1/4)) + 1/2 log2(1 / 3/4) =
  // 0.3112781.
  EXPECT_NEAR(jensen_shannon_distance(of({1, -1}), of({1, 1, 1, 1})), std::sqrt(0.31127812445913283), 1e-9);
  EXPECT_EQ(jensen_shannon_distance(of({0, 0}), of({0})), 0);
  EXPECT_EQ(jensen_shannon_distance(of({}), of({1})), 0);
}

TEST(JensenShannon, DoesNotDependOnTheScaleOfBoth) {
  test::Random random(3);
  std::vector<float> a, b;
  for (int i = 0; i < 4000; ++i) {
    a.push_back(static_cast<float>(random.real(-1, 1)));
    b.push_back(static_cast<float>(random.real(-0.5, 1.5)));
  }
  const auto distance = [](std::vector<float> x, std::vector<float> y, float scale) {
    for (auto* v : {&x, &y})
      for (float& f : *v) f *= scale;
    TensorStatistics s, t;
    s.add(x.data(), static_cast<int64_t>(x.size()));
    t.add(y.data(), static_cast<int64_t>(y.size()));
    EXPECT_DOUBLE_EQ(jensen_shannon_distance(s, t), jensen_shannon_distance(t, s));
    return jensen_shannon_distance(s, t);
  };
  EXPECT_DOUBLE_EQ(distance(a, b, 1), distance(a, b, 0.25F));
  EXPECT_GT(distance(a, b, 1), 0.3);
}

}  // namespace
}  // namespace octet
