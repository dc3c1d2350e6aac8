#include "search/variant.h"

#include <set>

#include "passes/pass.h"
#include "search/graph_difference.h"

namespace octet {

Result<Graph> executable_form(const Graph& graph) {
  Graph form = graph;
  PassOptions passes;
  passes.fold_quantized_weights = true;
  passes.verify_each = false;
  OCTET_RETURN_IF_ERROR(run_passes(form, passes).status());
  return form;
}

Result<std::unique_ptr<BaseNetwork>> BaseNetwork::create(const Graph& graph) {
  auto base = std::make_unique<BaseNetwork>();
  OCTET_ASSIGN(const Graph form, executable_form(graph));
  OCTET_ASSIGN(base->executor_, Executor::create(form));
  base->nothing_ = base->executor_->continuation({}, {});
  return base;
}

Result<std::unique_ptr<Variant>> Variant::create(std::shared_ptr<const BaseNetwork> base, const Graph& graph) {
  auto variant = std::make_unique<Variant>();
  const Executor& whole = base->executor();
  OCTET_ASSIGN(const Graph form, executable_form(graph));
  OCTET_ASSIGN(const GraphDifference d, graph_difference(whole.graph(), whole.step_nodes(), form));
  if (!d.part.nodes.empty()) {
    OCTET_ASSIGN(variant->part_, Executor::create(d.part));
  }
  variant->rest_ = whole.continuation(d.changed, d.replaced);
  variant->base_ = std::move(base);
  return variant;
}

namespace {

// What of the plan concerns a part of its graph; scales that a tensor has from another one become its own.
QuantizationPlan plan_for_part(const QuantizationPlan& plan, const Graph& part) {
  QuantizationPlan local = plan;
  for (auto& [name, t] : local.tensors)
    if (const QuantParams* params = plan.params_of(name); params != nullptr && !t.same_as.empty()) {
      t.params = *params;
      t.same_as.clear();
    }
  std::erase_if(local.tensors,
                [&](const auto& t) { return t.second.readers.empty() || part.find_value(t.first) == kNoValue; });
  std::erase_if(local.nodes, [&](const NodePlan& n) { return part.find_node(n.name) == nullptr; });
  return local;
}

}  // namespace

Result<std::unique_ptr<Variant>> Variant::of_unit(std::shared_ptr<const BaseNetwork> base,
                                                  const SelectiveQuantizer& quantizer, const QuantizationPlan& plan,
                                                  const DecisionUnit& unit) {
  const Executor& whole = base->executor();
  const QuantizationPlan alone = plan_of_unit(plan, unit);
  std::set<std::string> readers;
  for (const auto& [name, t] : alone.tensors)
    for (const TensorReader& reader : t.readers) readers.insert(reader.node);
  OCTET_ASSIGN(const GraphDifference d, graph_part(whole.graph(), whole.step_nodes(), readers));
  OCTET_ASSIGN(const Graph quantized, quantizer.quantize_module(d.part, plan_for_part(alone, d.part)));
  OCTET_ASSIGN(const Graph form, executable_form(quantized));
  auto variant = std::make_unique<Variant>();
  OCTET_ASSIGN(variant->part_, Executor::create(form));
  variant->rest_ = whole.continuation(d.changed, d.replaced);
  variant->base_ = std::move(base);
  return variant;
}

Result<std::vector<Tensor>> Variant::run(const RunValues& base_values) const {
  if (!part_) return base_->outputs(base_values);
  OCTET_ASSIGN(const RunValues changed, part_->run_values(base_values));
  return base_->executor().run_again(rest_, base_values, changed);
}

}  // namespace octet
