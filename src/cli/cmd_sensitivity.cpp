// octet sensitivity: which layers hurt when they are quantized, and what each costs.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/job_data.h"
#include "cli/network_file.h"
#include "octet/recipe.h"
#include "octet/report.h"
#include "octet/sensitivity.h"
#include "pipeline/image_runner.h"

namespace octet::cli {
namespace {

struct Options {
  std::string model, data, eval_data, recipe, regime, target, ranges, output, exact = "0";
  int64_t images = 0, score_images = 32, eval_images = 0;
  double seconds = 3;
  bool no_timing = false, report = false, fisher = false;
  size_t rows = 40;
};

// Without a recipe every layer that the target can run in integers is looked at, with the ranges that suit it best.
Result<QuantizationOptions> read_options(const Options& o) {
  QuantizationOptions q;
  q.regime = Regime::kHybrid;
  q.calibrator_i = "auto";
  if (!o.recipe.empty()) {
    OCTET_ASSIGN(q, load_recipe(o.recipe));
  }
  if (o.regime == "naive") q.regime = Regime::kNaive;
  if (o.regime == "hybrid") q.regime = Regime::kHybrid;
  if (o.regime == "selective") q.regime = Regime::kSelective;
  if (!o.target.empty()) q.target = o.target;
  return q;
}

Result<int64_t> read_exact(const std::string& text) {
  if (text == "all") return -1;
  int64_t n = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code == std::errc() && end == text.data() + text.size() && n >= 0) return n;
  return invalid_argument("--exact takes a number of layers, or all; not '" + text + "'");
}

std::string decimals(const std::optional<double>& value, int digits = 2) {
  return !value ? "" : std::isinf(*value) ? "equal" : fmt::format("{:.{}f}", *value, digits);
}

std::string signed_change(const std::optional<double>& value, const std::optional<double>& from) {
  return value && from ? fmt::format("{:+.2f}", *value - *from) : decimals(value);
}

std::string microseconds(double us) { return us > 0 ? fmt::format("{:.3f}", us / 1000) : ""; }

void print_report(const SensitivityReport& r, const Options& o) {
  const bool kl = !r.layers.empty() && r.layers[0].kl, fisher = !r.layers.empty() && r.layers[0].fisher;
  std::vector<std::string> header = {"layer", "<op", "outputs dB"};
  if (kl) header.emplace_back("KL");
  if (fisher) header.emplace_back("Fisher");
  if (r.exact_images > 0) header.insert(header.end(), {"alone", "all but it"});
  if (r.int8_us > 0) header.insert(header.end(), {"INT8 ms", "float ms"});
  header.emplace_back("<weights");
  Table table(header);
  for (const LayerSensitivity& l : r.layers) {
    if (o.rows != 0 && table.size() >= o.rows) break;
    std::vector<std::string> row = {shorten(l.node, 44), l.op_type, decimals(l.output_sqnr_db, 1)};
    if (kl) row.push_back(l.kl ? fmt::format("{:.3g}", *l.kl) : "");
    if (fisher) row.push_back(l.fisher ? fmt::format("{:.3g}", *l.fisher) : "");
    if (r.exact_images > 0) {
      row.push_back(signed_change(l.alone, r.float_score));
      row.push_back(signed_change(l.without, r.quantized_score));
    }
    if (r.int8_us > 0) row.insert(row.end(), {microseconds(l.int8_us), microseconds(l.float_us)});
    row.push_back(l.weight_count > 0 ? human_count(l.weight_count) : "");
    table.add(std::move(row));
  }
  fmt::print("{}", table.to_string());
  if (table.size() < r.layers.size())
    fmt::print("... {} more layers in sensitivity.json; --rows 0 shows all\n", r.layers.size() - table.size());
}

void print_summary(const SensitivityReport& r, const Options& o) {
  fmt::print("\nworst first; outputs dB{} of {} images when only that layer is quantized\n",
             r.layers[0].kl ? " and KL" : "", r.score_images);
  if (r.exact_images > 0) {
    fmt::print(
        "{} of {} images: {}all quantized {}; 'alone' is the change from float when only that layer is "
        "quantized, 'all but it' the change from all quantized when it stays in float\n",
        r.score_name, r.exact_images, r.float_score ? fmt::format("float {:.2f}, ", *r.float_score) : "",
        decimals(r.quantized_score));
  }
  if (r.int8_us > 0) fmt::print("the whole network takes {:.3f} ms in the engine\n", r.int8_us / 1000);
  if (!r.float_nodes.empty())
    fmt::print("note: {} layers stay in float by the recipe and were not measured\n", r.float_nodes.size());
  for (const std::string& n : r.notes) fmt::print("note: {}\n", n);
  if (r.resumed > 0) fmt::print("note: {} figures were there from an earlier run in '{}'\n", r.resumed, o.output);
  fmt::print("\nfor a recipe:\n{}", skip_block(outstanding_layers(r)));
  fmt::print("wrote {0}/sensitivity.json, {0}/recipe.yaml, {0}/ranges.json{1}\n", o.output,
             o.report ? ", report.html" : "");
}

// The recipe that was measured, with the layers that stand out in float.
std::string recipe_of(const QuantizationOptions& options, const SensitivityReport& r) {
  QuantizationOptions q = options;
  if (q.regime == Regime::kNaive) q.regime = Regime::kHybrid;
  for (const LayerSensitivity* l : outstanding_layers(r))
    q.skip_modules.insert(q.skip_modules.end(), l->skip.begin(), l->skip.end());
  return recipe_to_yaml(q);
}

Result<int> run(const Options& o, Common& common) {
  OCTET_ASSIGN(const Graph graph, load_network(o.model));
  OCTET_ASSIGN(const QuantizationOptions options, read_options(o));
  OCTET_ASSIGN(JobData data, open_job_data(o.data, o.eval_data, false, graph));
  OCTET_RETURN_IF_ERROR(make_directories(o.output));
  SensitivityJob job;
  job.quantize.calibration = data.calibration.get();
  job.quantize.images = o.images;
  job.quantize.eval.detection = data.spec.detection;
  job.evaluation = data.evaluation.get();
  job.score_images = o.score_images;
  job.exact_images = o.eval_images;
  job.timing = !o.no_timing;
  job.timing_seconds = o.seconds;
  job.timing_threads = resolve_threads(common.threads);
  job.folder = o.output;
  job.run = run_options(common);
  OCTET_ASSIGN(job.exact, read_exact(o.exact));
  if (o.fisher && !common.fisher)
    return unsupported("--fisher needs LibTorch, and this program was built without; leave it away");
  if (o.fisher) job.fisher = common.fisher(*data.calibration, o.score_images, common);
  if (!o.ranges.empty()) {
    OCTET_ASSIGN(job.quantize.ranges, load_ranges(o.ranges));
  }
  OCTET_ASSIGN(SensitivityReport report, measure_sensitivity(graph, SelectiveQuantizer(options), job));
  if (job.evaluation == nullptr && job.exact != 0)
    report.notes.push_back("the data has no labels: the scores are of " + report.score_name);
  PendingFiles files;
  OCTET_RETURN_IF_ERROR(files.add(o.output + "/sensitivity.json", sensitivity_to_json(report)));
  OCTET_RETURN_IF_ERROR(files.add(o.output + "/recipe.yaml", recipe_of(options, report)));
  OCTET_RETURN_IF_ERROR(files.add(o.output + "/ranges.json", ranges_to_json(report.ranges)));
  OCTET_RETURN_IF_ERROR(files.commit());
  if (o.report) OCTET_RETURN_IF_ERROR(write_report(o.output));
  if (common.json) {
    fmt::print("{}", sensitivity_to_json(report));
    return static_cast<int>(kSuccess);
  }
  print_report(report, o);
  print_summary(report, o);
  return static_cast<int>(kSuccess);
}

}  // namespace

void add_sensitivity(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("sensitivity", "Measure which layers hurt when they are quantized");
  cmd->add_option("MODEL", o->model, "float ONNX network")->required();
  cmd->add_option("-o,--output", o->output, "folder for the results; a run that was interrupted goes on there")
      ->required();
  cmd->add_option("--data", o->data, "calibration data")->required();
  cmd->add_option("--eval-data", o->eval_data, "data of the exact scores, when it is not --data");
  cmd->add_option("--recipe", o->recipe,
                  "recipe whose layers are measured; default: all that the target can run in integers");
  cmd->add_option("--regime", o->regime, "naive, hybrid or selective")
      ->check(CLI::IsMember({"naive", "hybrid", "selective"}));
  cmd->add_option("--target", o->target, "octet, onnxruntime, openvino, tensorrt or a file");
  cmd->add_option("--ranges", o->ranges, "use this ranges.json instead of calibrating");
  cmd->add_option("--images", o->images, "calibration images; 0: what the recipe says")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--score-images", o->score_images, "images of the sweep over all layers")
      ->check(CLI::PositiveNumber);
  cmd->add_option(
      "--exact", o->exact,
      "accuracy with only the layer, and with all but the layer quantized: for so many of the worst, or all");
  cmd->add_option("--eval-images", o->eval_images, "images of the exact scores; 0: all")
      ->check(CLI::NonNegativeNumber);
  cmd->add_flag("--report", o->report, "also make report.html in the output folder");
  cmd->add_flag("--no-timing", o->no_timing, "do not time the layers in the engine");
  cmd->add_option("--seconds", o->seconds, "upper bound for the timing")->check(CLI::Range(0.0, 3600.0));
  cmd->add_flag("--fisher", o->fisher, "score by gradients, too (needs LibTorch)");
  cmd->add_option("--rows", o->rows, "rows of the table; 0: all");
  cmd->footer("Example: octet sensitivity resnet20.onnx --data cifar10:cifar --exact 5 -o out");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Result<int> code = run(*o, *common);
    common->exit = code.is_ok() ? *code : finish(*common, code.status());
  });
}

}  // namespace octet::cli
