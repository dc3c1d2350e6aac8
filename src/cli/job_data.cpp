#include "cli/job_data.h"

#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "octet/onnx.h"

namespace octet::cli {
namespace {

Status open_calibration(const Graph& graph, JobData* d) {
  d->calibration_spec = d->spec;
  const bool has_splits = d->spec.kind == DataKind::kIdx || d->spec.kind == DataKind::kCifar10;
  const bool free_split = has_splits && d->spec.split.empty() && std::filesystem::is_directory(d->spec.path);
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
