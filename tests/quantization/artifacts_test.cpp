// ranges.json and plan.json: round trips, hand edits, and what is said about bad ones.
#include "quantization/json_text.h"
#include "quantization/plan_check.h"
#include "quantization/small_networks.h"

namespace octet::testing {
namespace {

Graph network() {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r1 = b.relu("relu1", b.conv("conv1", x, 16, 16));
  const ValueId p = b.op("MaxPool", "pool", {r1}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  const ValueId r2 = b.relu("relu2", b.conv("conv2", p, 16, 16));
  return b.finish({b.conv("conv3", r2, 16, 16)});
}

// The text without the line that begins with "name":.
std::string without_line(const std::string& text, const std::string& name) {
  const size_t begin = text.find("    \"" + name + "\": {");
  EXPECT_NE(begin, std::string::npos) << name;
  return text.substr(0, begin) + text.substr(text.find('\n', begin) + 1);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Artifacts, RangesSurviveTheRoundTripBitForBit) {
  const Quantized q = quantize_all(network(), options_for("octet"));
  const std::string text = ranges_to_json(q.ranges);
  const auto back = ranges_from_json(text, "ranges.json");
  ASSERT_TRUE(back.is_ok()) << back.status().message();
  EXPECT_EQ(ranges_to_json(*back), text);
  EXPECT_EQ(back->fingerprint, q.ranges.fingerprint);
  for (const auto& [name, entry] : q.ranges.tensors) {
    EXPECT_EQ(back->tensors.at(name).lo, entry.lo) << name;
    EXPECT_EQ(back->tensors.at(name).hi, entry.hi) << name;
  }
}

TEST(Artifacts, PlanSurvivesTheRoundTripAndGivesTheSameGraph) {
  const Graph g = network();
  const Quantized q = quantize_all(g, options_for("octet"));
  const std::string text = plan_to_json(q.plan);
  const auto back = plan_from_json(text, "plan.json");
  ASSERT_TRUE(back.is_ok()) << back.status().message();
  EXPECT_EQ(plan_to_json(*back), text);
  const auto again = SelectiveQuantizer().quantize_module(g, *back);
  ASSERT_TRUE(again.is_ok()) << again.status().message();
  EXPECT_EQ(graph_fingerprint(*again), graph_fingerprint(q.graph));
}

TEST(Artifacts, FloatsArePrintedShortAndExact) {
  for (const float v : {0.1f, 1.0f / 3.0f, 3.4028235e38f, 1e-45f, 16777216.0f, -0.007843138f}) {
    const std::string text = json_number(v);
    EXPECT_EQ(static_cast<float>(std::stod(text)), v) << text;
    EXPECT_LE(text.size(), 16u);
  }
  EXPECT_EQ(json_number(0.1f), "0.1");
}

TEST(Artifacts, ADeletedRangeLeavesTheTensorInFloat) {
  const Graph g = network();
  const SelectiveQuantizer quantizer(options_for("octet"));
  const Quantized q = quantize_all(g, options_for("octet"));
  for (const std::string gone : {"relu2_out", "x", "relu1_out"}) {
    const auto ranges = ranges_from_json(without_line(ranges_to_json(q.ranges), gone), "ranges.json");
    ASSERT_TRUE(ranges.is_ok()) << ranges.status().message();
    const auto plan = quantizer.finish(g, *ranges);
    ASSERT_TRUE(plan.is_ok()) << plan.status().message();
    EXPECT_FALSE(is_quantized(*plan, gone));
    const std::string reader = gone == "x" ? "conv1" : gone == "relu2_out" ? "conv3" : "conv2";
    EXPECT_EQ(decision_of(*plan, reader).decision, NodeDecision::kFloat);
    EXPECT_NE(decision_of(*plan, reader).why.find("no range"), std::string::npos);
    EXPECT_FALSE(is_quantized(*plan, reader + ".weight"));
    EXPECT_FALSE(plan->notes.empty());
    const auto out = quantizer.quantize_module(g, *plan);
    ASSERT_TRUE(out.is_ok()) << out.status().message();
    EXPECT_TRUE(interpret(*out, random_inputs(g, 0)).is_ok());
  }
}

TEST(Artifacts, TheLastLineOfAListCanBeDeletedToo) {
  const Quantized q = quantize_all(network(), options_for("octet"));
  const std::string last = q.ranges.tensors.rbegin()->first;
  const auto ranges = ranges_from_json(without_line(ranges_to_json(q.ranges), last), "ranges.json");
  ASSERT_TRUE(ranges.is_ok()) << ranges.status().message();
  EXPECT_EQ(ranges->tensors.count(last), 0u);
}

TEST(Artifacts, AnEditedRangeIsUsed) {
  const Graph g = network();
  Quantized q = quantize_all(g, options_for("tensorrt"));
  q.ranges.tensors.at("x").lo = {-1.0f};
  q.ranges.tensors.at("x").hi = {1.27f};
  const auto plan = SelectiveQuantizer(options_for("tensorrt")).finish(g, q.ranges);
  ASSERT_TRUE(plan.is_ok());
  EXPECT_EQ(plan->params_of("x")->scale[0], 1.27f / 127.0f);
}

std::string finish_error(const Graph& g, const Ranges& ranges) {
  const auto plan = SelectiveQuantizer(options_for("octet")).finish(g, ranges);
  EXPECT_FALSE(plan.is_ok());
  return plan.status().message();
}

TEST(Artifacts, BadRangesAreRefusedWithTheirPath) {
  const Graph g = network();
  const Quantized q = quantize_all(g, options_for("octet"));
  Ranges bad = q.ranges;
  bad.tensors.at("x").lo = {5.0f};
  bad.tensors.at("x").hi = {1.0f};
  EXPECT_NE(finish_error(g, bad).find("/tensors/x/lo: the range is upside down"), std::string::npos);
  bad = q.ranges;
  bad.tensors.at("conv1.weight").lo.pop_back();
  EXPECT_NE(finish_error(g, bad).find("/tensors/conv1.weight: expected 16"), std::string::npos);
  bad = q.ranges;
  bad.tensors["relu3_out"] = bad.tensors.at("x");
  EXPECT_NE(finish_error(g, bad).find("relu3_out"), std::string::npos);
  EXPECT_NE(finish_error(g, bad).find("'relu2_out'"), std::string::npos);
  bad = q.ranges;
  bad.fingerprint = "0123456789abcdef";
  EXPECT_NE(finish_error(g, bad).find("another network"), std::string::npos);
}

TEST(Artifacts, EditsOfThePlanAreHonouredToTheLetter) {
  const Graph g = network();
  const Quantized q = quantize_all(g, options_for("onnxruntime"));
  auto plan = plan_from_json(plan_to_json(q.plan), "plan.json");
  ASSERT_TRUE(plan.is_ok());
  plan->tensors.at("x").params.scale = {0.125f};
  plan->tensors.at("x").params.zero_point = {7};
  const auto out = SelectiveQuantizer().quantize_module(g, *plan);
  ASSERT_TRUE(out.is_ok()) << out.status().message();
  const Node quantize = maker_of(*out, "x_q");
  ASSERT_EQ(quantize.inputs.size(), 3u);
  EXPECT_EQ(*out->value(quantize.inputs[1]).constant->data<float>(), 0.125f);
  EXPECT_EQ(*out->value(quantize.inputs[2]).constant->data<uint8_t>(), 7);
  const Node bias = maker_of(*out, "conv1.bias_dq");
  ASSERT_EQ(bias.inputs.size(), 2u);
  const float bias_scale = out->value(bias.inputs[1]).constant->data<float>()[0];
  EXPECT_EQ(bias_scale, 0.125f * plan->params_of("conv1.weight")->scale[0]) << "the bias follows";
}

TEST(Artifacts, ADeletedPlanLineLeavesTheTensorInFloat) {
  const Graph g = network();
  const Quantized q = quantize_all(g, options_for("onnxruntime"));
  const auto plan = plan_from_json(without_line(plan_to_json(q.plan), "relu2_out"), "plan.json");
  ASSERT_TRUE(plan.is_ok()) << plan.status().message();
  const auto out = SelectiveQuantizer().quantize_module(g, *plan);
  ASSERT_TRUE(out.is_ok()) << out.status().message();
  EXPECT_EQ(out->value(out->find_node("conv3")->inputs[0]).name, "relu2_out");
  EXPECT_EQ(out->value(out->find_node("conv3")->inputs[2]).name, "conv3.bias") << "no scale for an INT32 bias";
  const auto orphan = plan_from_json(without_line(plan_to_json(q.plan), "relu1_out"), "plan.json");
  ASSERT_TRUE(orphan.is_ok());
  const auto refused = SelectiveQuantizer().quantize_module(g, *orphan);
  ASSERT_FALSE(refused.is_ok());
  EXPECT_NE(refused.status().message().find("/tensors/pool_out/same_as"), std::string::npos);
}

NodePlan& node_of(QuantizationPlan& plan, const std::string& name) {
  for (NodePlan& n : plan.nodes)
    if (n.name == name) return n;
  ADD_FAILURE() << "no node " << name;
  return plan.nodes.front();
}

TEST(Artifacts, AnEditedDecisionIsHonoured) {
  const Graph g = network();
  const Quantized q = quantize_all(g, options_for("onnxruntime"));
  QuantizationPlan plan = q.plan;
  node_of(plan, "conv3").decision = NodeDecision::kFloat;
  const auto out = SelectiveQuantizer().quantize_module(g, plan);
  ASSERT_TRUE(out.is_ok()) << out.status().message();
  const Node& conv3 = *out->find_node("conv3");
  EXPECT_EQ(out->value(conv3.inputs[0]).name, "relu2_out");
  EXPECT_EQ(out->value(conv3.inputs[1]).name, "conv3.weight");
  EXPECT_EQ(out->value(conv3.inputs[2]).name, "conv3.bias");
  EXPECT_NE(out->value(out->find_node("conv1")->inputs[1]).name, "conv1.weight") << "the others stay quantized";
  honour_decisions(g, &plan);
  EXPECT_EQ(readers_of(plan, "conv3.weight").size(), 0u);
  ASSERT_EQ(plan.notes.size(), q.plan.notes.size() + 1);
  EXPECT_NE(plan.notes.back().find("'conv3' stays in float: the plan says so"), std::string::npos);

  plan = q.plan;
  node_of(plan, "conv3").decision = NodeDecision::kWeightOnly;
  honour_decisions(g, &plan);
  EXPECT_EQ(readers_of(plan, "conv3.weight").size(), 1u);
  for (const auto& [name, t] : plan.tensors)
    for (const TensorReader& r : t.readers) EXPECT_FALSE(r.node == "conv3" && r.input == 0) << name;
}

TEST(Artifacts, ANodeWhoseLinesAreGoneIsReportedAsFloat) {
  const Graph g = network();
  QuantizationPlan plan = quantize_all(g, options_for("onnxruntime")).plan;
  plan.tensors.erase("conv3.weight");
  honour_decisions(g, &plan);
  EXPECT_EQ(decision_of(plan, "conv3").decision, NodeDecision::kFloat);
  EXPECT_NE(plan.notes.back().find("no tensor of the plan is its quantized weight"), std::string::npos);
}

TEST(Artifacts, FinishedPlansNeedNoCorrection) {
  const Graph g = network();
  for (const char* target : {"tensorrt", "onnxruntime", "openvino", "octet"}) {
    for (const char* precision : {"int8", "int4", "w8a32", "fp8e4m3", "float16"}) {
      QuantizationOptions options = options_for(target);
      QuantizationRule rule;
      rule.op = "Conv";
      rule.precision = precision;
      options.rules = {rule};
      const auto prepared = SelectiveQuantizer(options).prepare(g);
      if (!prepared.is_ok()) continue;  // not every target has every type
      QuantizationPlan plan = quantize_all(g, options).plan;
      const std::string before = plan_to_json(plan);
      honour_decisions(g, &plan);
      EXPECT_EQ(plan_to_json(plan), before) << target << " " << precision;
    }
  }
}

TEST(Artifacts, RangesThatContradictTheNetworkAreRefused) {
  const Graph g = network();
  const Quantized q = quantize_all(g, options_for("octet"));
  Ranges bad = q.ranges;
  bad.tensors.at("conv1.weight").axis = 7;
  EXPECT_NE(finish_error(g, bad).find("/tensors/conv1.weight/axis: 7 is not the axis"), std::string::npos);
  bad = q.ranges;
  bad.tensors.at("x").role = TensorRole::kWeight;
  EXPECT_NE(finish_error(g, bad).find("/tensors/x/role"), std::string::npos);
  bad = q.ranges;
  bad.tensors.at("x").axis = 1;
  EXPECT_NE(finish_error(g, bad).find("/tensors/x/axis"), std::string::npos);
  std::string text = ranges_to_json(q.ranges);
  const size_t line = text.find("    \"x\": {"), end = text.find('\n', line);
  text.insert(line, text.substr(line, end - line) + ",\n");
  const auto twice = ranges_from_json(text, "ranges.json");
  ASSERT_FALSE(twice.is_ok());
  EXPECT_NE(twice.status().message().find("'x' is there twice"), std::string::npos) << twice.status().message();
}

TEST(Artifacts, ARangeEditedToNothingGetsANote) {
  const Graph g = network();
  Quantized q = quantize_all(g, options_for("octet"));
  EXPECT_TRUE(q.plan.notes.empty());
  q.ranges.tensors.at("x").lo = {0};
  q.ranges.tensors.at("x").hi = {1e-30f};
  q.ranges.tensors.at("conv1.weight").lo[3] = q.ranges.tensors.at("conv1.weight").hi[3] = 0;
  const auto plan = SelectiveQuantizer(options_for("octet")).finish(g, q.ranges);
  ASSERT_TRUE(plan.is_ok());
  ASSERT_EQ(plan->notes.size(), 2u);
  EXPECT_NE(plan->notes[0].find("'conv1.weight' is narrower than 2^-24 in 1 of 16 channels"), std::string::npos);
  EXPECT_NE(plan->notes[1].find("'x' is narrower than 2^-24 and counts as zero"), std::string::npos);
}

TEST(Artifacts, TheReasonOfATensorLeftOutSurvivesItsFile) {
  const Graph g = network();
  Quantized q = quantize_all(g, options_for("octet"));
  q.ranges.tensors.erase("conv2.weight");
  q.ranges.left_out["conv2.weight"] = "too \"noisy\"";
  const auto ranges = ranges_from_json(ranges_to_json(q.ranges), "ranges.json");
  ASSERT_TRUE(ranges.is_ok()) << ranges.status().message();
  EXPECT_EQ(ranges->left_out, q.ranges.left_out);
  const auto plan = SelectiveQuantizer(options_for("octet")).finish(g, *ranges);
  ASSERT_TRUE(plan.is_ok()) << plan.status().message();
  EXPECT_EQ(decision_of(*plan, "conv2").why, "kept in float: too \"noisy\"");
  ASSERT_EQ(plan->notes.size(), 1u);
  EXPECT_NE(plan->notes[0].find("too \"noisy\""), std::string::npos);
  Ranges unknown = q.ranges;
  unknown.left_out["nothing"] = "x";
  EXPECT_NE(finish_error(g, unknown).find("/left_out/nothing"), std::string::npos);
}

struct BadEdit {
  const char* from;
  const char* to;
  const char* said;
};

class BadPlans : public ::testing::TestWithParam<BadEdit> {};

TEST_P(BadPlans, AreRefusedWithTheirPath) {
  const Graph g = network();
  const Quantized q = quantize_all(g, options_for("octet"));
  const BadEdit& edit = GetParam();
  std::string text = plan_to_json(q.plan);
  const size_t line = text.find("    \"x\": {");
  text = text.substr(0, line) + replaced(text.substr(line), edit.from, edit.to);
  auto plan = plan_from_json(text, "plan.json");
  const Status status = plan.is_ok() ? SelectiveQuantizer().quantize_module(g, *plan).status() : plan.status();
  ASSERT_FALSE(status.is_ok());
  EXPECT_NE(status.message().find(edit.said), std::string::npos) << status.message();
}

INSTANTIATE_TEST_SUITE_P(
    Edits, BadPlans,
    ::testing::Values(BadEdit{"\"type\": \"uint8\"", "\"type\": \"uint9\"", "/tensors/x/type"},
                      BadEdit{"\"type\": \"uint8\"", "\"type\": 8", "/tensors/x/type"},
                      BadEdit{"\"scale\": ", "\"scale\": -", "/tensors/x"},
                      BadEdit{"\"scale\": ", "\"scale\": \"a\", \"spare\": ", "/tensors/x/scale"},
                      BadEdit{"\"zero_point\": ", "\"zero_point\": 9", "/tensors/x"},
                      BadEdit{"\"scale\": ", "\"axis\": 1, \"scale\": ", "/tensors/x/axis"},
                      BadEdit{"\"scale\"", "\"scalee\"", "/tensors/x/scalee"},
                      BadEdit{"conv1:0", "conv9:0", "/tensors/x/readers/0"},
                      BadEdit{"conv1:0", "conv1:1", "/tensors/x/readers/0"},
                      BadEdit{"conv1:0", "conv1:zero", "/tensors/x/readers/0"},
                      BadEdit{"\"x\": {", "\"y\": {", "/tensors/y"},
                      BadEdit{"\"role\": \"activation\"", "\"role\": \"weight\"", "/tensors/x/role"}));

TEST(Artifacts, APlanOfAnotherNetworkIsRefused) {
  const Quantized q = quantize_all(network(), options_for("octet"));
  Graph other = network();
  other.value(other.find_value("conv1.weight")).constant->data<float>()[0] += 1;
  const auto out = SelectiveQuantizer().quantize_module(other, q.plan);
  ASSERT_FALSE(out.is_ok());
  EXPECT_NE(out.status().message().find("another network"), std::string::npos);
}

TEST(Artifacts, GarbageIsRefusedWithoutACrash) {
  for (const char* text :
       {"", "{", "[]", "nul", "{\"format\": 1}", "{\"format\": \"octet-plan\"}",
        "{\"format\": \"octet-plan\", \"version\": 2, \"tensors\": {}}",
        "{\"format\": \"octet-plan\", \"version\": 1, \"tensors\": []}",
        "{\"format\": \"octet-plan\", \"version\": 1, \"tensors\": {\"x\": 3}}",
        "{\"format\": \"octet-plan\", \"version\": 1, \"tensors\": {}, \"nodes\": [1]}", "{\"a\\"}) {
    const auto plan = plan_from_json(text, "p.json");
    ASSERT_FALSE(plan.is_ok()) << text;
    EXPECT_NE(plan.status().message().find("p.json"), std::string::npos);
    EXPECT_FALSE(ranges_from_json(text, "r.json").is_ok());
  }
  const auto line = plan_from_json("{\n\"format\": \"octet-plan\",\n\"version\" 1}", "p.json");
  EXPECT_NE(line.status().message().find("p.json:3"), std::string::npos) << line.status().message();
}

TEST(Artifacts, EveryPrefixOfAPlanIsRefusedOrRead) {
  const std::string text = plan_to_json(quantize_all(network(), options_for("octet")).plan);
  for (size_t n = 0; n + 2 < text.size(); n += 37) EXPECT_FALSE(plan_from_json(text.substr(0, n), "p.json").is_ok());
}

}  // namespace
}  // namespace octet::testing
