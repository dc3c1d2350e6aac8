// octet search: the best quantized network under a budget.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <map>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/job_data.h"
#include "cli/network_file.h"
#include "cli/report_json.h"
#include "octet/recipe.h"
#include "octet/report.h"
#include "octet/search.h"
#include "onnx/save.h"
#include "pipeline/image_runner.h"

namespace octet::cli {
namespace {

struct Options {
  std::string model, data, eval_data, recipe, output;
  std::vector<std::string> targets, skip;
  int64_t images = 0, eval_images = 0, trials = 48;
  double max_drop = 0.5, min_sqnr = 20, max_latency = 0, time = 0, seconds = 1;
  uint64_t seed = 0;
  bool no_timing = false, report = false;
};

const std::map<std::string, SearchTarget> kGoals = {
    {"latency", SearchTarget::kLatency}, {"size", SearchTarget::kSize}, {"energy-proxy", SearchTarget::kEnergyProxy}};

// --target names what to make small, and the runtime; the two have no name in common.
Status read_targets(const Options& o, SearchJob* job, QuantizationOptions* base) {
  for (const std::string& name : o.targets) {
    const auto goal = kGoals.find(name);
    if (goal != kGoals.end()) job->target = goal->second;
    else base->target = name;
  }
  // Size alone asks for no times, and without them every run gives the same answer.
  job->timing = !o.no_timing && (job->target == SearchTarget::kLatency || o.max_latency > 0);
  if (o.max_latency > 0 && o.no_timing) return invalid_argument("--max-latency needs times; leave --no-timing away");
  if (o.max_latency > 0) job->max_latency_ms = o.max_latency;
  return Status::ok();
}

std::string milliseconds(double ms) { return ms > 0 ? fmt::format("{:.3f}", ms) : ""; }

std::string ratio_text(double a, double b) { return a > 0 && b > 0 ? fmt::format("{:.2f}", a / b) : ""; }

std::string score_text(double score) { return std::isinf(score) ? "equal" : fmt::format("{:.2f}", score); }

void print_front(const SearchResult& r) {
  Table table({"front", r.score_name, "ms", "size", "float layers", "holds"});
  for (const SearchTrial& t : r.trials)
    if (t.on_front)
      table.add({shorten(t.name, 60), score_text(t.score), milliseconds(t.latency_ms), human_bytes(t.bytes),
                 std::to_string(t.float_layers), t.holds ? "yes" : "no"});
  fmt::print("{}\n", table.to_string());
}

void print_landmarks(const SearchResult& r) {
  Table table({"network", r.score_name, "size", "ms", "of float", "<recipe"});
  table.add({"float", r.float_score > 0 ? score_text(r.float_score) : "", human_bytes(r.float_bytes),
             milliseconds(r.float_latency_ms), r.float_latency_ms > 0 ? "1.00" : "", ""});
  const auto add = [&](const char* name, const std::optional<size_t>& index) {
    if (!index) return;
    const SearchTrial& t = r.trials[*index];
    table.add({name, score_text(t.score), human_bytes(t.bytes), milliseconds(t.latency_ms),
               ratio_text(t.latency_ms, r.float_latency_ms), shorten(t.name, 70)});
  };
  add("naive", r.naive);
  add("best single calibrator", r.best_single);
  add("selective", r.selective);
  add("search", r.best);
  fmt::print("{}", table.to_string());
}

void print_result(const SearchResult& r, const Options& o, double seconds) {
  print_front(r);
  print_landmarks(r);
  size_t complete = 0;
  for (const SearchTrial& t : r.trials) complete += t.images == r.images ? 1 : 0;
  fmt::print("{} trials, {} of them on all {} images, in {:.0f} s\n", r.trials.size(), complete, r.images, seconds);
  for (const std::string& n : r.notes) fmt::print("note: {}\n", n);
  if (r.holds) {
    fmt::print("the budget holds");
  } else {
    fmt::print("the budget does NOT hold; this is the best that was found\n");
    for (const std::string& a : r.advice) fmt::print("try: {}\n", a);
  }
  fmt::print("{}wrote {}/recipe.yaml, model_int8.onnx, ranges.json, plan.json, run.json, search.json{}\n",
             r.holds ? "; " : "", o.output, o.report ? ", report.html" : "");
}

// run.json as 'octet quantize' writes it, with both accuracies measured once more on the files' networks.
Result<QuantizeSummary> summarize(const Options& o, const Graph& graph, const SearchResult& r, const JobData& data,
                                  const SearchJob& job) {
  QuantizeSummary s;
  s.model = o.model;
  s.output_folder = o.output;
  s.data = o.data;
  s.eval_data = data.eval_name;
  s.recipe = o.output + "/recipe.yaml";
  s.regime = regime_name(r.chosen.plan.regime);
  s.target = r.chosen.plan.target;
  s.calibration_images = r.chosen.calibration_images;
  s.calibration_seconds = r.chosen.calibration_seconds;
  if (data.evaluation) {
    EvalOptions eval = job.eval;
    eval.run = job.run;
    OCTET_ASSIGN(s.float_eval, evaluate(graph, *data.evaluation, eval));
    OCTET_ASSIGN(s.quantized_eval, evaluate(r.chosen.quantized, *data.evaluation, eval));
    if (!s.float_eval->predictions.empty())
      s.agreement = agreement(s.float_eval->predictions, s.quantized_eval->predictions);
  }
  for (const NodePlan& n : r.chosen.plan.nodes) ++s.decisions[node_decision_name(n.decision)];
  s.warnings = r.chosen.plan.warnings;
  for (const auto* list : {&data.notes, &r.notes, &r.chosen.notes, &r.chosen.plan.notes})
    s.notes = merged(std::move(s.notes), *list);
  s.peak_memory_bytes = peak_memory_bytes();
  return s;
}

Status save(const Options& o, const SearchResult& r) {
  PendingFiles files;
  OCTET_RETURN_IF_ERROR(stage_onnx(r.chosen.quantized, o.output + "/model_int8.onnx", &files));
  OCTET_RETURN_IF_ERROR(files.add(o.output + "/ranges.json", ranges_to_json(r.chosen.ranges)));
  OCTET_RETURN_IF_ERROR(files.add(o.output + "/plan.json", plan_to_json(r.chosen.plan)));
  OCTET_RETURN_IF_ERROR(files.add(o.output + "/recipe.yaml", recipe_to_yaml(r.trials[r.best].options)));
  OCTET_RETURN_IF_ERROR(files.add(o.output + "/search.json", search_to_json(r)));
  return files.commit();
}

Result<int> run(const Options& o, Common& common) {
  const auto begin = std::chrono::steady_clock::now();
  OCTET_ASSIGN(const Graph graph, load_network(o.model));
  QuantizationOptions base;
  if (!o.recipe.empty()) {
    OCTET_ASSIGN(base, load_recipe(o.recipe));
  }
  base.skip_modules.insert(base.skip_modules.end(), o.skip.begin(), o.skip.end());
  OCTET_ASSIGN(const JobData data, open_job_data(o.data, o.eval_data, false, graph));
  SearchJob job;
  OCTET_RETURN_IF_ERROR(read_targets(o, &job, &base));
  OCTET_RETURN_IF_ERROR(make_directories(o.output));
  job.calibration = data.calibration.get();
  job.evaluation = data.evaluation.get();
  job.images = o.images;
  job.max_drop = o.max_drop;
  job.min_sqnr_db = o.min_sqnr;
  job.timing_threads = resolve_threads(common.threads);
  job.timing_seconds = o.seconds;
  job.trials = o.trials;
  job.seconds = o.time;
  job.seed = o.seed;
  job.eval.max_images = o.eval_images;
  job.eval.detection = data.spec.detection;
  job.run = run_options(common);
  job.folder = o.output;
  OCTET_ASSIGN(const SearchResult result, search_recipe(graph, base, job));
  OCTET_RETURN_IF_ERROR(save(o, result));
  OCTET_ASSIGN(QuantizeSummary summary, summarize(o, graph, result, data, job));
  OCTET_RETURN_IF_ERROR(measure_files(&summary));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  summary.total_seconds = seconds;
  OCTET_RETURN_IF_ERROR(write_file_atomically(o.output + "/run.json", quantize_json(summary) + "\n"));
  if (o.report) OCTET_RETURN_IF_ERROR(write_report(o.output));
  if (common.json) fmt::print("{}", search_to_json(result));
  else print_result(result, o, seconds);
  if (!result.holds) fmt::print(stderr, "octet: no network was found that keeps the budget\n");
  return static_cast<int>(result.holds ? kSuccess : kBudgetMissed);
}

}  // namespace

void add_search(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("search", "Find the best quantized network under a budget");
  cmd->add_option("MODEL", o->model, "float ONNX network")->required();
  cmd->add_option("-o,--output", o->output, "folder for the results; a run that was interrupted goes on there")
      ->required();
  cmd->add_option("--data", o->data, "images for calibration, and for accuracy when labelled")->required();
  cmd->add_option("--eval-data", o->eval_data, "labelled data for accuracy, when it is not --data");
  cmd->add_option("--max-drop", o->max_drop, "points of accuracy that may be lost")->check(CLI::NonNegativeNumber);
  cmd->add_option("--min-sqnr", o->min_sqnr, "the budget without labels and class scores: dB of the outputs");
  cmd->add_option("--max-latency", o->max_latency, "milliseconds for one image in the engine; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--target", o->targets,
                  "what to make small: latency (default), size or energy-proxy; and the runtime: octet (default), "
                  "onnxruntime, openvino, tensorrt or a file (repeatable)")
      ->take_all();
  cmd->add_option("--recipe", o->recipe, "what every candidate keeps: target, skips, rules");
  cmd->add_option("--skip", o->skip, "keep the nodes with this name or glob in float (repeatable)");
  cmd->add_option("--images", o->images, "calibration images; 0: what the recipe says")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--eval-images", o->eval_images, "judge by so many images only; 0: all")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--trials", o->trials, "networks that are tried, at most")->check(CLI::PositiveNumber);
  cmd->add_option("--time", o->time, "seconds after which no new one is begun; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--seed", o->seed, "which images the early rounds see; 0: the first ones");
  cmd->add_option("--seconds", o->seconds, "for the timing of one candidate")->check(CLI::Range(0.0, 3600.0));
  cmd->add_flag("--report", o->report, "also make report.html in the output folder");
  cmd->add_flag("--no-timing", o->no_timing, "measure no latency; the same answer on every machine");
  cmd->footer(
      "Exit code 0: the budget holds; 10: it does not, and the best network found is there all the same.\n"
      "Examples:\n"
      "  octet search resnet20.onnx --data cifar10:cifar --max-drop 0.2 -o out\n"
      "  octet search yolox.onnx --data coco.yaml --target onnxruntime --max-latency 12 -o out\n"
      "  octet search net.onnx --data folder:images --target size --target openvino -o out");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Result<int> code = run(*o, *common);
    common->exit = code.is_ok() ? *code : finish(*common, code.status());
  });
}

}  // namespace octet::cli
