#include "search/variant.h"

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

Result<std::vector<Tensor>> Variant::run(const RunValues& base_values) const {
  if (!part_) return base_->outputs(base_values);
  OCTET_ASSIGN(const RunValues changed, part_->run_values(base_values));
  return base_->executor().run_again(rest_, base_values, changed);
}

}  // namespace octet
