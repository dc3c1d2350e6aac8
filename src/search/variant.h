// Networks that differ from a base network in a few nodes, run from what the base computed for the same image.
#pragma once

#include <memory>
#include <vector>

#include "executor/executor.h"
#include "octet/quantization.h"
#include "search/units.h"

namespace octet {

// The graph as an executor would make it: base and variants are compared in this form.
Result<Graph> executable_form(const Graph& graph);

// Safe to call from several threads at once.
class BaseNetwork {
 public:
  static Result<std::unique_ptr<BaseNetwork>> create(const Graph& graph);

  // All activations of one run: what variants start from. They are the memory that this costs.
  Result<RunValues> run(const std::vector<Tensor>& inputs) const { return executor_->run_keeping(inputs); }
  // Row-major, in the order of the graph.
  Result<std::vector<Tensor>> outputs(const RunValues& values) const {
    return executor_->run_again(nothing_, values, {});
  }
  const Executor& executor() const { return *executor_; }

 private:
  std::unique_ptr<Executor> executor_;
  Continuation nothing_;
};

// A variant computes its own nodes, and then the base's steps that depend on them: the same bits as a run of the
// whole variant.
class Variant {
 public:
  static Result<std::unique_ptr<Variant>> create(std::shared_ptr<const BaseNetwork> base, const Graph& graph);
  // The base with one unit quantized, as quantize_module would make it of plan_of_unit: only the unit's surroundings
  // are looked at, so that large networks cost no more than small ones. The base is the plan's float network.
  static Result<std::unique_ptr<Variant>> of_unit(std::shared_ptr<const BaseNetwork> base,
                                                  const SelectiveQuantizer& quantizer, const QuantizationPlan& plan,
                                                  const DecisionUnit& unit);
  Result<std::vector<Tensor>> run(const RunValues& base_values) const;

 private:
  std::shared_ptr<const BaseNetwork> base_;
  std::unique_ptr<Executor> part_;  // null: nothing differs
  Continuation rest_;
};

}  // namespace octet
