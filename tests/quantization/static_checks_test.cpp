// Warnings that need no data.
#include "quantization/small_networks.h"

namespace octet::testing {
namespace {

Graph one_conv(int64_t in = 16, int64_t out = 16) {
  NetBuilder b;
  return b.finish({b.conv("conv", b.input("x", {1, in, 4, 4}), in, out)});
}

float* weights(Graph& g) { return g.value(g.find_value("conv.weight")).constant->data<float>(); }

bool any_says(const std::vector<QuantizationWarning>& warnings, const std::string& what) {
  for (const QuantizationWarning& w : warnings)
    if (w.message.find(what) != std::string::npos && w.node == "conv" && w.tensor == "conv.weight") return true;
  return false;
}

TEST(StaticChecks, AHealthyNetworkGivesNone) { EXPECT_TRUE(check_before_calibration(one_conv(), "octet").empty()); }

TEST(StaticChecks, ChannelOutlier) {
  Graph g = one_conv();
  weights(g)[5 * 16 * 9] = 1000.0f;
  const auto warnings = check_before_calibration(g);
  ASSERT_TRUE(any_says(warnings, "channel 5 reaches 1e+03"));
  EXPECT_TRUE(any_says(warnings, "per_channel"));
}

TEST(StaticChecks, DeadChannels) {
  Graph g = one_conv();
  for (int i = 0; i < 2 * 16 * 9; ++i) weights(g)[16 * 9 + i] = 0;
  EXPECT_TRUE(any_says(check_before_calibration(g), "2 of 16 channels are all zero (first: 1)"));
}

TEST(StaticChecks, NonFiniteAndTinyWeights) {
  Graph g = one_conv();
  weights(g)[7] = INFINITY;
  EXPECT_TRUE(any_says(check_before_calibration(g), "NaN or infinite"));
  Graph tiny = one_conv();
  for (int i = 0; i < 16 * 16 * 9; ++i) weights(tiny)[i] *= 1e-9f;
  EXPECT_TRUE(any_says(check_before_calibration(tiny), "no weight exceeds"));
}

TEST(StaticChecks, AccumulatorOverflow) {
  Graph g = one_conv(8192, 2);  // 73728 products
  for (int i = 0; i < 8192 * 9; ++i) weights(g)[i] = 0.5f;
  EXPECT_TRUE(any_says(check_before_calibration(g), "int32 accumulator"));
  EXPECT_FALSE(any_says(check_before_calibration(one_conv(1024, 2)), "int32 accumulator"));
}

TEST(StaticChecks, SixteenBitPairsConcernOnnxRuntimeOnly) {
  Graph g = one_conv();
  for (int i = 0; i < 16 * 16 * 9; ++i) weights(g)[i] = 0.5f;
  EXPECT_TRUE(any_says(check_before_calibration(g, "onnxruntime"), "saturate"));
  EXPECT_TRUE(check_before_calibration(g, "octet").empty());
}

TEST(StaticChecks, UnfoldedBatchNorm) {
  NetBuilder b;
  const ValueId c = b.conv("conv", b.input("x", {1, 16, 4, 4}), 16, 16);
  std::vector<ValueId> in{c};
  for (const char* name : {"scale", "bias", "mean", "var"})
    in.push_back(b.graph.add_constant(name, Tensor::from<float>({16}, std::vector<float>(16, 1.0f))));
  const auto warnings = check_before_calibration(b.finish({b.op("BatchNormalization", "bn", in)}));
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].node, "bn");
}

}  // namespace
}  // namespace octet::testing
