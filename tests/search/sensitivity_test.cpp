// Sensitivity: figures of whole runs, whatever the threads, interrupted or not.
#include "octet/sensitivity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "executor/executor.h"
#include "metrics/similarity.h"
#include "octet/recipe.h"
#include "search/support.h"
#include "search/units.h"

namespace octet {
namespace {

QuantizationOptions hybrid() {
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  return options;
}

SensitivityJob job_of(const Dataset& data) {
  SensitivityJob job;
  job.quantize.calibration = &data;
  job.quantize.images = 12;
  job.score_images = 10;
  job.exact = -1;
  job.timing = false;
  return job;
}

Result<SensitivityReport> measure(const Graph& graph, const SensitivityJob& job) {
  return measure_sensitivity(graph, SelectiveQuantizer(hybrid()), job);
}

// The figures by their definition: one whole network after the other.
TEST(Sensitivity, FiguresAreThoseOfWholeRuns) {
  const Graph graph = test::residual_network(3);
  const test::FormulaData data({3, 12, 12}, 20);
  const auto report = measure(graph, job_of(data));
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  ASSERT_EQ(report->layers.size(), 4u);
  EXPECT_EQ(report->score_name, "top-1 %");
  const SelectiveQuantizer quantizer(hybrid());
  EvalOptions simulated;
  simulated.simulate = true;
  simulated.batch_size = 1;
  for (const LayerSensitivity& l : report->layers) {
    const DecisionUnit unit{l.node, l.op_type, l.nodes, l.skip};
    const auto only = quantizer.quantize_module(report->prepared, plan_of_unit(report->plan, unit));
    ASSERT_TRUE(only.is_ok());
    EXPECT_EQ(l.alone, evaluate(*only, data, simulated)->top1) << l.node;
    const SelectiveQuantizer other(skip_units(hybrid(), {unit}));
    const auto rest = other.quantize_module(report->prepared, *other.finish(report->prepared, report->ranges));
    ASSERT_TRUE(rest.is_ok());
    EXPECT_EQ(l.without, evaluate(*rest, data, simulated)->top1) << l.node;
    const auto float_executor = Executor::create(report->prepared), quantized_executor = Executor::create(*only);
    Similarity sum;
    double kl = 0;
    for (int64_t i = 0; i < 10; ++i) {
      Sample sample = *data.get(i);
      const std::vector<Tensor> input = {sample.inputs[0].reshaped({1, 3, 12, 12})};
      const auto a = (*float_executor)->run(input), b = (*quantized_executor)->run(input);
      ASSERT_TRUE(sum.add((*a)[0], (*b)[0]).is_ok());
      kl += *softmax_kl_divergence((*a)[0], (*b)[0]) / 10;
    }
    EXPECT_NEAR(l.output_sqnr_db, sum.sqnr_db(), 1e-9) << l.node;
    ASSERT_TRUE(l.kl.has_value());
    EXPECT_NEAR(*l.kl, kl, 1e-12) << l.node;
  }
  EXPECT_TRUE(std::is_sorted(report->layers.begin(), report->layers.end(),
                             [](const auto& a, const auto& b) { return *a.kl > *b.kl; }));
}

TEST(Sensitivity, DoesNotDependOnThreads) {
  const Graph graph = test::residual_network(4);
  const test::FormulaData data({3, 12, 12}, 20);
  SensitivityJob job = job_of(data);
  job.run.threads = 1;
  const auto one = measure(graph, job);
  job.run.threads = 3;
  const auto three = measure(graph, job);
  ASSERT_TRUE(one.is_ok() && three.is_ok());
  EXPECT_EQ(sensitivity_to_json(*one), sensitivity_to_json(*three));
}

TEST(Sensitivity, GoesOnWhereItWasInterrupted) {
  const Graph graph = test::residual_network(4);
  const test::FormulaData data({3, 12, 12}, 20);
  SensitivityJob job = job_of(data);
  const auto expected = measure(graph, job);
  ASSERT_TRUE(expected.is_ok());
  const test::Folder folder;
  job.folder = folder.path();
  CancelFlag cancel{false};
  job.run.cancel = &cancel;
  job.run.progress = [&](const std::string& stage, int64_t, int64_t) { cancel = cancel || stage == "all but one"; };
  const auto interrupted = measure(graph, job);
  ASSERT_FALSE(interrupted.is_ok());
  EXPECT_EQ(interrupted.status().code(), StatusCode::kCancelled);
  cancel = false;
  int64_t swept = 0;
  job.run.progress = [&](const std::string& stage, int64_t, int64_t) { swept += stage == "layers" ? 1 : 0; };
  const auto resumed = measure(graph, job);
  ASSERT_TRUE(resumed.is_ok()) << resumed.status().message();
  EXPECT_EQ(swept, 0) << "the sweep was done before";
  EXPECT_GE(resumed->resumed, 8);
  EXPECT_EQ(sensitivity_to_json(*resumed), sensitivity_to_json(*expected));
}

TEST(Sensitivity, AStateOfOtherDataIsNotUsed) {
  const Graph graph = test::residual_network(4);
  const test::FormulaData data({3, 12, 12}, 20), other({3, 12, 12}, 19);
  const test::Folder folder;
  SensitivityJob job = job_of(data);
  job.folder = folder.path();
  ASSERT_TRUE(measure(graph, job).is_ok());
  job.quantize.calibration = &other;
  const auto report = measure(graph, job);
  ASSERT_TRUE(report.is_ok());
  EXPECT_EQ(report->resumed, 0);
}

TEST(Sensitivity, WithoutLabelsScoresAreAgreement) {
  const Graph graph = test::residual_network(5);
  const test::FormulaData data({3, 12, 12}, 20, false);
  const auto report = measure(graph, job_of(data));
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  EXPECT_EQ(report->score_name, "agreement with float %");
  EXPECT_EQ(report->float_score, 100.0);
  for (const LayerSensitivity& l : report->layers)
    EXPECT_TRUE(l.alone && *l.alone <= 100 && *l.alone >= 50) << l.node;
}

TEST(Sensitivity, WithoutClassesScoresAreDecibels) {
  Graph graph = test::residual_network(5);
  graph.outputs = {graph.find_value("block.relu.out")};
  graph.value(graph.outputs[0]).dtype = DType::kFloat32;
  const test::FormulaData data({3, 12, 12}, 12, false);
  const auto report = measure(graph, job_of(data));
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  EXPECT_EQ(report->score_name, "output SQNR dB");
  ASSERT_TRUE(report->quantized_score.has_value());
  for (const LayerSensitivity& l : report->layers) {
    EXPECT_FALSE(l.kl.has_value());
    EXPECT_GT(*l.alone, *report->quantized_score) << l.node << ": one layer alone hurts less than all";
  }
}

TEST(Sensitivity, FixedBatchesAreRunWhole) {
  const Graph graph = test::residual_network(6, Dim::of(4));
  const test::FormulaData data({3, 12, 12}, 18);
  const auto report = measure(graph, job_of(data));
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  const auto free = measure(test::residual_network(6), job_of(data));
  ASSERT_TRUE(free.is_ok());
  EXPECT_EQ(report->float_score, free->float_score);
}

TEST(Sensitivity, ARuinedLayerComesFirstAndStandsOut) {
  Graph graph = test::residual_network(7);
  // One channel of the weight is a thousand times the others and meets a channel of zeros: 8 bits per tensor are
  // lost.
  Tensor w = graph.value(graph.find_value("block.a.weight")).constant->clone();
  for (int64_t i = 0; i < 9; ++i) w.data<float>()[i] *= 300;
  graph.value(graph.find_value("block.a.weight")).constant = w;
  const test::FormulaData data({3, 12, 12}, 12);
  QuantizationOptions options = hybrid();
  options.per_channel = false;
  SensitivityJob job = job_of(data);
  job.exact = 0;
  const auto report = measure_sensitivity(graph, SelectiveQuantizer(options), job);
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  EXPECT_EQ(report->layers[0].node, "block.a");
  const auto worst = outstanding_layers(*report);
  ASSERT_EQ(worst.size(), 1u);
  EXPECT_EQ(worst[0]->node, "block.a");
  const auto recipe = parse_recipe(skip_block(worst), "block");
  ASSERT_TRUE(recipe.is_ok()) << recipe.status().message();
  EXPECT_EQ(recipe->skip_modules, std::vector<std::string>{"block.a"});
  EXPECT_TRUE(SelectiveQuantizer(*recipe).prepare(report->prepared).is_ok());
}

TEST(Sensitivity, TimesAreThoseOfTheEngine) {
  const Graph graph = test::residual_network(8);
  const test::FormulaData data({3, 12, 12}, 12);
  const test::Folder folder;
  SensitivityJob job = job_of(data);
  job.exact = 0;
  job.timing = true;
  job.timing_seconds = 0.2;
  job.folder = folder.path();
  const auto report = measure(graph, job);
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  EXPECT_GT(report->int8_us, 0);
  for (const LayerSensitivity& l : report->layers) EXPECT_GT(l.int8_us, 0) << l.node;
  const auto again = measure(graph, job);
  ASSERT_TRUE(again.is_ok());
  EXPECT_EQ(sensitivity_to_json(*again), sensitivity_to_json(*report)) << "the folder keeps the times";
}

TEST(Sensitivity, JsonHasEveryLayerWithItsExactName) {
  const Graph graph = test::residual_network(9);
  const test::FormulaData data({3, 12, 12}, 12);
  const auto report = measure(graph, job_of(data));
  ASSERT_TRUE(report.is_ok());
  const auto j = nlohmann::json::parse(sensitivity_to_json(*report));
  ASSERT_EQ(j["layers"].size(), 4u);
  for (const auto& l : j["layers"]) EXPECT_NE(report->prepared.find_node(l["node"]), nullptr);
}

TEST(Sensitivity, NothingToMeasureIsAnError) {
  const Graph graph = test::residual_network(9);
  const test::FormulaData data({3, 12, 12}, 12);
  QuantizationOptions options = hybrid();
  options.skip_modules = {"*"};
  const auto report = measure_sensitivity(graph, SelectiveQuantizer(options), job_of(data));
  ASSERT_FALSE(report.is_ok());
  EXPECT_EQ(report.status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace octet
