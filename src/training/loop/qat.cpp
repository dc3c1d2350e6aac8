// Quantization-aware training: calibrate, fine-tune from there, export as post-training quantization does.
#include <algorithm>

#include "octet/train.h"
#include "passes/pass.h"

namespace octet {
namespace {

bool has_batch_norm(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& node) { return node.is("BatchNormalization"); });
}

// The network with its batch norms, as the module wants it beside a plan of the folded one.
Result<Graph> unfolded_network(const Graph& graph) {
  Graph unfolded = graph;
  PassOptions options;
  options.disabled = {"fold_batch_norm"};
  OCTET_RETURN_IF_ERROR(run_passes(unfolded, options).status());
  return unfolded;
}

}  // namespace

Result<QatResult> quantization_aware_training(const Graph& graph, const SelectiveQuantizer& quantizer,
                                              const QatJob& job) {
  QatResult result;
  OCTET_ASSIGN(result.ptq, quantize_network(graph, quantizer, job.quantize));
  if (job.on_calibrated) job.on_calibrated(result.ptq);
  if (result.ptq.plan.tensors.empty())
    return invalid_argument("nothing of this network is quantized, so there is nothing to fine-tune for");
  if (!result.ptq.repairs.empty() && job.train.recipe.batch_norm.given && has_batch_norm(graph))
    return invalid_argument(
        "a repaired network has no batch norms left to train; leave 'repair' or 'batch_norm' away");
  Graph teacher = result.ptq.prepared;
  if (!result.ptq.repairs.empty()) {
    OCTET_ASSIGN(teacher, simplify_network(graph));  // repaired weights may be rounded
  }
  TrainJob train = job.train;
  const bool has_ranges = !result.ptq.ranges.tensors.empty();
  Graph unfolded;
  if (train.recipe.batch_norm.given && has_batch_norm(graph)) {
    OCTET_ASSIGN(unfolded, unfolded_network(graph));
  }
  const bool keeps_norms = has_batch_norm(unfolded);
  train.graph = keeps_norms ? &unfolded : &result.ptq.prepared;
  train.plan = &result.ptq.plan;
  train.ranges = has_ranges ? &result.ptq.ranges : nullptr;
  train.teacher = &teacher;
  train.recipe.for_qat = true;
  OCTET_ASSIGN(result.trained, train_network(train));
  if (keeps_norms) {
    OCTET_ASSIGN(result.trained.graph, simplify_network(result.trained.graph));
  }
  OCTET_ASSIGN(result.quantized, quantizer.quantize_module(result.trained.graph, *result.trained.plan));
  if (job.quantize.evaluation == nullptr) return result;
  EvalOptions eval = job.quantize.eval;
  if (const ProgressSink sink = eval.run.progress)
    eval.run.progress = [sink](const std::string&, int64_t done, int64_t total) { sink("qat", done, total); };
  OCTET_ASSIGN(result.qat_eval, evaluate(result.quantized, *job.quantize.evaluation, eval));
  return result;
}

}  // namespace octet
