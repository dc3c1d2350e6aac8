// Variants of a network run from a base's activations: the same bits as a run of the whole variant.
#include "search/variant.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "octet/onnx.h"
#include "search/graph_difference.h"
#include "search/support.h"
#include "search/units.h"

namespace octet {
namespace {

struct Forms {
  QuantizeResult result;
  std::vector<DecisionUnit> units;
  SelectiveQuantizer quantizer;
};

Forms forms_of(const Graph& graph, const char* target, const Dataset& data) {
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  options.target = target;
  Forms f{test::quantized(graph, options, data), {}, SelectiveQuantizer(options)};
  f.units = decision_units(f.result.prepared, f.result.plan);
  return f;
}

std::vector<Tensor> whole_run(const Graph& graph, const std::vector<Tensor>& inputs) {
  auto executor = Executor::create(graph);
  EXPECT_TRUE(executor.is_ok()) << executor.status().message();
  auto outputs = (*executor)->run(inputs);
  EXPECT_TRUE(outputs.is_ok()) << outputs.status().message();
  return outputs.is_ok() ? *outputs : std::vector<Tensor>{};
}

void expect_variants_are_whole_runs(const Graph& base_graph, const std::vector<Graph>& variants,
                                    const std::vector<Tensor>& inputs, const std::string& what) {
  auto made = BaseNetwork::create(base_graph);
  ASSERT_TRUE(made.is_ok()) << made.status().message();
  const std::shared_ptr<const BaseNetwork> base = std::move(*made);
  const auto values = base->run(inputs);
  ASSERT_TRUE(values.is_ok()) << values.status().message();
  const auto outputs = base->outputs(*values);
  ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
  EXPECT_TRUE(test::outputs_identical(whole_run(base_graph, inputs), *outputs)) << what << ": the base itself";
  for (size_t v = 0; v < variants.size(); ++v) {
    const auto variant = Variant::create(base, variants[v]);
    ASSERT_TRUE(variant.is_ok()) << what << " " << v << ": " << variant.status().message();
    const auto again = (*variant)->run(*values);
    ASSERT_TRUE(again.is_ok()) << what << " " << v << ": " << again.status().message();
    EXPECT_TRUE(test::outputs_identical(whole_run(variants[v], inputs), *again)) << what << " " << v;
  }
}

// The same of variants that look at the unit's surroundings only.
void expect_local_variants_are_whole_runs(const Forms& f, const std::vector<Graph>& alone,
                                          const std::vector<Tensor>& inputs, const std::string& what) {
  auto made = BaseNetwork::create(f.result.prepared);
  ASSERT_TRUE(made.is_ok()) << made.status().message();
  const std::shared_ptr<const BaseNetwork> base = std::move(*made);
  const auto values = base->run(inputs);
  ASSERT_TRUE(values.is_ok()) << values.status().message();
  for (size_t u = 0; u < f.units.size(); ++u) {
    const auto variant = Variant::of_unit(base, f.quantizer, f.result.plan, f.units[u]);
    ASSERT_TRUE(variant.is_ok()) << what << " " << f.units[u].node << ": " << variant.status().message();
    const auto again = (*variant)->run(*values);
    ASSERT_TRUE(again.is_ok()) << what << " " << f.units[u].node << ": " << again.status().message();
    EXPECT_TRUE(test::outputs_identical(whole_run(alone[u], inputs), *again)) << what << " " << f.units[u].node;
  }
}

// Every unit alone on the float network, and all but every unit on the quantized one.
void expect_units_are_whole_runs(const Graph& graph, const char* target, const Dataset& data, int64_t batch) {
  const Forms f = forms_of(graph, target, data);
  std::vector<Graph> alone, without;
  for (const DecisionUnit& unit : f.units) {
    auto only = f.quantizer.quantize_module(f.result.prepared, plan_of_unit(f.result.plan, unit));
    ASSERT_TRUE(only.is_ok()) << only.status().message();
    alone.push_back(std::move(*only));
    const SelectiveQuantizer other(skip_units(f.quantizer.options(), {unit}));
    const auto plan = other.finish(f.result.prepared, f.result.ranges);
    ASSERT_TRUE(plan.is_ok()) << plan.status().message();
    auto rest = other.quantize_module(f.result.prepared, *plan);
    ASSERT_TRUE(rest.is_ok()) << rest.status().message();
    without.push_back(std::move(*rest));
  }
  const std::vector<Tensor> inputs = test::random_inputs(f.result.prepared, 3, batch);
  expect_variants_are_whole_runs(f.result.prepared, alone, inputs, graph.name + " for " + target + ", alone");
  expect_local_variants_are_whole_runs(f, alone, inputs, graph.name + " for " + target + ", local");
  expect_variants_are_whole_runs(f.result.quantized, without, inputs, graph.name + " for " + target + ", without");
}

TEST(Variants, OfRandomNetworksAreWholeRuns) {
  test::RandomGraphOptions options;
  options.with_dequantize = false;
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    const Graph graph = test::random_cnn(seed, options);
    const test::FormulaData data(test::image_of(graph), 12);
    for (const char* target : {"octet", "onnxruntime", "tensorrt"})
      expect_units_are_whole_runs(graph, target, data, 1 + static_cast<int64_t>(seed % 2));
    if (HasFatalFailure()) FAIL() << "seed " << seed;
  }
}

TEST(Variants, OfRealNetworksAreWholeRuns) {
  const std::string folder = test::data_folder();
  if (folder.empty()) GTEST_SKIP() << "no folder of real networks (OCTET_DATA)";
  for (const char* name : {"resnet20_cifar10_bn", "fastestdet_coco_352"}) {
    const auto graph = load_onnx(folder + "/networks/" + name + ".onnx");
    ASSERT_TRUE(graph.is_ok()) << graph.status().message();
    const test::FormulaData data(test::image_of(*graph), 4);
    expect_units_are_whole_runs(*graph, "onnxruntime", data, 1);
  }
}

TEST(Variants, ComputeOnlyWhatDiffers) {
  const Graph graph = test::residual_network(2);
  const test::FormulaData data({3, 12, 12}, 12);
  const Forms f = forms_of(graph, "octet", data);
  ASSERT_EQ(f.units.size(), 4u);
  EXPECT_EQ(f.units.back().node, "fc");
  auto only = f.quantizer.quantize_module(f.result.prepared, plan_of_unit(f.result.plan, f.units.back()));
  ASSERT_TRUE(only.is_ok());
  const auto base = executable_form(f.result.prepared), variant = executable_form(*only);
  ASSERT_TRUE(base.is_ok() && variant.is_ok());
  const auto d = graph_difference(*base, {}, *variant);
  ASSERT_TRUE(d.is_ok()) << d.status().message();
  EXPECT_EQ(test::operators(d->part), "QuantizeLinear DequantizeLinear Gemm");
  EXPECT_EQ(d->changed, std::vector<std::string>{"fc.out"});
  EXPECT_EQ(d->replaced, std::set<std::string>{"fc"});
}

TEST(Variants, WithoutADifferenceGiveTheBase) {
  const Graph graph = test::residual_network(2);
  const auto form = executable_form(graph);
  ASSERT_TRUE(form.is_ok());
  const auto d = graph_difference(*form, {}, *form);
  ASSERT_TRUE(d.is_ok());
  EXPECT_TRUE(d->part.nodes.empty());
  expect_variants_are_whole_runs(graph, {graph}, test::random_inputs(graph, 3, 2), "itself");
}

TEST(Variants, SeeAnotherConstantAndAnotherAttribute) {
  const Graph graph = test::residual_network(2);
  Graph weights = graph, pads = graph;
  Tensor other = weights.value(weights.find_value("block.a.weight")).constant->clone();
  other.data<float>()[7] += 0.5f;
  weights.value(weights.find_value("block.a.weight")).constant = other;
  for (Node& n : pads.nodes)
    if (n.name == "block.b")
      n.attributes["dilations"] = std::vector<int64_t>{2, 2}, n.attributes["pads"] = std::vector<int64_t>{2, 2, 2, 2};
  expect_variants_are_whole_runs(graph, {weights, pads}, test::random_inputs(graph, 5, 2), "changed");
  const std::vector<Tensor> inputs = test::random_inputs(graph, 5, 1);
  EXPECT_FALSE(test::outputs_identical(whole_run(graph, inputs), whole_run(weights, inputs)));
}

}  // namespace
}  // namespace octet
