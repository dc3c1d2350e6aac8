// Rules: what they match, who wins, and what is said when they match nothing.
#include "quantization/network.h"
#include "quantization/small_networks.h"
#include "quantization/structure.h"
#include "quantization/target.h"

namespace octet::testing {
namespace {

using Strings = std::vector<std::string>;

// stem -> block1 (3x3, dw, 1x1, residual) -> fc
Graph network() {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 3, 8, 8});
  const ValueId s = b.relu("/stem/Relu", b.conv("/stem/Conv", x, 3, 32));
  const ValueId d = b.relu("/block1/dw/Relu", b.conv("/block1/dw/Conv", s, 32, 32, 3, 32));
  const ValueId p = b.conv("/block1/pw/Conv", d, 32, 32, 1);
  const ValueId a = b.relu("/block1/Relu", b.op("Add", "/block1/Add", {p, s}));
  const ValueId g = b.op("Flatten", "/Flatten", {b.op("GlobalAveragePool", "/GAP", {a})});
  const ValueId w = b.constant("head.fc.weight", {10, 32});
  return b.finish({b.op("Gemm", "/head/Gemm", {g, w}, {{"transB", int64_t{1}}})});
}

Strings names(const Network& net, const Result<std::vector<size_t>>& nodes) {
  Strings out;
  EXPECT_TRUE(nodes.is_ok()) << nodes.status().message();
  if (nodes.is_ok())
    for (size_t i : *nodes) out.push_back(net.node(i).name);
  return out;
}

Strings matched(const Graph& graph, QuantizationRule rule) {
  const Network net(graph);
  return names(net, nodes_of_rule(net, rule));
}

QuantizationRule structure(const std::string& phrase, const std::string& op = "") {
  QuantizationRule rule;
  rule.structure = phrase;
  rule.op = op;
  return rule;
}

TEST(Rules, MatchByNameGlobOpAndAllAtOnce) {
  const Graph g = network();
  QuantizationRule name;
  name.name = "/block1/pw/Conv";
  EXPECT_EQ(matched(g, name), (Strings{"/block1/pw/Conv"}));
  QuantizationRule module;
  module.name = "head.fc";  // the path of the weight, as the framework called the module
  EXPECT_EQ(matched(g, module), (Strings{"/head/Gemm"}));
  QuantizationRule glob;
  glob.glob = "/block1/*";
  glob.op = "Conv";
  EXPECT_EQ(matched(g, glob), (Strings{"/block1/dw/Conv", "/block1/pw/Conv"}));
}

TEST(Rules, StructurePhrases) {
  const Graph g = network();
  EXPECT_EQ(matched(g, structure("first 1 conv")), (Strings{"/stem/Conv"}));
  EXPECT_EQ(matched(g, structure("last 2 weighted")), (Strings{"/block1/pw/Conv", "/head/Gemm"}));
  EXPECT_EQ(matched(g, structure("last 1")), (Strings{"/head/Gemm"}));
  EXPECT_EQ(matched(g, structure("last 1", "Conv")), (Strings{"/block1/pw/Conv"}));
  EXPECT_EQ(matched(g, structure("depthwise")), (Strings{"/block1/dw/Conv"}));
  EXPECT_EQ(matched(g, structure("pointwise")), (Strings{"/block1/pw/Conv"}));
  EXPECT_EQ(matched(g, structure("3x3 conv")), (Strings{"/stem/Conv", "/block1/dw/Conv"}));
  EXPECT_EQ(matched(g, structure("stem")), (Strings{"/stem/Conv"}));
  EXPECT_EQ(matched(g, structure("weighted")),
            (Strings{"/stem/Conv", "/block1/dw/Conv", "/block1/pw/Conv", "/head/Gemm"}));
  EXPECT_EQ(matched(g, structure("Residual Adds")), (Strings{"/block1/Add"}));
  EXPECT_EQ(matched(g, structure("between /block1/dw/Conv and /block1/pw/Conv")),
            (Strings{"/block1/dw/Conv", "/block1/dw/Relu", "/block1/pw/Conv"}));
  EXPECT_EQ(matched(g, structure("after '/GAP'")), (Strings{"/Flatten", "/head/Gemm"}));
  EXPECT_EQ(matched(g, structure("before /block1/dw/Conv")), (Strings{"/stem/Conv", "/stem/Relu"}));
}

TEST(Rules, BetweenKeepsToThePathsFromOneToTheOther) {
  const Graph g = network();
  const Strings path = matched(g, structure("between /stem/Relu and /block1/Add"));
  EXPECT_EQ(path.size(), 5u);
  const Network net(g);
  const auto backwards = nodes_of_rule(net, structure("between /block1/Add and /stem/Relu"));
  ASSERT_FALSE(backwards.is_ok());
  EXPECT_NE(backwards.status().message().find("no path"), std::string::npos);
}

std::string message_of(const Graph& g, QuantizationRule rule) {
  rule.place = "my.yaml:12";
  const Network net(g);
  const auto nodes = nodes_of_rule(net, rule);
  EXPECT_FALSE(nodes.is_ok());
  return nodes.status().message();
}

TEST(Rules, WhatMatchesNothingIsAnErrorWithPlaceAndNearMisses) {
  const Graph g = network();
  QuantizationRule name;
  name.name = "/block1/pw/Cnv";
  EXPECT_NE(message_of(g, name).find("my.yaml:12"), std::string::npos);
  EXPECT_NE(message_of(g, name).find("'/block1/pw/Conv'"), std::string::npos);
  QuantizationRule op;
  op.op = "Convs";
  EXPECT_NE(message_of(g, op).find("'Conv'"), std::string::npos);
  QuantizationRule glob;
  glob.glob = "/blok1/*";
  EXPECT_NE(message_of(g, glob).find("'/blok1/*'"), std::string::npos);
  EXPECT_NE(message_of(g, structure("lst 2 conv")).find("last N [op]"), std::string::npos);
  EXPECT_NE(message_of(g, structure("after /GAPP")).find("'/GAP'"), std::string::npos);
  EXPECT_NE(message_of(g, structure("detection head")).find("matches no node"), std::string::npos);
  EXPECT_FALSE(message_of(g, structure("last x conv")).empty());
  EXPECT_FALSE(message_of(g, QuantizationRule{}).empty());
}

TEST(Rules, LaterRulesWinAndRulesWinOverAdvice) {
  QuantizationOptions options = options_for("octet", Regime::kSelective);
  QuantizationRule all, one;
  all.op = "Conv";
  all.skip = true;
  all.place = "my.yaml:3";
  one.structure = "depthwise";
  one.skip = false;
  one.place = "my.yaml:4";
  options.rules = {all, one};
  const QuantizationPlan plan = prepared(network(), options);
  EXPECT_EQ(decision_of(plan, "/stem/Conv").decision, NodeDecision::kFloat);
  EXPECT_NE(decision_of(plan, "/stem/Conv").why.find("my.yaml:3"), std::string::npos);
  EXPECT_EQ(decision_of(plan, "/block1/dw/Conv").decision, NodeDecision::kQuantized);
  options.rules = {one, all};
  EXPECT_EQ(decision_of(prepared(network(), options), "/block1/dw/Conv").decision, NodeDecision::kFloat);
}

TEST(Rules, CalibratorsAndGranularityAreSetPerRule) {
  QuantizationOptions options = options_for("octet");
  QuantizationRule rule;
  rule.name = "/block1/pw/Conv";
  rule.calibrator_i = "entropy";
  rule.calibrator_w = "mse";
  rule.percentile = 99.5;
  rule.per_channel = false;
  rule.symmetric = true;
  options.rules = {rule};
  const QuantizationPlan plan = prepared(network(), options);
  const TensorPlan &x = plan.tensors.at("/block1/dw/Relu_out"), &w = plan.tensors.at("/block1/pw/Conv.weight");
  EXPECT_EQ(x.calibrator, "entropy");
  EXPECT_EQ(x.percentile, 99.5);
  EXPECT_TRUE(x.symmetric);
  EXPECT_EQ(w.calibrator, "mse");
  EXPECT_EQ(w.axis, -1);
  EXPECT_EQ(plan.tensors.at("/block1/dw/Conv.weight").axis, 0);
  EXPECT_EQ(plan.tensors.at("x").calibrator, "percentile");
}

TEST(Rules, SkipModulesTakesNamesModulePathsAndGlobs) {
  SelectiveQuantizer quantizer(options_for("octet"));
  ASSERT_TRUE(quantizer.register_skip_quantization("head.fc").is_ok());
  ASSERT_TRUE(quantizer.register_skip_quantization("/block1/*").is_ok());
  const auto plan = quantizer.prepare(network());
  ASSERT_TRUE(plan.is_ok()) << plan.status().message();
  EXPECT_EQ(decision_of(*plan, "/head/Gemm").decision, NodeDecision::kFloat);
  EXPECT_EQ(decision_of(*plan, "/block1/pw/Conv").decision, NodeDecision::kFloat);
  EXPECT_EQ(decision_of(*plan, "/stem/Conv").decision, NodeDecision::kQuantized);
  ASSERT_TRUE(quantizer.register_skip_quantization("head.fcc").is_ok());
  const auto missing = quantizer.prepare(network());
  ASSERT_FALSE(missing.is_ok());
  EXPECT_NE(missing.status().message().find("'head.fc'"), std::string::npos);
}

TEST(Rules, MappingsAreChecked) {
  SelectiveQuantizer quantizer(options_for("octet"));
  EXPECT_TRUE(quantizer.register_quantization_mapping("concat", "separate").is_ok());
  const Status block = quantizer.register_quantization_mapping("concatt", "separate");
  EXPECT_NE(block.message().find("'concat'"), std::string::npos);
  const Status treatment = quantizer.register_quantization_mapping("residual_add", "quantize_skipp");
  EXPECT_NE(treatment.message().find("'quantize_skip'"), std::string::npos);
  EXPECT_TRUE(quantizer.register_quantization_mapping("Gemm", "float").is_ok());
  const auto plan = quantizer.prepare(network());
  ASSERT_TRUE(plan.is_ok());
  EXPECT_EQ(decision_of(*plan, "/head/Gemm").decision, NodeDecision::kFloat);
}

TEST(Rules, ARuleMapsOneBlockOnly) {
  QuantizationOptions options = options_for("octet");
  QuantizationRule rule;
  rule.structure = "residual adds";
  rule.mapping = "quantize_skip";
  options.rules = {rule};
  EXPECT_FALSE(is_quantized(prepared(network(), options), "/block1/pw/Conv_out"));
  EXPECT_TRUE(is_quantized(prepared(network(), options_for("octet")), "/block1/pw/Conv_out"));
}

TEST(Rules, ABlockCanBeRewrittenByAFunction) {
  SelectiveQuantizer quantizer(options_for("octet"));
  int calls = 0;
  const auto drop_add = [&](Graph& g, const std::string& name) {
    ++calls;
    const Node add = *g.find_node(name);
    g.replace_uses(add.outputs[0], add.inputs[0]);
    std::vector<bool> gone;
    for (const Node& n : g.nodes) gone.push_back(n.name == name);
    g.remove_nodes(gone);
    g.compact();
    return Status::ok();
  };
  ASSERT_TRUE(quantizer.register_quantization_mapping("residual_add", drop_add).is_ok());
  const auto graph = quantizer.rewrite_blocks(network());
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(count_ops(*graph, "Add"), 0);
  EXPECT_TRUE(quantizer.prepare(*graph).is_ok());
  const auto fail = [](Graph&, const std::string&) { return invalid_argument("cannot"); };
  ASSERT_TRUE(quantizer.register_quantization_mapping("Relu", fail).is_ok());
  const auto failed = quantizer.rewrite_blocks(network());
  ASSERT_FALSE(failed.is_ok());
  EXPECT_NE(failed.status().message().find("Relu"), std::string::npos);
}

TEST(Rules, NaiveTakesNoRules) {
  QuantizationOptions options = options_for("octet", Regime::kNaive);
  options.rules = {structure("stem")};
  options.rules[0].skip = true;
  EXPECT_FALSE(SelectiveQuantizer(options).prepare(network()).is_ok());
}

TEST(Targets, AllBuiltInOnesLoadAndUnknownOnesSayWhatThereIs) {
  EXPECT_EQ(target_names(), (Strings{"octet", "onnxruntime", "openvino", "tensorrt"}));
  for (const std::string& name : target_names()) {
    const auto target = load_target(name);
    ASSERT_TRUE(target.is_ok()) << target.status().message();
    EXPECT_EQ(target->name, name);
    EXPECT_EQ(target->weighted_ops.count("Conv"), 1u);
  }
  const auto unknown = load_target("tensorr");
  ASSERT_FALSE(unknown.is_ok());
  EXPECT_NE(unknown.status().message().find("'tensorrt'"), std::string::npos);
  const auto typo = parse_target("name: mine\nweights: {tpye: int8}\n", "mine.yaml");
  ASSERT_FALSE(typo.is_ok());
  EXPECT_NE(typo.status().message().find("mine.yaml:2"), std::string::npos);
  const auto precision = parse_target("name: mine\nprecisions: [w8a16, w5a8]\n", "mine.yaml");
  ASSERT_FALSE(precision.is_ok());
  EXPECT_NE(precision.status().message().find("w5a8"), std::string::npos) << precision.status().message();
  const auto op = parse_target("name: mine\nweighted_ops:\n  [Cnv]\n", "mine.yaml");
  ASSERT_FALSE(op.is_ok());
  EXPECT_NE(op.status().message().find("'Conv'"), std::string::npos);
}

}  // namespace
}  // namespace octet::testing
