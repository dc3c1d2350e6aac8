// Search: the same answer again, whatever it costs, and an honest verdict.
#include "octet/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "octet/onnx.h"
#include "octet/recipe.h"
#include "search/candidates.h"
#include "search/support.h"

namespace octet {
namespace {

// Labels are what the float network says, so that every lost point is quantization's.
class FloatLabels : public Dataset {
 public:
  FloatLabels(const Graph& graph, int64_t count) : data_(test::image_of(graph), count) {
    EvalOptions options;
    auto report = evaluate(graph, data_, options);
    EXPECT_TRUE(report.is_ok()) << report.status().message();
    if (report.is_ok()) labels_ = report->predictions;
  }
  int64_t size() const override { return data_.size(); }
  std::string describe() const override { return data_.describe(); }
  bool has_labels() const override { return true; }
  Result<Sample> get(int64_t index) const override {
    Result<Sample> sample = data_.get(index);
    if (sample.is_ok()) sample->label = labels_[static_cast<size_t>(index)];
    return sample;
  }

 private:
  test::FormulaData data_;
  std::vector<int64_t> labels_;
};

SearchJob job_of(const Dataset& data) {
  SearchJob job;
  job.calibration = &data;
  job.evaluation = &data;
  job.images = 16;
  job.timing = false;
  job.trials = 30;
  job.target = SearchTarget::kSize;
  return job;
}

// The network of the other tests, with one layer that 8 bits per tensor ruin.
Graph fragile_network() {
  Graph graph = test::residual_network(7);
  Tensor w = graph.value(graph.find_value("block.a.weight")).constant->clone();
  for (int64_t i = 0; i < 9; ++i) w.data<float>()[i] *= 3000;
  graph.value(graph.find_value("block.a.weight")).constant = w;
  return graph;
}

QuantizationOptions per_tensor() {
  QuantizationOptions options;
  options.per_channel = false;
  return options;
}

TEST(Search, GivesTheSameAnswerForAnyThreadsAndAgain) {
  const Graph graph = test::residual_network(3);
  const FloatLabels data(graph, 60);
  SearchJob job = job_of(data);
  job.run.threads = 1;
  const auto one = search_recipe(graph, {}, job);
  ASSERT_TRUE(one.is_ok()) << one.status().message();
  job.run.threads = 3;
  const auto three = search_recipe(graph, {}, job);
  ASSERT_TRUE(three.is_ok()) << three.status().message();
  EXPECT_EQ(search_to_json(*one), search_to_json(*three));
}

TEST(Search, TheRecipeGivesTheChosenNetworkAgain) {
  const Graph graph = fragile_network();
  const FloatLabels data(graph, 60);
  const auto result = search_recipe(graph, per_tensor(), job_of(data));
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  const auto recipe = parse_recipe(recipe_to_yaml(result->trials[result->best].options), "recipe.yaml");
  ASSERT_TRUE(recipe.is_ok()) << recipe.status().message();
  QuantizeJob again;
  again.calibration = &data;
  again.evaluation = &data;
  again.images = 16;
  const auto quantized = quantize_network(graph, SelectiveQuantizer(*recipe), again);
  ASSERT_TRUE(quantized.is_ok()) << quantized.status().message();
  EXPECT_EQ(ranges_to_json(quantized->ranges), ranges_to_json(result->chosen.ranges));
  EXPECT_EQ(plan_to_json(quantized->plan), plan_to_json(result->chosen.plan));
  EXPECT_EQ(*serialize_onnx(quantized->quantized), *serialize_onnx(result->chosen.quantized));
  EXPECT_EQ(quantized->quantized_eval->top1, result->trials[result->best].score);
}

TEST(Search, AnInterruptedRunGoesOnToTheSameAnswer) {
  const Graph graph = fragile_network();
  const FloatLabels data(graph, 60);
  SearchJob job = job_of(data);
  const auto expected = search_recipe(graph, per_tensor(), job);
  ASSERT_TRUE(expected.is_ok()) << expected.status().message();
  const test::Folder folder;
  job.folder = folder.path();
  CancelFlag cancel{false};
  job.run.cancel = &cancel;
  int64_t evaluated = 0;
  job.run.progress = [&](const std::string& stage, int64_t done, int64_t total) {
    if (stage == "evaluating" && done == total && ++evaluated == 8) cancel = true;
  };
  const auto interrupted = search_recipe(graph, per_tensor(), job);
  ASSERT_FALSE(interrupted.is_ok());
  EXPECT_EQ(interrupted.status().code(), StatusCode::kCancelled);
  cancel = false;
  job.run.cancel = nullptr;
  evaluated = 100;
  const auto resumed = search_recipe(graph, per_tensor(), job);
  ASSERT_TRUE(resumed.is_ok()) << resumed.status().message();
  EXPECT_EQ(search_to_json(*resumed), search_to_json(*expected));
  evaluated = 100;
  const auto third = search_recipe(graph, per_tensor(), job);
  ASSERT_TRUE(third.is_ok());
  EXPECT_EQ(evaluated, 101) << "only the float network is evaluated again";
  EXPECT_EQ(search_to_json(*third), search_to_json(*expected));
}

TEST(Search, ARuinedLayerIsGivenUpAndNoOther) {
  const Graph graph = fragile_network();
  const FloatLabels data(graph, 100);
  QuantizationOptions base = per_tensor();
  base.rules.push_back({.op = "Conv", .per_channel = false});  // in every candidate
  SearchJob job = job_of(data);
  job.max_drop = 1;
  job.target = SearchTarget::kEnergyProxy;
  job.trials = 60;
  const auto result = search_recipe(graph, base, job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  EXPECT_TRUE(result->holds);
  EXPECT_GE(result->trials[result->best].score, 99);
  std::vector<std::string> in_float;
  for (const NodePlan& n : result->chosen.plan.nodes)
    if (n.op_type == "Conv" && n.decision == NodeDecision::kFloat) in_float.push_back(n.name);
  EXPECT_LE(in_float.size(), 1u);
}

TEST(Search, AnImpossibleBudgetIsSaidWithAdvice) {
  const Graph graph = test::residual_network(3);
  const FloatLabels data(graph, 60);
  SearchJob job = job_of(data);
  job.max_latency_ms = 1e-6;
  job.timing = true;
  job.timing_seconds = 0.01;
  job.trials = 14;
  const auto result = search_recipe(graph, {}, job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  EXPECT_FALSE(result->holds);
  ASSERT_FALSE(result->advice.empty());
  EXPECT_NE(result->advice[0].find("ms"), std::string::npos);
  EXPECT_FALSE(result->offenders.empty());
}

TEST(Search, WithoutLabelsAgreementDecides) {
  const Graph graph = test::residual_network(3);
  const test::FormulaData data({3, 12, 12}, 60, false);
  SearchJob job = job_of(data);
  job.evaluation = nullptr;
  const auto result = search_recipe(graph, {}, job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  EXPECT_EQ(result->score_name, "agreement with float %");
  EXPECT_EQ(result->float_score, 100);
  EXPECT_TRUE(std::any_of(result->notes.begin(), result->notes.end(),
                          [](const std::string& n) { return n.find("no labels") != std::string::npos; }));
}

TEST(Search, WithoutClassesDecibelsDecide) {
  Graph graph = test::residual_network(5);
  graph.outputs = {graph.find_value("block.relu.out")};
  graph.value(graph.outputs[0]).dtype = DType::kFloat32;
  const test::FormulaData data({3, 12, 12}, 20, false);
  SearchJob job = job_of(data);
  job.evaluation = nullptr;
  job.min_sqnr_db = 15;
  const auto result = search_recipe(graph, {}, job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  EXPECT_EQ(result->score_unit, "dB");
  EXPECT_TRUE(result->holds);
  job.min_sqnr_db = 300;
  const auto impossible = search_recipe(graph, {}, job);
  ASSERT_TRUE(impossible.is_ok()) << impossible.status().message();
  EXPECT_FALSE(impossible->holds && !std::isinf(impossible->trials[impossible->best].score));
}

TEST(Search, TheFrontHasNobodyWhoIsWorseInEverything) {
  const Graph graph = fragile_network();
  const FloatLabels data(graph, 60);
  const auto result = search_recipe(graph, per_tensor(), job_of(data));
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  int on_front = 0;
  for (const SearchTrial& t : result->trials) {
    if (!t.on_front) continue;
    ++on_front;
    for (const SearchTrial& other : result->trials)
      EXPECT_FALSE(other.images == result->images && other.score > t.score && other.bytes < t.bytes &&
                   other.latency_ms <= t.latency_ms)
          << other.name << " beats " << t.name;
  }
  EXPECT_GT(on_front, 0);
}

TEST(Search, EarlyRoundsLeaveBadRecipesBehind) {
  const Graph graph = fragile_network();
  const FloatLabels data(graph, 1200);
  const auto result = search_recipe(graph, per_tensor(), job_of(data));
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  const auto complete = std::count_if(result->trials.begin(), result->trials.end(),
                                      [&](const SearchTrial& t) { return t.images == result->images; });
  EXPECT_LT(complete, static_cast<int64_t>(result->trials.size()));
  ASSERT_TRUE(result->naive && result->selective);
  EXPECT_EQ(result->trials[*result->naive].images, 1200) << "what is compared with is complete";
}

TEST(Search, SizeTakesFourBitsWhereTheBudgetAllows) {
  const Graph graph = test::residual_network(3);
  const FloatLabels data(graph, 100);
  SearchJob job = job_of(data);
  job.max_drop = 20;
  job.trials = 60;
  const auto result = search_recipe(graph, {}, job);
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  EXPECT_TRUE(result->holds);
  int four_bits = 0;
  for (const auto& [name, t] : result->chosen.plan.tensors) four_bits += t.dtype == DType::kInt4 ? 1 : 0;
  EXPECT_GT(four_bits, 0);
  EXPECT_LT(result->trials[result->best].bytes, result->trials[*result->naive].bytes);
}

TEST(Search, TrialsAndTimeAreBounds) {
  const Graph graph = test::residual_network(3);
  const FloatLabels data(graph, 60);
  SearchJob job = job_of(data);
  job.trials = 5;
  const auto few = search_recipe(graph, {}, job);
  ASSERT_TRUE(few.is_ok()) << few.status().message();
  EXPECT_EQ(few->trials.size(), 5u);
  job.trials = 0;
  EXPECT_FALSE(search_recipe(graph, {}, job).is_ok());
}

TEST(Candidates, AreAllDifferentAndReadable) {
  const auto target = load_target("octet");
  ASSERT_TRUE(target.is_ok());
  std::set<std::string> recipes;
  for (const SearchTrial& t : recipe_candidates({}, *target)) {
    const std::string yaml = recipe_to_yaml(t.options);
    EXPECT_TRUE(recipes.insert(yaml).second) << t.name;
    EXPECT_TRUE(parse_recipe(yaml, t.name).is_ok()) << t.name;
  }
  EXPECT_GE(recipes.size(), 16u);
  EXPECT_TRUE(is_single_calibrator(recipe_candidates({}, *target)[0].options));
  EXPECT_FALSE(is_single_calibrator(recipe_candidates({}, *target)[1].options));
}

TEST(Candidates, OfTargetsWithoutAPrecisionDoNotUseIt) {
  const auto tensorrt = load_target("tensorrt");
  ASSERT_TRUE(tensorrt.is_ok());
  EXPECT_TRUE(tensorrt->precisions.empty());
  for (const SearchTrial& t : recipe_candidates({}, *tensorrt))
    EXPECT_EQ(t.name.find("symmetric"), std::string::npos) << "it is symmetric already";
}

}  // namespace
}  // namespace octet
