// octet calib-check: are the calibration images enough, odd, or unlike the others?
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/job_data.h"
#include "cli/network_file.h"
#include "octet/calib_check.h"
#include "octet/recipe.h"

namespace octet::cli {
namespace {

struct Options {
  std::string model, data, eval_data, recipe, target;
  int64_t images = 0;
  double tolerance = 0.1, outlier_z = 6;
  uint64_t seed = 1;
  size_t rows = 10;
};

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

void print_convergence(const CalibCheckReport& r, double tolerance) {
  Table table({"images", "median change", "95 % below", "largest", "<tensor"});
  for (const ConvergencePoint& p : r.convergence)
    table.add({fmt::format("{} -> {}", p.images / 2, p.images), percent(p.median_change), percent(p.p95_change),
               percent(p.worst_change), shorten(p.worst_tensor, 44)});
  fmt::print("change of {} ranges when the images double\n{}", r.tensors, table.to_string());
  if (r.enough > 0)
    fmt::print("{} images are enough: from there on 95 % of the ranges change by at most {}\n", r.enough,
               percent(tolerance));
  else
    fmt::print(
        "{} images are NOT enough for ranges that stay within {}; give more, or a calibrator that ignores rare "
        "values (percentile, mse)\n",
        r.images, percent(tolerance));
}

void print_outliers(const CalibCheckReport& r, size_t rows, double z) {
  if (r.outliers.empty()) {
    fmt::print("\nno image has an activation more than {} robust deviations above the others'\n", z);
    return;
  }
  Table table({"image", "<name", "deviations", "largest value", "usual", "tensors", "<worst tensor"});
  for (const OutlierImage& o : r.outliers) {
    if (rows != 0 && table.size() >= rows) break;
    table.add({std::to_string(o.image), shorten(o.name, 32), fmt::format("{:.1f}", o.z),
               fmt::format("{:.4g}", o.amax), fmt::format("{:.4g}", o.typical), std::to_string(o.tensors),
               o.nonfinite ? "NaN or infinity" : shorten(o.tensor, 40)});
  }
  fmt::print("\nimages that stand out: {}\n{}", r.outliers.size(), table.to_string());
}

void print_drift(const CalibCheckReport& r, size_t rows) {
  if (!r.drift_measured) return;
  fmt::print(
      "\n{}: distance {:.4f} of {} calibration to {} evaluation images; {:.4f} is what calibration images "
      "reach among themselves\n",
      r.drifted ? "the evaluation images are UNLIKE the calibration images" : "no drift", r.distance, r.drift_images,
      r.drift_images, r.threshold);
  if (!r.drifted) return;
  Table table({"tensor", "distance", "threshold"});
  for (const TensorDrift& t : r.drift) {
    if (t.distance <= t.threshold || (rows != 0 && table.size() >= rows)) break;
    table.add({shorten(t.tensor, 50), fmt::format("{:.4f}", t.distance), fmt::format("{:.4f}", t.threshold)});
  }
  fmt::print("{}", table.to_string());
}

Status run(const Options& o, const Common& common) {
  OCTET_ASSIGN(const Graph graph, load_network(o.model));
  QuantizationOptions options;
  if (!o.recipe.empty()) {
    OCTET_ASSIGN(options, load_recipe(o.recipe));
  }
  if (!o.target.empty()) options.target = o.target;
  OCTET_ASSIGN(const JobData data, open_job_data(o.data, "", true, graph));
  std::unique_ptr<Dataset> evaluation;
  if (!o.eval_data.empty()) {
    OCTET_ASSIGN(const DataSpec spec, load_data_spec(o.eval_data));
    OCTET_ASSIGN(evaluation, open_data(spec, graph));
  }
  CalibCheckJob job;
  job.calibration = data.calibration.get();
  job.evaluation = evaluation.get();
  job.images = o.images;
  job.tolerance = o.tolerance;
  job.outlier_z = o.outlier_z;
  job.seed = o.seed;
  job.run = run_options(common);
  OCTET_ASSIGN(CalibCheckReport report, check_calibration(graph, SelectiveQuantizer(options), job));
  report.notes = merged(data.notes, report.notes);
  if (common.json) {
    fmt::print("{}", calib_check_to_json(report));
    return Status::ok();
  }
  print_convergence(report, o.tolerance);
  print_outliers(report, o.rows, o.outlier_z);
  print_drift(report, o.rows);
  for (const std::string& n : report.notes) fmt::print("note: {}\n", n);
  return Status::ok();
}

}  // namespace

void add_calib_check(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd =
      app.add_subcommand("calib-check", "Check the calibration images: enough, odd ones, drift; needs no labels");
  cmd->add_option("MODEL", o->model, "float ONNX network")->required();
  cmd->add_option("--data", o->data, "calibration images")->required();
  cmd->add_option("--eval-data", o->eval_data, "images to compare them with");
  cmd->add_option("--recipe", o->recipe, "recipe with the calibrators that choose the ranges");
  cmd->add_option("--target", o->target, "octet, onnxruntime, openvino, tensorrt or a file");
  cmd->add_option("--images", o->images, "calibration images; 0: what the recipe says")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--tolerance", o->tolerance, "relative change of a range that does not matter")
      ->check(CLI::PositiveNumber);
  cmd->add_option("--outlier", o->outlier_z, "robust standard deviations that make an image odd")
      ->check(CLI::PositiveNumber);
  cmd->add_option("--seed", o->seed, "of the splits that the drift's threshold comes from");
  cmd->add_option("--rows", o->rows, "rows of each table; 0: all");
  cmd->footer("Example: octet calib-check net.onnx --data folder:calibration --eval-data folder:field");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Status status = run(*o, *common);
    if (!status.is_ok()) common->exit = fail(status);
  });
}

}  // namespace octet::cli
