// Every pass alone and all together on random networks: same outputs, same output names, well-formed, idempotent.
#include "passes/net.h"

namespace octet::test {
namespace {

constexpr uint64_t kGraphs = 240;

bool keeps_arithmetic(std::string_view pass) {
  return pass != "fold_batch_norm" && pass != "fold_mul_add" && pass != "recognize_hard_swish";
}

class EveryPass : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryPass, KeepsOutputsOfRandomGraphs) {
  const Pass* pass = find_pass(GetParam());
  ASSERT_NE(pass, nullptr);
  int total = 0;
  for (uint64_t seed = 0; seed < kGraphs && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Graph graph = random_cnn(seed);
    total += apply(graph, pass->run, keeps_arithmetic(pass->name) ? 0.0 : 1e-4, {}, seed);
    ASSERT_TRUE(infer_shapes(graph).is_ok());
    const Result<int> again = pass->run(graph, {});
    ASSERT_TRUE(again.is_ok()) << again.status().message();
    // One pass may open the way for itself (a constant makes a shape static); it must come to rest at once after
    // that.
    if (*again != 0) {
      ASSERT_TRUE(infer_shapes(graph).is_ok());
      const Result<int> third = pass->run(graph, {});
      ASSERT_TRUE(third.is_ok());
      EXPECT_EQ(*third, 0);
    }
  }
  if (pass->name != "sort_nodes") {
    EXPECT_GT(total, static_cast<int>(kGraphs) / 10) << "the graphs hardly exercise it";
  }
}

std::vector<std::string> names_of_passes() {
  std::vector<std::string> names;
  for (const Pass& pass : standard_passes()) names.emplace_back(pass.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Passes, EveryPass, ::testing::ValuesIn(names_of_passes()),
                         [](const auto& info) { return info.param; });

TEST(AllPasses, KeepOutputsOfRandomGraphs) {
  for (uint64_t seed = 1000; seed < 1000 + kGraphs && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Graph graph = random_cnn(seed);
    const std::vector<Tensor> inputs = random_inputs(graph, seed);
    const std::vector<Tensor> before = outputs_of(graph, inputs);
    const std::vector<std::string> names = output_names(graph);
    const Result<std::vector<PassReport>> reports = run_passes(graph);
    ASSERT_TRUE(reports.is_ok()) << reports.status().message();
    EXPECT_EQ(output_names(graph), names);
    EXPECT_TRUE(outputs_near(before, outputs_of(graph, inputs), 1e-4));

    const Result<std::vector<PassReport>> again = run_passes(graph);
    ASSERT_TRUE(again.is_ok()) << again.status().message();
    for (const PassReport& report : *again) EXPECT_EQ(report.rewrites, 0) << report.name;
  }
}

TEST(AllPasses, GiveTheSameGraphEveryTime) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Graph a = random_cnn(seed);
    Graph b = random_cnn(seed);
    ASSERT_TRUE(run_passes(a).is_ok());
    ASSERT_TRUE(run_passes(b).is_ok());
    EXPECT_EQ(operators(a), operators(b));
    ASSERT_EQ(a.value_count(), b.value_count());
    for (size_t i = 0; i < a.value_count(); ++i)
      EXPECT_EQ(a.value(static_cast<ValueId>(i)).name, b.value(static_cast<ValueId>(i)).name);
  }
}

TEST(AllPasses, LeaveNoFoldableBatchNormInRandomGraphs) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Graph graph = random_cnn(seed);
    ASSERT_TRUE(run_passes(graph).is_ok());
    const GraphIndex index(graph);
    for (const Node& node : graph.nodes) {
      EXPECT_FALSE(node.is("Identity") && !graph.is_output(node.outputs[0])) << seed;
      EXPECT_FALSE(node.is("Dropout") && !graph.is_output(node.outputs[0])) << seed;
      if (!node.is("BatchNormalization")) continue;
      const int64_t before = index.producer(node.inputs[0]);
      if (before < 0 || !graph.nodes[static_cast<size_t>(before)].is("Conv")) continue;
      const bool shared = index.uses(node.inputs[0]).size() > 1 || graph.is_output(node.inputs[0]);
      const bool computed_weight = !graph.is_constant(graph.nodes[static_cast<size_t>(before)].inputs[1]);
      EXPECT_TRUE(shared || computed_weight) << "seed " << seed << " node " << node.name;
    }
  }
}

}  // namespace
}  // namespace octet::test
