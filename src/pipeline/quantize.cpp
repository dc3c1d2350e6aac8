#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/text.h"
#include "passes/pass.h"
#include "pipeline/guard.h"
#include "pipeline/image_runner.h"
#include "pipeline/repair_images.h"
#include "quantization/plan_check.h"
#include "quantization/target.h"

namespace octet {
namespace {

// The images that calibration runs on, and a note where they are fewer than somebody asked for.
int64_t choose_images(const QuantizeJob& job, const QuantizationOptions& options, int64_t fixed,
                      std::vector<std::string>* notes) {
  const int64_t available = job.calibration->size();
  const int64_t asked = job.images > 0 ? job.images : options.calib_images;
  int64_t n = asked;
  if (n == 0)
    n = static_cast<int64_t>(options.num_calib_batches) *
        (options.calib_batch_size > 0 ? options.calib_batch_size : 32);
  if (n > available) {
    if (asked > 0)
      notes->push_back("calibration was to see " + std::to_string(asked) + " images, and the data has " +
                       std::to_string(available));
    n = available;
  }
  if (fixed > 1 && n >= fixed && n % fixed != 0) {
    notes->push_back("the network runs batches of " + std::to_string(fixed) + " only, so calibration used " +
                     std::to_string(n - n % fixed) + " of " + std::to_string(n) + " images");
    n -= n % fixed;
  }
  return n;
}

Status calibrate_step(const SelectiveQuantizer& quantizer, const QuantizeJob& job, QuantizeResult* result) {
  if (job.ranges) {
    result->ranges = *job.ranges;
    return Status::ok();
  }
  if (job.calibration == nullptr)
    return invalid_argument("calibration needs data: give --data, or ranges from an earlier run");
  OCTET_ASSIGN(const QuantizationPlan decisions, quantizer.prepare(result->prepared));
  const int64_t n = choose_images(job, quantizer.options(), fixed_batch(result->prepared), &result->notes);
  const std::vector<int64_t> images = deterministic_subset(job.calibration->size(), n, 0);
  const auto begin = std::chrono::steady_clock::now();
  std::map<std::string, TensorStatistics> own;
  std::map<std::string, TensorStatistics>& statistics =
      job.statistics != nullptr ? (*job.statistics)[graph_fingerprint(result->prepared)] : own;
  std::vector<std::string> missing;
  for (const std::string& tensor : decisions.tensors_to_observe())
    if (statistics.count(tensor) == 0) missing.push_back(tensor);
  if (job.statistics == nullptr || !missing.empty()) {
    OCTET_ASSIGN(auto collected,
                 QuantizationCalibrator(job.run).collect_stats(result->prepared, missing, *job.calibration, images));
    statistics.merge(collected);
  }
  OCTET_ASSIGN(result->ranges, quantizer.calibrate(result->prepared, decisions, statistics));
  if (job.summarize) result->summary = summarize_calibration(result->prepared, decisions, statistics);
  result->calibration_images = n;
  result->calibration_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return Status::ok();
}

// Float sums may differ between machines: what process 0 found counts for all.
Status take_ranges_of_first(const SelectiveQuantizer& quantizer, const QuantizeJob& job, QuantizeResult* result) {
  Processes* processes = job.run.processes;
  if (processes == nullptr || processes->size() == 1 || job.ranges) return Status::ok();
  OCTET_ASSIGN(const std::string json, processes->from_first(ranges_to_json(result->ranges)));
  if (processes->is_first()) return Status::ok();
  OCTET_ASSIGN(result->ranges, ranges_from_json(json, "the ranges of process 0"));
  OCTET_ASSIGN(result->plan, quantizer.finish(result->prepared, result->ranges));
  return Status::ok();
}

std::string with_decimals(double x, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, x);
  return text;
}

// Two different numbers with as many decimals as it takes to tell them apart.
std::pair<std::string, std::string> told_apart(double a, double b) {
  for (int decimals = 1; decimals < 9; ++decimals)
    if (with_decimals(a, decimals) != with_decimals(b, decimals))
      return {with_decimals(a, decimals), with_decimals(b, decimals)};
  return {with_decimals(a, 9), with_decimals(b, 9)};
}

// Types of 4 bits stand in no target: somebody asked for them, and knows that they leave about 20 dB.
bool has_four_bits(const Graph& graph, const QuantizationPlan& plan, const Node& node) {
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
    if (id == kNoValue) return false;
    const auto it = plan.tensors.find(graph.value(id).name);
    return it != plan.tensors.end() && (it->second.dtype == DType::kInt4 || it->second.dtype == DType::kUint4);
  });
}

// Layers that lose too much by themselves lose their weight's range line, so that they stay in float here and in
// every later run from the same ranges.
Status guard_layers(const SelectiveQuantizer& quantizer, const QuantizeJob& job, QuantizeResult* result) {
  const bool wanted = quantizer.options().regime == Regime::kSelective && job.min_layer_sqnr_db > 0 && !job.ranges;
  if (!wanted) return Status::ok();
  const int64_t group = std::max<int64_t>(1, fixed_batch(result->prepared));
  const int64_t wanted_images = std::max(std::min(job.guard_images, result->calibration_images), group);
  const int64_t n = wanted_images - wanted_images % group;
  const std::vector<int64_t> images = deterministic_subset(job.calibration->size(), n, 0);
  OCTET_ASSIGN(const std::vector<LayerLoss> losses,
               isolated_losses(result->prepared, result->plan, *job.calibration, images, job.run));
  bool changed = false;
  for (const LayerLoss& loss : losses) {
    if (result->summary) result->summary->layer_sqnr_db[loss.node] = loss.sqnr_db;
    const Node* node = result->prepared.find_node(loss.node);
    if (loss.sqnr_db >= job.min_layer_sqnr_db || node == nullptr || !result->prepared.is_constant(node->inputs[1]) ||
        has_four_bits(result->prepared, result->plan, *node))
      continue;
    const std::string weight = result->prepared.value(node->inputs[1]).name;
    if (result->ranges.tensors.erase(weight) == 0) continue;
    const auto [measured, limit] = told_apart(loss.sqnr_db, job.min_layer_sqnr_db);
    result->ranges.left_out[weight] = "its integers leave the output of '" + loss.node + "' only " + measured +
                                      " dB above the noise on " + std::to_string(n) + " images (the limit is " +
                                      limit + " dB)";
    changed = true;
  }
  if (!changed) return Status::ok();
  OCTET_ASSIGN(result->plan, quantizer.finish(result->prepared, result->ranges));
  return Status::ok();
}

// The images that the repair methods see: as many as it asks for, else those of the calibration.
std::unique_ptr<RepairHost> open_repair_host(const SelectiveQuantizer& quantizer, const QuantizeJob& job,
                                             QuantizeResult* result) {
  const int64_t fixed = fixed_batch(result->prepared);
  std::vector<std::string> notes;  // calibration says the same
  int64_t n = choose_images(job, quantizer.options(), fixed, &notes);
  if (const int64_t asked = quantizer.options().repair.images; asked > 0)
    n = std::max(std::min(asked, job.calibration->size()), std::max<int64_t>(1, fixed));
  return repair_host(result->prepared, *job.calibration, deterministic_subset(job.calibration->size(), n, 0),
                     job.run);
}

// Whether there is something to repair; a sentence where it is asked for and cannot be.
Result<bool> repairs(const SelectiveQuantizer& quantizer, const QuantizeJob& job, QuantizeResult* result) {
  if (!quantizer.options().repair.any()) return false;
  if (job.ranges) {
    result->notes.emplace_back(
        "the recipe's repair was not carried out: ranges from an earlier run belong to the network as it is");
    return false;
  }
  if (job.run.processes != nullptr && job.run.processes->size() > 1)
    return unsupported("repair runs in one process; quantize first, and go on with the repaired network it writes");
  if (job.calibration == nullptr) return invalid_argument("repair needs calibration images: give --data");
  return true;
}

class StopWatch {
 public:
  explicit StopWatch(double* seconds) : seconds_(seconds), begin_(std::chrono::steady_clock::now()) {}
  ~StopWatch() { *seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  double* seconds_;
  std::chrono::steady_clock::time_point begin_;
};

Status repair_before_calibration(const SelectiveQuantizer& quantizer, const QuantizeJob& job,
                                 QuantizeResult* result) {
  const RepairOptions& options = quantizer.options().repair;
  OCTET_ASSIGN(const bool wanted, repairs(quantizer, job, result));
  if (!wanted || !options.before_calibration()) return Status::ok();
  const StopWatch watch(&result->repair_seconds);
  OCTET_ASSIGN(result->repairs,
               repair_float_network(result->prepared, options, *open_repair_host(quantizer, job, result)));
  return Status::ok();
}

// Rounded weights and corrected biases make another network, with the ranges of the old one.
Status repair_after_calibration(const Graph& original, const SelectiveQuantizer& quantizer, const QuantizeJob& job,
                                QuantizeResult* result) {
  const RepairOptions& options = quantizer.options().repair;
  if (job.ranges || !options.after_calibration()) return Status::ok();
  const StopWatch watch(&result->repair_seconds);
  // Batch normalization says nothing any more of channels whose scale or bias was changed.
  const auto moments =
      result->repairs.empty() ? batch_norm_moments(original) : std::map<std::string, ChannelMoments>();
  OCTET_ASSIGN(const std::vector<RepairStep> steps,
               repair_quantized_network(result->prepared, quantizer, result->plan, options,
                                        *open_repair_host(quantizer, job, result), moments));
  result->repairs.insert(result->repairs.end(), steps.begin(), steps.end());
  result->ranges.fingerprint = graph_fingerprint(result->prepared);
  OCTET_ASSIGN(result->plan, quantizer.finish(result->prepared, result->ranges));
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
    honour_decisions(result.prepared, &result.plan);
    const std::vector<std::string> targets = target_names();
    if (std::find(targets.begin(), targets.end(), result.plan.target) == targets.end())
      result.notes.push_back("the plan was made for the target '" + result.plan.target +
                             "', which is not built in; it is used as it stands." +
                             did_you_mean(result.plan.target, targets));
  } else {
    OCTET_RETURN_IF_ERROR(repair_before_calibration(quantizer, job, &result));
    OCTET_RETURN_IF_ERROR(calibrate_step(quantizer, job, &result));
    OCTET_ASSIGN(result.plan, quantizer.finish(result.prepared, result.ranges));
    OCTET_RETURN_IF_ERROR(guard_layers(quantizer, job, &result));
    OCTET_RETURN_IF_ERROR(repair_after_calibration(graph, quantizer, job, &result));
    OCTET_RETURN_IF_ERROR(take_ranges_of_first(quantizer, job, &result));
  }
  OCTET_ASSIGN(result.quantized, quantizer.quantize_module(result.prepared, result.plan));
  if (job.on_quantized) OCTET_RETURN_IF_ERROR(job.on_quantized(result));
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
