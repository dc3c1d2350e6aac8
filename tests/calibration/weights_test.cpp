#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "arith/float_formats.h"
#include "arith/quantize.h"
#include "octet/calibration.h"

namespace octet {
namespace {

const CalibrationMethod kMethods[] = {CalibrationMethod::kMax, CalibrationMethod::kPercentile,
                                      CalibrationMethod::kEntropy, CalibrationMethod::kMse, CalibrationMethod::kAuto};

Tensor random_weights(Dims dims, uint32_t seed) {
  Tensor w(DType::kFloat32, std::move(dims));
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  for (int64_t i = 0; i < w.numel(); ++i) w.data<float>()[i] = normal(rng) * static_cast<float>(1 + i % 7);
  return w;
}

double error_of(const Tensor& w, const QuantParams& p) {
  const Result<Tensor> y = fake_quantize(w, p);
  EXPECT_TRUE(y.is_ok()) << y.status().message();
  double sum = 0;
  for (int64_t i = 0; i < w.numel(); ++i) {
    const double e = static_cast<double>(y->data<float>()[i]) - w.data<float>()[i];
    sum += e * e;
  }
  return sum / static_cast<double>(w.numel());
}

TEST(CalibrateWeights, MaxIsTheLargestMagnitudeOfEachChannel) {
  const Tensor w = random_weights({3, 4, 5}, 1);
  for (int axis : {-1, 0, 1, 2}) {
    const Result<std::vector<CalibratedRange>> ranges = calibrate_weights(w, axis, {});
    ASSERT_TRUE(ranges.is_ok()) << ranges.status().message();
    const QuantLayout layout = *quant_layout(w.dims(), axis, 0);
    std::vector<float> amax(static_cast<size_t>(layout.scale_count));
    for (int64_t i = 0; i < w.numel(); ++i) {
      float& m = amax[static_cast<size_t>(layout.scale_index(i))];
      m = std::max(m, std::fabs(w.data<float>()[i]));
    }
    ASSERT_EQ(ranges->size(), amax.size());
    for (size_t c = 0; c < amax.size(); ++c) {
      EXPECT_EQ((*ranges)[c].hi, amax[c]);
      EXPECT_EQ((*ranges)[c].scale, amax[c] / 127);
    }
  }
}

TEST(CalibrateWeights, PredictedErrorsAreExactForEveryMethodAndGranularity) {
  const Tensor w = random_weights({4, 6, 9}, 2);
  for (CalibrationMethod method : kMethods) {
    for (DType dtype : {DType::kInt8, DType::kInt4, DType::kFloat8E4M3}) {
      for (auto [axis, block] : {std::pair<int, int64_t>{-1, 0}, {0, 0}, {1, 0}, {1, 4}, {2, 3}}) {
        const CalibratorOptions options{.method = method, .dtype = dtype};
        const Result<std::vector<CalibratedRange>> ranges = calibrate_weights(w, axis, options, block);
        ASSERT_TRUE(ranges.is_ok()) << ranges.status().message();
        double predicted = 0;
        const QuantLayout layout = *quant_layout(w.dims(), axis, block);
        for (int64_t i = 0; i < w.numel(); ++i)
          predicted += (*ranges)[static_cast<size_t>(layout.scale_index(i))].error_mean_sq;
        predicted /= static_cast<double>(w.numel());
        EXPECT_NEAR(error_of(w, to_quant_params(*ranges, options, axis, block)), predicted, 1e-9 + 1e-6 * predicted);
      }
    }
  }
}

TEST(CalibrateWeights, ChannelsOfNineElementsBehave) {
  const Tensor w = random_weights({64, 1, 3, 3}, 3);
  for (DType dtype : {DType::kInt8, DType::kInt4}) {
    const auto max = *calibrate_weights(w, 0, {.dtype = dtype});
    for (CalibrationMethod method : kMethods) {
      const auto ranges = *calibrate_weights(w, 0, {.method = method, .dtype = dtype});
      for (size_t c = 0; c < 64; ++c) {
        EXPECT_GT(ranges[c].hi, 0);
        EXPECT_LE(ranges[c].hi, max[c].hi);
        if (method == CalibrationMethod::kPercentile || method == CalibrationMethod::kEntropy) {
          EXPECT_GE(ranges[c].hi, 0.99f * max[c].hi);  // nine values have no outliers
        } else {
          EXPECT_LE(ranges[c].error_mean_sq, max[c].error_mean_sq * 1.0000001);  // mse and auto never lose to max
        }
      }
    }
  }
}

TEST(CalibrateWeights, MseIsWithinOnePercentOfBruteForcePerChannel) {
  const Tensor w = random_weights({8, 200}, 4);
  const CalibratorOptions options{.method = CalibrationMethod::kMse, .dtype = DType::kInt4};
  const auto ranges = *calibrate_weights(w, 0, options);
  for (int64_t c = 0; c < 8; ++c) {
    Tensor row(DType::kFloat32, {200});
    for (int64_t i = 0; i < 200; ++i) row.data<float>()[i] = w.data<float>()[c * 200 + i];
    const float amax = (*calibrate_weights(row, -1, {}))[0].hi;
    double least = std::numeric_limits<double>::infinity();
    for (int i = 1; i <= 2000; ++i)
      least =
          std::min(least, error_of(row, {.dtype = DType::kInt4, .scale = {amax * static_cast<float>(i) / 14000}}));
    EXPECT_LE(ranges[static_cast<size_t>(c)].error_mean_sq, 1.01 * least) << c;
  }
}

TEST(CalibrateWeights, LargeTensorsUseTheHistogramAndAgree) {
  const Tensor w = random_weights({300, 400}, 5);
  for (CalibrationMethod method : kMethods) {
    const CalibratorOptions options{.method = method};
    const auto ranges = *calibrate_weights(w, -1, options);
    const double measured = error_of(w, to_quant_params(ranges, options));
    EXPECT_NEAR(ranges[0].error_mean_sq, measured, 0.02 * measured) << calibration_method_name(method);
  }
}

TEST(CalibrateWeights, HalfPrecisionZeroChannelsAndMistakes) {
  Tensor w = random_weights({3, 8}, 6);
  const Tensor half = *cast_tensor(w, DType::kFloat16);
  EXPECT_EQ((*calibrate_weights(half, 0, {})).size(), 3u);
  for (int64_t i = 0; i < 8; ++i) w.data<float>()[8 + i] = 0;
  const auto ranges = *calibrate_weights(w, 0, {.method = CalibrationMethod::kAuto});
  EXPECT_FALSE(ranges[0].degenerate);
  EXPECT_TRUE(ranges[1].degenerate);
  w.data<float>()[17] = std::numeric_limits<float>::quiet_NaN();
  const Status nan = calibrate_weights(w, 0, {}).status();
  EXPECT_EQ(nan.code(), StatusCode::kDataCorrupt);
  EXPECT_NE(nan.message().find("channel 2: 1 of 8 weights"), std::string::npos) << nan.message();
  EXPECT_FALSE(calibrate_weights(w, 2, {}).is_ok());
  EXPECT_FALSE(calibrate_weights(Tensor(DType::kFloat32, {0}), -1, {}).is_ok());
  EXPECT_FALSE(calibrate_weights(Tensor(DType::kInt8, {1}), -1, {}).is_ok());
}

TEST(ConsumerWeights, MeansOverOutputChannels) {
  const Tensor w = Tensor::from<float>({2, 3}, {1, 2, 3, -1, 0, 1});
  const Result<ConsumerWeights> rows = consumer_weights(w, 0);
  ASSERT_TRUE(rows.is_ok());
  EXPECT_DOUBLE_EQ(rows->mean_sq_sum, (14 + 2) / 2.0);
  EXPECT_DOUBLE_EQ(rows->mean_sum_sq, (36 + 0) / 2.0);
  const Result<ConsumerWeights> columns = consumer_weights(w, 1);
  EXPECT_DOUBLE_EQ(columns->mean_sq_sum, (2 + 4 + 10) / 3.0);
  EXPECT_DOUBLE_EQ(columns->mean_sum_sq, (0 + 4 + 16) / 3.0);
  EXPECT_FALSE(consumer_weights(w, 2).is_ok());
  EXPECT_FALSE(consumer_weights(w, -1).is_ok());
}

}  // namespace
}  // namespace octet
