#include <chrono>

#include "passes/pass.h"
#include "pipeline/image_runner.h"

namespace octet {
namespace {

int64_t wanted_images(const QuantizeJob& job, const QuantizationOptions& options, int64_t available) {
  int64_t n = job.images;
  if (n == 0) n = options.calib_images;
  if (n == 0) n = static_cast<int64_t>(options.num_calib_batches) * (options.calib_batch_size > 0 ? options.calib_batch_size : 32);
  return std::min(n, available);
}

Status calibrate_step(const SelectiveQuantizer& quantizer, const QuantizeJob& job, QuantizeResult* result) {
  if (job.ranges) {
    result->ranges = *job.ranges;
    return Status::ok();
  }
  if (job.calibration == nullptr) return invalid_argument("calibration needs data: give --data, or ranges from an earlier run");
  OCTET_ASSIGN(const QuantizationPlan decisions, quantizer.prepare(result->prepared));
  const int64_t n = wanted_images(job, quantizer.options(), job.calibration->size());
  const std::vector<int64_t> images = deterministic_subset(job.calibration->size(), n, 0);
  const auto begin = std::chrono::steady_clock::now();
  OCTET_ASSIGN(const auto statistics, QuantizationCalibrator(job.run).collect_stats(
                                          result->prepared, decisions.tensors_to_observe(), *job.calibration, images));
  OCTET_ASSIGN(result->ranges, quantizer.calibrate(result->prepared, decisions, statistics));
  result->calibration_images = n;
  result->calibration_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return Status::ok();
}

}  // namespace

Result<Graph> simplify_network(const Graph& graph) {
  Graph simplified = graph;
  OCTET_RETURN_IF_ERROR(run_passes(simplified).status());
  return simplified;
}

Result<QuantizeResult> quantize_network(const Graph& graph, const SelectiveQuantizer& quantizer, const QuantizeJob& job) {
  QuantizeResult result;
  OCTET_ASSIGN(result.prepared, simplify_network(graph));
  OCTET_ASSIGN(result.prepared, quantizer.rewrite_blocks(result.prepared));
  if (job.plan) {
    result.plan = *job.plan;
  } else {
    OCTET_RETURN_IF_ERROR(calibrate_step(quantizer, job, &result));
    OCTET_ASSIGN(result.plan, quantizer.finish(result.prepared, result.ranges));
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
