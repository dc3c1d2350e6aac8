// Running networks over data: calibration, evaluation, comparison, and the whole post-training quantization job.
//
// Images are independent: each worker thread takes images (or small fixed groups) and runs them alone, so that no
// result depends on the number of threads or on which images stand side by side.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "octet/calibration.h"
#include "octet/calibration_summary.h"
#include "octet/data.h"
#include "octet/graph.h"
#include "octet/processes.h"
#include "octet/progress.h"
#include "octet/quantization.h"
#include "octet/repair.h"
#include "octet/runtime.h"

namespace octet {

struct RunOptions {
  int threads = 0;  // 0: as many as the machine has cores
  ProgressSink progress;
  const CancelFlag* cancel = nullptr;
  // Shares the images with the other processes of the job, which get the same results. Null: alone.
  Processes* processes = nullptr;
};

// The inputs of a network as a data set wants to know them.
std::vector<InputInfo> network_inputs(const Graph& graph);
std::vector<InputInfo> network_inputs(const Engine& engine);

// The network as quantization wants it: batch norm and constants folded, what changes nothing removed; it computes
// the same, up to float rounding. Plans, ranges and their fingerprints belong to this graph.
Result<Graph> simplify_network(const Graph& graph);

// ---- calibration --------------------------------------------------------------------------------------------------

// Collects statistics of named tensors over images in one float pass; memory does not grow with their number.
class QuantizationCalibrator {
 public:
  explicit QuantizationCalibrator(RunOptions options = {}) : options_(std::move(options)) {}

  // The same images give the same statistics, byte for byte, for any order of `images` and any number of threads.
  // Errors: an unknown tensor, a sample that cannot be read (the sentence names it), kCancelled.
  Result<std::map<std::string, TensorStatistics>> collect_stats(const Graph& graph,
                                                                const std::vector<std::string>& tensors,
                                                                const Dataset& data,
                                                                const std::vector<int64_t>& images) const;

 private:
  RunOptions options_;
};

// ---- evaluation ---------------------------------------------------------------------------------------------------

struct EvalOptions {
  RunOptions run;
  int batch_size = 8;      // images a worker runs at once
  int64_t max_images = 0;  // 0: all
  DetectionSpec detection;
  bool simulate = false;  // compute Q/DQ networks in float instead of integers
};

struct EvalReport {
  std::string
      arithmetic;    // "integer": the engine's, as deployed; "simulated": Q/DQ in float; "float": no Q/DQ at all
  std::string task;  // "classification", "detection", "segmentation", or "none" for data without labels
  int64_t count = 0;
  double top1 = 0, top5 = 0;            // percent
  double top1_low = 0, top1_high = 0;   // 95 % Wilson interval, percent
  double map50 = 0, map = 0;            // percent, COCO-style AP@0.5 and AP@[.5:.95]
  double miou = 0, pixel_accuracy = 0;  // percent, over all pixels of the prepared images that have a class
  double seconds = 0;                   // wall time of loading and running
  std::vector<int64_t> predictions;     // arg-max of the first output per image (classification and none)
  int64_t nonfinite_inputs = 0;         // images with NaN or infinity in an input
  int64_t nonfinite_outputs = 0;        // and in the first output
  // The figure a person quotes: top-1, mAP@0.5 or mean IoU, in percent; and the one beside it: top-5, mAP@[.5:.95] or
  // pixel accuracy.
  double score() const { return task == "detection" ? map50 : task == "segmentation" ? miou : top1; }
  double second_score() const { return task == "detection" ? map : task == "segmentation" ? pixel_accuracy : top5; }
};

// A network with QuantizeLinear runs in the engine's integers (as `octet compile` would have it, codes equal bit for
// bit); unless options.simulate, or when the engine does not take its shapes.
Result<EvalReport> evaluate(const Graph& graph, const Dataset& data, const EvalOptions& options);
// Through the compiled engine, each worker with a session of its own.
Result<EvalReport> evaluate(std::shared_ptr<const Engine> engine, const Dataset& data, const EvalOptions& options);

// Percent of equal predictions; 100 for two empty lists.
double agreement(const std::vector<int64_t>& a, const std::vector<int64_t>& b);

// ---- comparison ---------------------------------------------------------------------------------------------------

struct TensorDifference {
  std::string tensor;
  std::string op_type;  // of its producer in the first network; "output" marks graph outputs
  bool is_output = false;
  double sqnr_db = 0;  // 10 log10(signal power / noise power); +inf when equal
  double cosine = 0;
  double max_abs = 0;
  int64_t nonfinite = 0;  // pairs with NaN or infinity, which the other figures leave out
};

struct CompareReport {
  int64_t count = 0;
  std::optional<double> agreement;        // percent of equal arg-max of the first output, when that is [N, classes]
  std::vector<TensorDifference> tensors;  // worst SQNR first; names that both networks have
};

Result<CompareReport> compare(const Graph& a, const Graph& b, const Dataset& data, int64_t images,
                              const RunOptions& options = {});
// A network, simulated, against an engine compiled from it. Beside the outputs, every tensor of the engine that the
// graph knows by the same name is compared: codes with codes, real values with real values.
Result<CompareReport> compare(const Graph& graph, std::shared_ptr<const Engine> engine, const Dataset& data,
                              int64_t images, const RunOptions& options = {});

// ---- the whole job ------------------------------------------------------------------------------------------------

struct QuantizeResult;

struct QuantizeJob {
  const Dataset* calibration = nullptr;
  const Dataset* evaluation = nullptr;  // null: no accuracy is measured
  int64_t images = 0;                   // calibration images; 0: what the options say
  std::optional<Ranges> ranges;         // given: no calibration
  // Of earlier jobs with these images, by fingerprint of the prepared graph: what is there is not collected again,
  // what is collected is added. Null: none.
  std::map<std::string, std::map<std::string, TensorStatistics>>* statistics = nullptr;
  std::optional<QuantizationPlan> plan;  // given: neither calibration nor decisions
  // Selective regime: a layer whose own quantization leaves its output less than so many dB above the noise, measured
  // on guard_images calibration images, stays in float; a layer of 4 bits, which somebody asked for, is not judged. 0
  // switches the check off.
  double min_layer_sqnr_db = 20;
  int64_t guard_images = 8;
  bool summarize = true;  // fill QuantizeResult::summary: costs as much as all calibrators on every tensor
  EvalOptions eval;
  RunOptions run;
  // Called with the finished network before its accuracy is measured, so that it can be saved whatever happens then.
  // An error ends the job.
  std::function<Status(const QuantizeResult&)> on_quantized;
};

struct QuantizeResult {
  Graph prepared;  // the float graph after passes and repair
  Graph quantized;
  Ranges ranges;
  QuantizationPlan plan;
  std::optional<CalibrationSummary> summary;  // of a job that calibrated and was to summarize: statistics.json
  int64_t calibration_images = 0;             // as many as were really used
  double calibration_seconds = 0;
  std::vector<std::string> notes;   // about the job itself; plan.notes has those about the network
  std::vector<RepairStep> repairs;  // what was done to `prepared`, in order
  double repair_seconds = 0;
  std::optional<EvalReport> float_eval;
  std::optional<EvalReport> quantized_eval;
};

Result<QuantizeResult> quantize_network(const Graph& graph, const SelectiveQuantizer& quantizer,
                                        const QuantizeJob& job);

}  // namespace octet
