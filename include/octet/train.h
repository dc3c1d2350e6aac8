// Training a network, and fine-tuning it for quantized arithmetic. Needs a build with LibTorch
// (Octet::training_loop).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octet/pipeline.h"
#include "octet/training_recipe.h"

namespace octet {

// Joins the other processes of the job that a launcher started, as it says in environment variables (docs/training.md
// lists them); a process alone has none. `device`: "cuda" becomes the GPU of this process. Give the result to
// RunOptions::processes. Errors: kInvalidArgument for variables that do not fit together, kIoError when the others do
// not come, kUnsupported when this build cannot.
Result<std::unique_ptr<Processes>> join_processes(std::string* device);

// What an epoch came to. Figures that were not measured are absent.
struct EpochRecord {
  int epoch = 0;     // from 1
  int64_t step = 0;  // batches since the beginning
  double lr = 0;     // of the last step
  double train_loss = 0;
  std::optional<double> val_loss, val_top1, val_top5;  // top1 and top5 in percent
  std::optional<double> val_map50, val_map, val_miou;  // mAP@0.5, mAP@[.5:.95], mean IoU; in percent
  double seconds = 0, images_per_second = 0;           // of training, without validation
  bool best = false;
};

struct TrainJob {
  const Graph* graph = nullptr;            // float; with a plan the graph that the plan was made for
  const QuantizationPlan* plan = nullptr;  // finished: fake quantization
  const Ranges* ranges = nullptr;          // of the plan
  const Graph* teacher = nullptr;          // float, with the same tensor names; for recipe.distillation
  TrainingRecipe recipe;                   // train_data must be given; max_epochs, seed, ... as they stand
  std::string device = "cpu";              // cpu, cuda or cuda:N
  // Gets checkpoint.bin, metrics.jsonl and event files; must exist. Empty: nothing is written, nothing can be
  // resumed.
  std::string folder;
  bool resume = false;  // from folder/checkpoint.bin; begins anew when there is none
  // Threads are LibTorch's, on the CPU. Processes share every batch, by rank in the same order of images, and come to
  // the losses and weights of one process but for the rounding of sums; the first one alone writes and reports.
  RunOptions run;
  std::function<void(const EpochRecord&)> on_epoch;
};

struct TrainResult {
  Graph graph;                           // the best weights
  std::optional<QuantizationPlan> plan;  // with a plan: its scales as they were trained
  std::optional<Ranges> ranges;
  std::vector<EpochRecord> epochs;  // earlier ones of a resumed run included
  int best_epoch = 0;               // 0: with a plan, no epoch was better than the start
  // What "best" means: "val_top1", "val_map50", "val_miou", "val_loss" or "train_loss".
  std::string score_name;
  std::vector<std::string> notes;
};

// Trains for recipe.max_epochs and returns the weights of the best epoch. On the CPU, with the same number of
// threads, the same job gives the same bytes, interrupted and resumed or not. Errors: kInvalidArgument for labels
// that the network has no class for, a checkpoint of another network or recipe; kUnsupported for a task, device or
// operator that cannot be trained; kCancelled after a checkpoint was written; a loss that is not finite, naming the
// first node with such a value.
Result<TrainResult> train_network(const TrainJob& job);

struct QatJob {
  QuantizeJob quantize;  // calibration and evaluation data, ranges or plan of an earlier run, eval options
  TrainJob train;        // recipe, device, folder, resume, run; graph, plan, ranges and teacher are filled in
  // Called once the calibrated network is there, before it is fine-tuned.
  std::function<void(const QuantizeResult&)> on_calibrated;
};

struct QatResult {
  QuantizeResult ptq;  // prepared graph, plan, ranges and accuracies before fine-tuning
  TrainResult trained;
  Graph quantized;                     // the Q/DQ network of the trained weights and ranges
  std::optional<EvalReport> qat_eval;  // in the engine's integers
};

// Post-training quantization, then fine-tuning from it.
Result<QatResult> quantization_aware_training(const Graph& graph, const SelectiveQuantizer& quantizer,
                                              const QatJob& job);

}  // namespace octet
