#include "search/units.h"

#include <algorithm>
#include <map>
#include <set>

#include "passes/fusion_patterns.h"

namespace octet {
namespace {

// For each node the index of the weighted node whose block it is in; -1 where the network has none.
std::vector<int64_t> owners(const Graph& graph) {
  const GraphIndex index(graph);
  std::vector<int64_t> owner(graph.nodes.size(), -1);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (is_weighted_op(graph.nodes[n])) owner[n] = static_cast<int64_t>(n);
    else
      for (ValueId id : graph.nodes[n].inputs)
        if (id != kNoValue && index.producer(id) >= 0)
          owner[n] = std::max(owner[n], owner[static_cast<size_t>(index.producer(id))]);
  }
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    if (owner[n] >= 0) continue;
    for (ValueId id : graph.nodes[n].outputs)
      if (id != kNoValue)
        for (const GraphIndex::Use& use : index.uses(id))
          if (owner[use.node] >= 0 && (owner[n] < 0 || owner[use.node] < owner[n])) owner[n] = owner[use.node];
  }
  return owner;
}

std::set<std::string> nodes_that_read_codes(const QuantizationPlan& plan) {
  std::set<std::string> names;
  for (const auto& [name, t] : plan.tensors)
    if (t.dtype != DType::kFloat16)
      for (const TensorReader& reader : t.readers) names.insert(reader.node);
  return names;
}

}  // namespace

std::vector<DecisionUnit> decision_units(const Graph& graph, const QuantizationPlan& plan) {
  const std::vector<int64_t> owner = owners(graph);
  const std::set<std::string> quantized = nodes_that_read_codes(plan);
  std::map<std::string, NodeDecision> decisions;
  for (const NodePlan& n : plan.nodes) decisions[n.name] = n.decision;
  std::map<int64_t, DecisionUnit> units;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (owner[n] < 0) continue;
    const Node& node = graph.nodes[n];
    DecisionUnit& unit = units[owner[n]];
    unit.nodes.push_back(node.name);
    const auto decision = decisions.find(node.name);
    const bool moves =
        node.is("Concat") || (decision != decisions.end() && decision->second == NodeDecision::kCarries);
    if (quantized.count(node.name) != 0 && !moves) unit.skip.push_back(node.name);
  }
  std::vector<DecisionUnit> list;
  for (auto& [index, unit] : units) {
    if (unit.skip.empty()) continue;
    unit.node = graph.nodes[static_cast<size_t>(index)].name;
    unit.op_type = graph.nodes[static_cast<size_t>(index)].op_type;
    list.push_back(std::move(unit));
  }
  return list;
}

QuantizationPlan plan_of_unit(const QuantizationPlan& plan, const DecisionUnit& unit) {
  const std::set<std::string> inside(unit.nodes.begin(), unit.nodes.end());
  QuantizationPlan alone = plan;
  alone.fingerprint.clear();  // it is known to fit
  for (auto& [name, t] : alone.tensors)
    std::erase_if(t.readers, [&](const TensorReader& reader) { return inside.count(reader.node) == 0; });
  for (NodePlan& n : alone.nodes) {
    if (inside.count(n.name) != 0) continue;
    n.decision = NodeDecision::kFloat;
    n.integer_bias = false;
  }
  return alone;
}

QuantizationOptions skip_units(QuantizationOptions options, const std::vector<DecisionUnit>& units) {
  if (!units.empty() && options.regime == Regime::kNaive) options.regime = Regime::kHybrid;  // naive takes no rules
  for (const DecisionUnit& unit : units)
    options.skip_modules.insert(options.skip_modules.end(), unit.skip.begin(), unit.skip.end());
  return options;
}

}  // namespace octet
