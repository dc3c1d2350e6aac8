// The data of a quantization or fine-tuning job, as --data and --eval-data give it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/report_json.h"
#include "octet/data.h"
#include "octet/graph.h"
#include "octet/training_recipe.h"

namespace octet::cli {

// Both data sets of a job. Data kinds with a training split calibrate (and train) on it and are evaluated on the test
// split, unless the spec names one.
struct JobData {
  DataSpec spec;  // with the detection section that counts
  DataSpec calibration_spec, evaluation_spec;
  std::unique_ptr<Dataset> calibration, evaluation;
  std::string eval_name;
  std::vector<std::string> notes;
};

// Empty names leave the set out. Data without labels gives no evaluation, and a note.
Result<JobData> open_job_data(const std::string& data, const std::string& eval_data, bool no_eval,
                              const Graph& graph);

// The same from specs that a recipe holds.
Result<JobData> open_job_data(const DataSpec& data, const std::optional<DataSpec>& eval_data, const Graph& graph);

// --data and --eval-data (or --val-data) in place of what a training recipe has; an empty option changes nothing.
// Data of the recipe's kind is split and prepared as the recipe says, unless the option says so itself. --data alone
// takes the recipe's evaluation data along: to the same folder where both splits lie in one (idx, cifar10), and away
// when it is of another kind than --data.
Status replace_data(const std::string& data, const std::string& evaluation, TrainingRecipe* recipe);

// A folder that holds a training and a test split.
bool has_both_splits(const DataSpec& spec);

// `notes` and those of `more` that it lacks.
std::vector<std::string> merged(std::vector<std::string> notes, const std::vector<std::string>& more);

// Fills in the sizes of the float file and of model_int8.onnx, which must be there.
Status measure_files(QuantizeSummary* summary);

}  // namespace octet::cli
