// Units of decision: every quantizer belongs to exactly one.
#include "search/units.h"

#include <gtest/gtest.h>

#include <map>

#include "search/support.h"

namespace octet {
namespace {

TEST(Units, AreALayerWithItsBlock) {
  const test::FormulaData data({3, 12, 12}, 12);
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  const QuantizeResult r = test::quantized(test::residual_network(1), options, data);
  const std::vector<DecisionUnit> units = decision_units(r.prepared, r.plan);
  ASSERT_EQ(units.size(), 4u);
  EXPECT_EQ(units[0].node, "stem");
  EXPECT_EQ(units[1].nodes, (std::vector<std::string>{"block.a", "block.a.relu"}));
  EXPECT_EQ(units[2].nodes, (std::vector<std::string>{"block.b", "block.add", "block.relu", "pool", "flat"}));
  EXPECT_EQ(units[2].skip, (std::vector<std::string>{"block.b", "block.add", "pool"}));
  EXPECT_EQ(units[3].skip, std::vector<std::string>{"fc"});
}

TEST(Units, TogetherHaveEveryReaderOnce) {
  test::RandomGraphOptions random;
  random.with_dequantize = false;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Graph graph = test::random_cnn(seed, random);
    const test::FormulaData data(test::image_of(graph), 12);
    QuantizationOptions options;
    options.regime = Regime::kNaive;
    const QuantizeResult r = test::quantized(graph, options, data);
    std::map<std::string, int> owners;
    for (const DecisionUnit& unit : decision_units(r.prepared, r.plan))
      for (const std::string& node : unit.nodes) ++owners[node];
    for (const auto& [name, t] : r.plan.tensors)
      for (const TensorReader& reader : t.readers)
        EXPECT_LE(owners[reader.node], 1) << reader.node << " of seed " << seed;
    for (const NodePlan& n : r.plan.nodes)
      if (n.decision == NodeDecision::kQuantized) {
        EXPECT_EQ(owners[n.name], 1) << n.name << " of seed " << seed;
      }
  }
}

TEST(Units, SkippedOnesAreInFloatByExactNames) {
  const test::FormulaData data({3, 12, 12}, 12);
  QuantizationOptions options;
  options.regime = Regime::kNaive;
  const Graph graph = test::residual_network(1);
  const QuantizeResult r = test::quantized(graph, options, data);
  const std::vector<DecisionUnit> units = decision_units(r.prepared, r.plan);
  const QuantizationOptions skipped = skip_units(options, {units[2]});
  EXPECT_EQ(skipped.regime, Regime::kHybrid) << "the naive regime takes no skips";
  const auto plan = SelectiveQuantizer(skipped).finish(r.prepared, r.ranges);
  ASSERT_TRUE(plan.is_ok()) << plan.status().message();
  for (const NodePlan& n : plan->nodes) {
    const bool skipped_one = n.name == "block.b" || n.name == "block.add";
    if (skipped_one || n.name == "block.a" || n.name == "fc") {
      EXPECT_EQ(n.decision, skipped_one ? NodeDecision::kFloat : NodeDecision::kQuantized) << n.name;
    }
  }
}

}  // namespace
}  // namespace octet
