// JSON documents of the commands, in one place so that their keys stay the same everywhere.
#pragma once

#include <string>

#include "octet/pipeline.h"
#include "octet/train.h"

namespace octet::cli {

std::string eval_json(const std::string& model, const EvalReport& report);
// Sentences about NaN and infinities that an evaluation met; `network` begins the one about its results.
std::vector<std::string> nonfinite_notes(const EvalReport& report, const std::string& network);
// What EvalReport::score() and second_score() are called, for the heads of tables: "top-1 %" and "top-5 %".
struct ScoreNames {
  const char *first, *second;
};
ScoreNames score_names(const std::optional<EvalReport>& report);
std::string compare_json(const std::string& a, const std::string& b, const CompareReport& report);

// What `octet quantize` measured: run.json, and its --json output.
struct QuantizeSummary {
  std::string model, output_folder, data, eval_data, recipe, regime, target;
  int64_t float_bytes = 0, quantized_bytes = 0;
  int64_t calibration_images = 0;
  double calibration_seconds = 0, total_seconds = 0;
  int64_t peak_memory_bytes = 0;
  std::optional<EvalReport> float_eval, quantized_eval;
  std::optional<double> agreement;
  std::map<std::string, int64_t> decisions;  // node decision -> number of nodes
  std::vector<QuantizationWarning> warnings;
  std::vector<std::string> notes;
  // Of `octet qat`, whose quantized_eval is the fine-tuned network's.
  std::optional<EvalReport> ptq_eval;
  std::vector<RecipeChange> recipe_changes;
  std::vector<EpochRecord> epochs;
  int best_epoch = 0;
};
std::string quantize_json(const QuantizeSummary& summary);

// What `octet train` did: run.json, and its --json output.
struct TrainSummary {
  std::string recipe, network, output_folder, device;
  int64_t parameters = 0;  // trained numbers, running statistics left out
  std::vector<EpochRecord> epochs;
  int best_epoch = 0;
  std::string score_name;
  std::optional<EvalReport> eval;  // of model.onnx, by the float executor
  double total_seconds = 0;
  std::vector<std::string> notes;
};
std::string train_json(const TrainSummary& summary);

// Peak resident memory of this process.
int64_t peak_memory_bytes();

}  // namespace octet::cli
