#include "cli/report_json.h"

#include <sys/resource.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace octet::cli {
namespace {

using Json = nlohmann::ordered_json;

Json finite(double x) { return std::isfinite(x) ? Json(x) : Json(x > 0 ? "inf" : "-inf"); }

Json eval_object(const EvalReport& r) {
  Json j;
  j["task"] = r.task;
  j["arithmetic"] = r.arithmetic;
  j["count"] = r.count;
  if (r.task == "classification") {
    j["top1"] = r.top1;
    j["top5"] = r.top5;
    j["top1_interval_95"] = {r.top1_low, r.top1_high};
  }
  if (r.task == "detection") {
    j["map50"] = r.map50;
    j["map"] = r.map;
  }
  if (r.task == "segmentation") {
    j["miou"] = r.miou;
    j["pixel_accuracy"] = r.pixel_accuracy;
  }
  if (r.nonfinite_inputs > 0) j["nonfinite_inputs"] = r.nonfinite_inputs;
  if (r.nonfinite_outputs > 0) j["nonfinite_outputs"] = r.nonfinite_outputs;
  j["seconds"] = r.seconds;
  j["images_per_second"] = r.seconds > 0 ? static_cast<double>(r.count) / r.seconds : 0.0;
  return j;
}

Json epochs_array(const std::vector<EpochRecord>& epochs) {
  Json list = Json::array();
  for (const EpochRecord& e : epochs) {
    Json j = {{"epoch", e.epoch}, {"step", e.step}, {"lr", e.lr}, {"train_loss", e.train_loss}};
    if (e.val_loss) j["val_loss"] = *e.val_loss;
    if (e.val_top1) j["val_top1"] = *e.val_top1;
    if (e.val_top5) j["val_top5"] = *e.val_top5;
    if (e.val_map50) j["val_map50"] = *e.val_map50;
    if (e.val_map) j["val_map"] = *e.val_map;
    if (e.val_miou) j["val_miou"] = *e.val_miou;
    j["seconds"] = e.seconds;
    j["images_per_second"] = e.images_per_second;
    j["best"] = e.best;
    list.push_back(std::move(j));
  }
  return list;
}

}  // namespace

std::string eval_json(const std::string& model, const EvalReport& report) {
  Json j = eval_object(report);
  j["model"] = model;
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> nonfinite_notes(const EvalReport& report, const std::string& network) {
  std::vector<std::string> notes;
  const std::string of = " of " + std::to_string(report.count) + " images";
  if (report.nonfinite_inputs > 0)
    notes.push_back("the inputs" + (" of " + std::to_string(report.nonfinite_inputs)) + of +
                    " hold NaN or infinite values; check the data and its preprocessing");
  if (report.nonfinite_outputs > 0)
    notes.push_back(network + " gives NaN or infinite results for " + std::to_string(report.nonfinite_outputs) + of +
                    "; its accuracy means little");
  return notes;
}

ScoreNames score_names(const std::optional<EvalReport>& report) {
  const std::string task = report ? report->task : "";
  if (task == "detection") return {"mAP@0.5 %", "mAP@[.5:.95] %"};
  if (task == "segmentation") return {"mIoU %", "pixel accuracy %"};
  return {"top-1 %", "top-5 %"};
}

std::string compare_json(const std::string& a, const std::string& b, const CompareReport& report) {
  Json j;
  j["a"] = a;
  j["b"] = b;
  j["count"] = report.count;
  if (report.agreement) j["agreement"] = *report.agreement;
  j["tensors"] = Json::array();
  for (const TensorDifference& d : report.tensors) {
    Json t = {{"tensor", d.tensor},         {"op", d.op_type},
              {"output", d.is_output},      {"sqnr_db", finite(d.sqnr_db)},
              {"cosine", finite(d.cosine)}, {"max_abs", finite(d.max_abs)}};
    if (d.nonfinite > 0) t["nonfinite"] = d.nonfinite;
    j["tensors"].push_back(std::move(t));
  }
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string quantize_json(const QuantizeSummary& s) {
  Json j;
  j["model"] = s.model;
  j["output"] = s.output_folder;
  j["data"] = s.data;
  j["eval_data"] = s.eval_data;
  j["recipe"] = s.recipe;
  j["regime"] = s.regime;
  j["target"] = s.target;
  j["float_bytes"] = s.float_bytes;
  j["quantized_bytes"] = s.quantized_bytes;
  j["size_ratio"] =
      s.quantized_bytes > 0 ? static_cast<double>(s.float_bytes) / static_cast<double>(s.quantized_bytes) : 0.0;
  j["calibration_images"] = s.calibration_images;
  j["calibration_seconds"] = s.calibration_seconds;
  j["total_seconds"] = s.total_seconds;
  j["peak_memory_bytes"] = s.peak_memory_bytes;
  if (s.float_eval) j["float"] = eval_object(*s.float_eval);
  if (s.ptq_eval) j["ptq"] = eval_object(*s.ptq_eval);
  if (s.quantized_eval) j["quantized"] = eval_object(*s.quantized_eval);
  if (s.agreement) j["agreement"] = *s.agreement;
  j["decisions"] = s.decisions;
  j["warnings"] = Json::array();
  for (const QuantizationWarning& w : s.warnings)
    j["warnings"].push_back({{"node", w.node}, {"tensor", w.tensor}, {"message", w.message}});
  j["notes"] = s.notes;
  if (s.epochs.empty()) return j.dump(2, ' ', false, Json::error_handler_t::replace);
  j["recipe_changes"] = Json::array();
  for (const RecipeChange& c : s.recipe_changes)
    j["recipe_changes"].push_back({{"key", c.key}, {"before", c.before}, {"after", c.after}, {"why", c.why}});
  j["epochs"] = epochs_array(s.epochs);
  j["best_epoch"] = s.best_epoch;
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string train_json(const TrainSummary& s) {
  Json j;
  j["recipe"] = s.recipe;
  j["network"] = s.network;
  j["output"] = s.output_folder;
  j["device"] = s.device;
  j["parameters"] = s.parameters;
  j["epochs"] = epochs_array(s.epochs);
  j["best_epoch"] = s.best_epoch;
  j["best_by"] = s.score_name;
  if (s.eval) j["eval"] = eval_object(*s.eval);
  j["total_seconds"] = s.total_seconds;
  j["notes"] = s.notes;
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace octet::cli
