#include "cli/job_data.h"

#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "octet/onnx.h"

namespace octet::cli {
namespace {

// What `own` leaves open, group by group: the geometry, and the numbers of the pixels, mean something together only.
void inherit(const Preprocess& from, Preprocess* own) {
  const bool placed = own->resize || own->width || own->height || own->size || own->interpolation || own->fill ||
                      own->crop_width || own->crop_height;
  if (!placed) {
    own->resize = from.resize;
    own->width = from.width;
    own->height = from.height;
    own->size = from.size;
    own->interpolation = from.interpolation;
    own->fill = from.fill;
    own->crop_width = from.crop_width;
    own->crop_height = from.crop_height;
  }
  if (!own->scale && own->mean.empty() && own->std.empty()) {
    own->scale = from.scale;
    own->mean = from.mean;
    own->std = from.std;
  }
  if (!own->order) own->order = from.order;
  if (!own->layout) own->layout = from.layout;
  if (own->dtype == DType::kUndefined) own->dtype = from.dtype;
}

// Data of the recipe's kind in another place: what the option leaves open is as the recipe has it.
Result<DataSpec> data_like(const std::string& option, const std::optional<DataSpec>& of_recipe) {
  OCTET_ASSIGN(DataSpec spec, load_data_spec(option));
  if (!of_recipe || of_recipe->kind != spec.kind) return spec;
  if (spec.split.empty()) spec.split = of_recipe->split;
  inherit(of_recipe->preprocess, &spec.preprocess);
  if (spec.detection.decoder == Decoder::kNone) spec.detection = of_recipe->detection;
  return spec;
}

Status open_calibration(const Graph& graph, JobData* d) {
  d->calibration_spec = d->spec;
  const bool free_split = d->spec.split.empty() && has_both_splits(d->spec);
  if (free_split) d->calibration_spec.split = "train";
  Result<std::unique_ptr<Dataset>> opened = open_data(d->calibration_spec, graph);
  if (free_split && !opened.is_ok() && opened.status().code() == StatusCode::kNotFound) {
    d->notes.push_back(
        "there is no training split, so the ranges come from the images that the accuracy is measured on");
    d->calibration_spec = d->spec;
    opened = open_data(d->spec, graph);
  }
  OCTET_RETURN_IF_ERROR(opened.status());
  d->calibration = std::move(opened).value();
  d->notes = merged(std::move(d->notes), d->calibration->notes());
  return Status::ok();
}

Status open_evaluation(const DataSpec& spec, const Graph& graph, JobData* d) {
  d->evaluation_spec = spec;
  OCTET_ASSIGN(d->evaluation, open_data(spec, graph));
  d->notes = merged(std::move(d->notes), d->evaluation->notes());
  if (d->evaluation->has_labels() || d->evaluation->has_boxes() || d->evaluation->has_masks()) return Status::ok();
  d->evaluation = nullptr;
  d->notes.push_back(
      "the data has no labels, so no accuracy was measured; 'octet compare' shows how close the two networks are");
  return Status::ok();
}

}  // namespace

bool has_both_splits(const DataSpec& spec) {
  return (spec.kind == DataKind::kIdx || spec.kind == DataKind::kCifar10) && std::filesystem::is_directory(spec.path);
}

Status replace_data(const std::string& data, const std::string& evaluation, TrainingRecipe* recipe) {
  std::optional<DataSpec>&train = recipe->train_data, &val = recipe->val_data;
  std::optional<DataSpec> like = val ? val : train;  // what evaluation data leaves open
  if (!val && like) like->split.clear();
  if (!data.empty()) {
    OCTET_ASSIGN(train, data_like(data, train));
    if (val && val->kind != train->kind) val.reset();
    if (val && has_both_splits(*train)) {
      const std::string split = val->split;
      OCTET_ASSIGN(val, data_like(data, val));
      val->split = split;
    }
  }
  if (!evaluation.empty()) {
    OCTET_ASSIGN(val, data_like(evaluation, like));
  }
  return Status::ok();
}

std::vector<std::string> merged(std::vector<std::string> notes, const std::vector<std::string>& more) {
  for (const std::string& note : more)
    if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
  return notes;
}

Result<JobData> open_job_data(const std::string& data, const std::string& eval_data, bool no_eval,
                              const Graph& graph) {
  JobData d;
  if (!data.empty()) {
    OCTET_ASSIGN(d.spec, load_data_spec(data));
    OCTET_RETURN_IF_ERROR(open_calibration(graph, &d));
  }
  if (no_eval) return d;
  DataSpec evaluation = d.spec;
  d.eval_name = eval_data.empty() ? data : eval_data;
  if (!eval_data.empty()) {
    OCTET_ASSIGN(evaluation, load_data_spec(eval_data));
    d.spec.detection = evaluation.detection;
  }
  if (d.eval_name.empty()) return d;
  OCTET_RETURN_IF_ERROR(open_evaluation(evaluation, graph, &d));
  return d;
}

Result<JobData> open_job_data(const DataSpec& data, const std::optional<DataSpec>& eval_data, const Graph& graph) {
  JobData d;
  d.spec = data;
  OCTET_RETURN_IF_ERROR(open_calibration(graph, &d));
  const DataSpec& evaluation = eval_data ? *eval_data : data;
  d.eval_name = evaluation.source;
  d.spec.detection = evaluation.detection;
  OCTET_RETURN_IF_ERROR(open_evaluation(evaluation, graph, &d));
  return d;
}

Status measure_files(QuantizeSummary* s) {
  if (std::filesystem::is_regular_file(s->model)) {  // a pipe cannot be read again
    OCTET_ASSIGN(s->float_bytes, onnx_bytes(s->model));
  }
  OCTET_ASSIGN(s->quantized_bytes, onnx_bytes(s->output_folder + "/model_int8.onnx"));
  return Status::ok();
}

}  // namespace octet::cli
