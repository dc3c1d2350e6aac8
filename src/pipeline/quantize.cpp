#include <algorithm>
#include <chrono>
#include <cstdio>

#include "passes/pass.h"
#include "pipeline/guard.h"
#include "pipeline/image_runner.h"

namespace octet {
namespace {

int64_t wanted_images(const QuantizeJob& job, const QuantizationOptions& options, int64_t available) {
  int64_t n = job.images;
  if (n == 0) n = options.calib_images;
  if (n == 0)
    n = static_cast<int64_t>(options.num_calib_batches) *
        (options.calib_batch_size > 0 ? options.calib_batch_size : 32);
  return std::min(n, available);
}

Status calibrate_step(const SelectiveQuantizer& quantizer, const QuantizeJob& job, QuantizeResult* result) {
  if (job.ranges) {
    result->ranges = *job.ranges;
    return Status::ok();
  }
  if (job.calibration == nullptr)
    return invalid_argument("calibration needs data: give --data, or ranges from an earlier run");
  OCTET_ASSIGN(const QuantizationPlan decisions, quantizer.prepare(result->prepared));
  const int64_t n = wanted_images(job, quantizer.options(), job.calibration->size());
  const std::vector<int64_t> images = deterministic_subset(job.calibration->size(), n, 0);
  const auto begin = std::chrono::steady_clock::now();
  OCTET_ASSIGN(const auto statistics,
               QuantizationCalibrator(job.run).collect_stats(result->prepared, decisions.tensors_to_observe(),
                                                             *job.calibration, images));
  OCTET_ASSIGN(result->ranges, quantizer.calibrate(result->prepared, decisions, statistics));
  result->calibration_images = n;
  result->calibration_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return Status::ok();
}

std::string one_decimal(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", x);
  return text;
}

// Layers that lose too much by themselves lose their weight's range line, so that they stay in float here and in
// every later run from the same ranges.
Status guard_layers(const SelectiveQuantizer& quantizer, const QuantizeJob& job, QuantizeResult* result) {
  const bool wanted = quantizer.options().regime == Regime::kSelective && job.min_layer_sqnr_db > 0 && !job.ranges;
  if (!wanted) return Status::ok();
  const int64_t n = std::max(std::min(job.guard_images, result->calibration_images), fixed_batch(result->prepared));
  const std::vector<int64_t> images = deterministic_subset(job.calibration->size(), n, 0);
  OCTET_ASSIGN(const std::vector<LayerLoss> losses,
               isolated_losses(result->prepared, result->plan, *job.calibration, images, job.run));
  std::map<std::string, std::string> reasons;
  for (const LayerLoss& loss : losses) {
    const Node* node = result->prepared.find_node(loss.node);
    if (loss.sqnr_db >= job.min_layer_sqnr_db || node == nullptr || !result->prepared.is_constant(node->inputs[1]))
      continue;
    if (result->ranges.tensors.erase(result->prepared.value(node->inputs[1]).name) == 0) continue;
    reasons[loss.node] = "kept in float: 8 bits leave its output only " + one_decimal(loss.sqnr_db) +
                         " dB above the noise on " + std::to_string(n) + " images (the limit is " +
                         one_decimal(job.min_layer_sqnr_db) + " dB)";
  }
  if (reasons.empty()) return Status::ok();
  OCTET_ASSIGN(result->plan, quantizer.finish(result->prepared, result->ranges));
  for (NodePlan& n_plan : result->plan.nodes)
    if (const auto it = reasons.find(n_plan.name); it != reasons.end()) n_plan.why = it->second;
  return Status::ok();
}

}  // namespace

Result<Graph> simplify_network(const Graph& graph) {
  Graph simplified = graph;
  OCTET_RETURN_IF_ERROR(run_passes(simplified).status());
  return simplified;
}

Result<QuantizeResult> quantize_network(const Graph& graph, const SelectiveQuantizer& quantizer,
                                        const QuantizeJob& job) {
  QuantizeResult result;
  OCTET_ASSIGN(result.prepared, simplify_network(graph));
  OCTET_ASSIGN(result.prepared, quantizer.rewrite_blocks(result.prepared));
  if (job.plan) {
    result.plan = *job.plan;
  } else {
    OCTET_RETURN_IF_ERROR(calibrate_step(quantizer, job, &result));
    OCTET_ASSIGN(result.plan, quantizer.finish(result.prepared, result.ranges));
    OCTET_RETURN_IF_ERROR(guard_layers(quantizer, job, &result));
  }
  OCTET_ASSIGN(result.quantized, quantizer.quantize_module(result.prepared, result.plan));
  if (job.evaluation != nullptr) {
    EvalOptions eval = job.eval;
    const ProgressSink sink = job.eval.run.progress;
    const auto named = [&](const char* stage) -> ProgressSink {
      if (!sink) return {};
      return [sink, stage](const std::string&, int64_t done, int64_t total) { sink(stage, done, total); };
    };
    eval.run.progress = named("float");
    OCTET_ASSIGN(result.float_eval, evaluate(graph, *job.evaluation, eval));
    eval.run.progress = named("int8");
    OCTET_ASSIGN(result.quantized_eval, evaluate(result.quantized, *job.evaluation, eval));
  }
  return result;
}

}  // namespace octet
