// Precisions other than 8 bits, and groups of weights.
#include "arith/quantize.h"
#include "quantization/small_networks.h"

namespace octet::testing {
namespace {

Graph two_convs() {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 32, 6, 6});
  const ValueId r = b.relu("relu1", b.conv("conv1", x, 32, 32));
  return b.finish({b.conv("conv2", r, 32, 16, 1)});
}

QuantizationOptions with_rule(const std::string& precision, int64_t group_size = 0) {
  QuantizationOptions options = integer_bias_options("octet");
  QuantizationRule rule;
  rule.op = "Conv";
  rule.precision = precision;
  if (group_size > 0) rule.group_size = group_size;
  options.rules = {rule};
  return options;
}

double sqnr_db(const Graph& g, const Graph& q) {
  const auto inputs = random_inputs(g, 11);
  const auto want = interpret(g, inputs), got = interpret(q, inputs);
  EXPECT_TRUE(want.is_ok() && got.is_ok()) << got.status().message();
  if (!want.is_ok() || !got.is_ok()) return 0;
  double signal = 0, noise = 1e-30;
  for (int64_t i = 0; i < (*want)[0].numel(); ++i) {
    const double a = (*want)[0].data<float>()[i], b = (*got)[0].data<float>()[i];
    signal += a * a;
    noise += (a - b) * (a - b);
  }
  return 10 * std::log10(signal / noise);
}

struct Case {
  const char* precision;
  int64_t group;
  DType weight;
  DType activation;  // kUndefined: none
  int opset;
  double low, high;  // SQNR in dB
};

class Precisions : public ::testing::TestWithParam<Case> {};

TEST_P(Precisions, TypesOpsetAndQuality) {
  const Case& c = GetParam();
  const Graph g = two_convs();
  const Quantized q = quantize_all(g, with_rule(c.precision, c.group));
  EXPECT_EQ(q.graph.opset, c.opset);
  const TensorPlan& w = q.plan.tensors.at("conv1.weight");
  EXPECT_EQ(w.dtype, c.weight);
  EXPECT_EQ(w.block_size, c.group);
  if (c.activation == DType::kUndefined) EXPECT_FALSE(is_quantized(q.plan, "relu1_out"));
  else EXPECT_EQ(q.plan.tensors.at("relu1_out").dtype, c.activation);
  const double db = sqnr_db(g, q.graph);
  EXPECT_GT(db, c.low);
  EXPECT_LT(db, c.high);
}

INSTANTIATE_TEST_SUITE_P(All, Precisions,
                         ::testing::Values(Case{"int8", 0, DType::kInt8, DType::kUint8, 13, 25, 50},
                                           Case{"w8a16", 0, DType::kInt8, DType::kInt16, 21, 35, 60},
                                           Case{"float16", 0, DType::kFloat16, DType::kUndefined, 13, 60, 100},
                                           Case{"int4", 0, DType::kInt4, DType::kUndefined, 21, 10, 25},
                                           Case{"w4a8", 0, DType::kInt4, DType::kUint8, 21, 10, 25},
                                           Case{"w4a8", 16, DType::kInt4, DType::kUint8, 21, 12, 30},
                                           Case{"uint4", 0, DType::kUint4, DType::kUndefined, 21, 10, 30},
                                           Case{"fp8e4m3", 0, DType::kFloat8E4M3, DType::kFloat8E4M3, 19, 20, 40}),
                         [](const auto& info) {
                           return std::string(info.param.precision) + "_g" + std::to_string(info.param.group);
                         });

TEST(Precision, GroupsHaveOneScalePerBlockOfInputChannels) {
  const Quantized q = quantize_all(two_convs(), with_rule("w4a8", 16));
  const TensorPlan& w = q.plan.tensors.at("conv1.weight");
  EXPECT_EQ(w.axis, 1);
  EXPECT_EQ(w.params.scale.size(), 32u * 2 * 3 * 3);
  const Node dq = maker_of(q.graph, "conv1.weight_dq");
  ASSERT_EQ(dq.inputs.size(), 2u);
  EXPECT_EQ(dq.attr_int("block_size", 0), 16);
  EXPECT_EQ(dq.attr_int("axis", 1), 1);
  EXPECT_EQ(q.graph.value(dq.inputs[1]).constant->dims(), (Dims{32, 2, 3, 3}));
  EXPECT_FALSE(decision_of(q.plan, "conv1").integer_bias) << "no one scale per channel";
}

TEST(Precision, AGroupLargerThanTheInputFallsBackToChannelsAndSaysSo) {
  const Quantized q = quantize_all(two_convs(), with_rule("w4a8", 64));
  const TensorPlan& w = q.plan.tensors.at("conv1.weight");
  EXPECT_EQ(w.axis, 0);
  EXPECT_EQ(w.block_size, 0);
  EXPECT_NE(w.why.find("single group"), std::string::npos);
}

TEST(Precision, OneQuantizerWithTheWiderTypeServesReadersThatDisagree) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 6, 6});
  const ValueId y = b.conv("conv1", x, 16, 16), z = b.conv("conv2", x, 16, 16);
  const Graph g = b.finish({y, z});
  QuantizationOptions options = options_for("tensorrt");
  QuantizationRule rule;
  rule.name = "conv2";
  rule.activations = "int16";
  options.rules = {rule};
  const QuantizationPlan plan = prepared(g, options);
  EXPECT_EQ(plan.tensors.at("x").dtype, DType::kInt16);
  EXPECT_EQ(readers_of(plan, "x").size(), 2u);
}

TEST(Precision, SymmetricUnsignedMirrorsTheSignedCodes) {
  QuantizationOptions options = options_for("onnxruntime");
  options.symmetric = true;
  options.calibrator_i = "max";
  const Graph g = two_convs();
  const Quantized q = quantize_all(g, options);
  const QuantParams &x = *q.plan.params_of("x"), &r = *q.plan.params_of("relu1_out");
  EXPECT_EQ(x.dtype, DType::kUint8);
  EXPECT_EQ(x.zero_point_at(0), 128);
  EXPECT_EQ(r.zero_point_at(0), 0);
  const TensorRangeEntry& seen = q.ranges.tensors.at("x");
  EXPECT_EQ(x.scale[0], static_cast<float>(std::max(-seen.min, seen.max)) / 127.0f);
  EXPECT_GT(sqnr_db(g, q.graph), 25);
}

TEST(Precision, NamesAreChecked) {
  EXPECT_EQ(parse_precision("w4a16")->weights, DType::kInt4);
  EXPECT_EQ(parse_precision("w4a16")->activations, DType::kInt16);
  const auto bad = parse_precision("int88");
  ASSERT_FALSE(bad.is_ok());
  EXPECT_NE(bad.status().message().find("'int8'"), std::string::npos);
  QuantizationOptions options = with_rule("in8");
  options.rules[0].place = "my.yaml:7";
  const auto plan = SelectiveQuantizer(options).prepare(two_convs());
  ASSERT_FALSE(plan.is_ok());
  EXPECT_NE(plan.status().message().find("my.yaml:7"), std::string::npos);
}

// The types of the options hold everywhere, so the naive regime takes them; a rule for 8 bits means the target's.
TEST(Precision, TypesForTheWholeNetworkNeedNoRules) {
  QuantizationOptions options = integer_bias_options("octet");
  options.regime = Regime::kNaive;
  options.weights = "int4";
  options.activations = "uint4";
  const QuantizationPlan naive = quantize_all(two_convs(), options).plan;
  for (const char* weight : {"conv1.weight", "conv2.weight"}) EXPECT_EQ(naive.tensors.at(weight).dtype, DType::kInt4);
  for (const char* input : {"x", "relu1_out"}) EXPECT_EQ(naive.tensors.at(input).dtype, DType::kUint4);
  options.regime = Regime::kHybrid;
  QuantizationRule rule;
  rule.structure = "stem";
  rule.precision = "int8";
  options.rules = {rule};
  const QuantizationPlan hybrid = quantize_all(two_convs(), options).plan;
  EXPECT_EQ(hybrid.tensors.at("conv1.weight").dtype, DType::kInt8);
  EXPECT_EQ(hybrid.tensors.at("x").dtype, DType::kUint8);
  EXPECT_EQ(hybrid.tensors.at("conv2.weight").dtype, DType::kInt4);
  EXPECT_EQ(hybrid.tensors.at("relu1_out").dtype, DType::kUint4);
}

}  // namespace
}  // namespace octet::testing
