// statistics.json: bins and clips against counting every value.
#include "octet/calibration_summary.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "quantization/small_networks.h"

namespace octet::testing {
namespace {

std::vector<float> values(unsigned seed, size_t n, bool positive) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.1f, 1.7f);
  std::vector<float> x(n);
  for (float& v : x) v = positive ? std::max(0.0f, normal(generator)) : normal(generator);
  return x;
}

TEST(CalibrationSummary, BinsCountEveryValueOnce) {
  for (const bool positive : {false, true}) {
    const std::vector<float> x = values(3, 20000, positive);
    TensorStatistics statistics;
    statistics.add(x.data(), static_cast<int64_t>(x.size()));
    const TensorSummary t = summarize(statistics);
    ASSERT_LE(t.bins.size(), static_cast<size_t>(TensorSummary::kMostBins));
    ASSERT_GT(t.bins.size(), static_cast<size_t>(TensorSummary::kMostBins) / 4);
    std::vector<int64_t> counted(t.bins.size(), 0);
    int64_t zeros = 0;
    for (const float v : x) {
      if (v == 0) ++zeros;
      else {
        // Magnitudes count from zero outwards, so that a negative value on a border belongs to the bin below it.
        const double place = (v - t.bin_lo) / t.bin_width;
        const double bin = v > 0 ? std::floor(place) : std::ceil(place) - 1;
        ++counted.at(static_cast<size_t>(bin));
      }
    }
    EXPECT_EQ(t.bins, counted);
    EXPECT_EQ(t.zeros, zeros);
    EXPECT_EQ(t.count, static_cast<int64_t>(x.size()));
  }
}

TEST(CalibrationSummary, NothingButZerosAndNonfiniteValues) {
  TensorStatistics zeros;
  const std::vector<float> x = {0.0f, -0.0f, NAN, INFINITY};
  zeros.add(x.data(), 4);
  const TensorSummary t = summarize(zeros);
  EXPECT_TRUE(t.bins.empty());
  EXPECT_EQ(t.zeros, 2);
  EXPECT_EQ(t.nonfinite, 2);
  EXPECT_TRUE(summarize(TensorStatistics()).bins.empty());
}

Graph network() {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 3, 8, 8});
  const ValueId r = b.relu("relu1", b.conv("conv1", x, 3, 16));
  Graph g = b.finish({b.conv("conv2", r, 16, 4)});
  g.value(g.find_value("conv1.weight")).constant->data<float>()[5 * 27 + 2] = -9.5f;  // channel 5
  return g;
}

TEST(CalibrationSummary, ClipsAreThoseOfTheCalibratorsAndTheirShareIsCounted) {
  const Graph g = network();
  const QuantizationPlan plan = prepared(g, options_for("octet"));
  const auto statistics = observe(g, plan);
  const CalibrationSummary summary = summarize_calibration(g, plan, statistics);
  ASSERT_TRUE(summary.tensors.count("relu1_out"));
  const TensorSummary& t = summary.tensors.at("relu1_out");
  ASSERT_EQ(t.clips.size(), 4u);
  EXPECT_EQ(t.clips.at("max").hi, statistics.at("relu1_out").max());
  EXPECT_EQ(t.clips.at("max").outside, 0);
  EXPECT_GT(t.clips.at("percentile").hi, 0);
  EXPECT_LE(t.clips.at("percentile").hi, t.clips.at("max").hi);
  for (const auto& [method, clip] : t.clips) {
    double outside = 0, bin = 0;
    std::vector<float> all;
    for (unsigned seed = 0; seed < 3; ++seed)
      (void)interpret(g, random_inputs(g, seed), [&](ValueId id, const Tensor& x) {
        if (g.value(id).name == "relu1_out") all.insert(all.end(), x.data<float>(), x.data<float>() + x.numel());
      });
    for (const float v : all) outside += v > clip.hi || v < clip.lo ? 1 : 0;
    // Values are taken as uniform inside the one bin that the limit divides.
    bin = 0;
    for (const float v : all) bin += std::fabs(v - clip.hi) <= statistics.at("relu1_out").bin_width() ? 1 : 0;
    EXPECT_NEAR(clip.outside, outside / static_cast<double>(all.size()), (bin + 1) / static_cast<double>(all.size()))
        << method;
  }
}

TEST(CalibrationSummary, WeightsHaveTheLargestMagnitudeOfEachChannel) {
  const Graph g = network();
  const QuantizationPlan plan = prepared(g, options_for("octet"));
  const CalibrationSummary summary = summarize_calibration(g, plan, observe(g, plan));
  const TensorSummary& t = summary.tensors.at("conv1.weight");
  ASSERT_EQ(t.channels.size(), 16u);
  const float* w = g.value(g.find_value("conv1.weight")).constant->data<float>();
  for (size_t c = 0; c < 16; ++c) {
    float most = 0;
    for (size_t k = 0; k < 27; ++k) most = std::max(most, std::fabs(w[c * 27 + k]));
    EXPECT_EQ(t.channels[c], most) << c;
  }
  EXPECT_EQ(t.channels[5], 9.5f);
  EXPECT_TRUE(t.clips.empty());
}

TEST(CalibrationSummary, JsonHasALineForEachTensorAndIsTheSameEveryTime) {
  const Graph g = network();
  const QuantizationPlan plan = prepared(g, options_for("octet"));
  CalibrationSummary summary = summarize_calibration(g, plan, observe(g, plan));
  summary.layer_sqnr_db["conv1"] = 31.25;
  const std::string text = summary_to_json(summary);
  CalibrationSummary again = summarize_calibration(g, plan, observe(g, plan));
  again.layer_sqnr_db = summary.layer_sqnr_db;
  EXPECT_EQ(summary_to_json(again), text);
  const auto j = nlohmann::json::parse(text);
  EXPECT_EQ(j["format"], "octet-statistics");
  EXPECT_EQ(j["network"], plan.fingerprint);
  EXPECT_EQ(j["layer_sqnr_db"]["conv1"], 31.25);
  EXPECT_EQ(j["tensors"]["relu1_out"]["clip_max"][1].get<float>(),
            summary.tensors.at("relu1_out").clips.at("max").hi);
  EXPECT_EQ(j["tensors"].size(), summary.tensors.size());
}

}  // namespace
}  // namespace octet::testing
