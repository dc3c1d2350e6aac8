// octet quantize: from a trained ONNX network and data to a proved INT8 network.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/job_data.h"
#include "cli/network_file.h"
#include "cli/report_json.h"
#include "octet/onnx.h"
#include "octet/recipe.h"
#include "onnx/save.h"

namespace octet::cli {
namespace {

struct Options {
  std::string model, data, eval_data, recipe, output, regime, target, ranges, plan, calibrator;
  std::vector<std::string> skip;
  int64_t images = 0, eval_images = 0;
  int batch_size = 0;
  bool no_eval = false;
  double max_drop = -1;
  double min_layer_sqnr = 20;
  size_t rows = 40;
};

Result<QuantizationOptions> read_recipe(const Options& o) {
  QuantizationOptions q;
  if (!o.recipe.empty()) {
    OCTET_ASSIGN(q, load_recipe(o.recipe));
  }
  if (o.regime == "naive") q.regime = Regime::kNaive;
  if (o.regime == "hybrid") q.regime = Regime::kHybrid;
  if (o.regime == "selective") q.regime = Regime::kSelective;
  if (!o.target.empty()) q.target = o.target;
  if (!o.calibrator.empty()) q.calibrator_i = o.calibrator;
  if (o.batch_size > 0) q.calib_batch_size = o.batch_size;
  return q;
}

std::string numbers_of(const QuantizationPlan& plan, const Graph& graph, const std::string& node_name, size_t input) {
  const Node* node = graph.find_node(node_name);
  if (node == nullptr || !node->has_input(input)) return "";
  for (const auto& [tensor, t] : plan.tensors) {
    for (const TensorReader& reader : t.readers) {
      if (reader.node != node_name || reader.input != static_cast<int>(input)) continue;
      std::string s = dtype_name(t.dtype);
      if (t.axis >= 0 && t.block_size == 0) s += "/channel";
      if (t.block_size > 0) s += fmt::format("/group {}", t.block_size);
      return s + " " + (t.role == TensorRole::kActivation && !t.calibrator.empty() ? t.calibrator : "");
    }
  }
  return "float";
}

void print_plan(const QuantizeResult& r, size_t rows) {
  Table table({"node", "<op", "<decision", "<input", "<weight", "<why"});
  for (const NodePlan& n : r.plan.nodes) {
    if (rows != 0 && table.size() >= rows) break;
    const bool weighted = n.decision == NodeDecision::kQuantized || n.decision == NodeDecision::kWeightOnly;
    table.add({shorten(n.name, 32), n.op_type, node_decision_name(n.decision),
               weighted ? numbers_of(r.plan, r.prepared, n.name, 0) : "",
               weighted ? numbers_of(r.plan, r.prepared, n.name, 1) : "", shorten(n.why, 90)});
  }
  fmt::print("{}", table.to_string());
  if (table.size() < r.plan.nodes.size())
    fmt::print("... {} more nodes in plan.json; --rows 0 shows all\n", r.plan.nodes.size() - table.size());
}

void print_accuracy(const QuantizeSummary& s) {
  const ScoreNames names = score_names(s.float_eval);
  Table table({"network", "size", names.first, names.second, "95 % interval", "images/s"});
  const auto add = [&](const std::string& name, int64_t bytes, const std::optional<EvalReport>& e) {
    if (!e) {
      table.add({name, human_bytes(bytes), "", "", "", ""});
      return;
    }
    const bool classes = e->task == "classification";
    table.add({name, human_bytes(bytes), fmt::format("{:.2f}", e->score()), fmt::format("{:.2f}", e->second_score()),
               classes ? fmt::format("{:.2f}..{:.2f}", e->top1_low, e->top1_high) : "",
               fmt::format("{:.0f}", e->seconds > 0 ? static_cast<double>(e->count) / e->seconds : 0)});
  };
  add("float", s.float_bytes, s.float_eval);
  add("int8 " + s.regime, s.quantized_bytes, s.quantized_eval);
  fmt::print("\n{}", table.to_string());
  if (s.float_eval && s.quantized_eval)
    fmt::print("change {:+.2f} points on {} images", s.quantized_eval->score() - s.float_eval->score(),
               s.quantized_eval->count);
  if (s.agreement) fmt::print(", equal predictions {:.2f} %", *s.agreement);
  fmt::print("{}file {:.2f}x smaller\n", s.float_eval ? "; " : "",
             static_cast<double>(s.float_bytes) / static_cast<double>(std::max<int64_t>(1, s.quantized_bytes)));
}

void print_report(const Options& o, const QuantizeResult& r, const QuantizeSummary& s) {
  print_plan(r, o.rows);
  std::string counts;
  for (const auto& [decision, n] : s.decisions)
    counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", n, decision);
  fmt::print("\nnodes: {}\n", counts);
  for (const QuantizationWarning& w : s.warnings) fmt::print("note: {}\n", w.message);
  for (const std::string& n : s.notes) fmt::print("note: {}\n", n);
  if (s.calibration_images > 0)
    fmt::print("calibrated on {} images in {:.1f} s; whole job {:.1f} s, peak memory {}\n", s.calibration_images,
               s.calibration_seconds, s.total_seconds, human_bytes(s.peak_memory_bytes));
  print_accuracy(s);
  fmt::print("wrote {0}/model_int8.onnx, {0}/plan.json{1}, {0}/run.json\n", o.output,
             o.plan.empty() ? fmt::format(", {}/ranges.json", o.output) : "");
}

// The files of a finished quantization appear together, before its accuracy is measured.
Status save_all(const QuantizeResult& r, QuantizeSummary summary, bool from_plan) {
  const std::string& folder = summary.output_folder;
  PendingFiles files;
  OCTET_RETURN_IF_ERROR(stage_onnx(r.quantized, folder + "/model_int8.onnx", &files));
  if (!from_plan) OCTET_RETURN_IF_ERROR(files.add(folder + "/ranges.json", ranges_to_json(r.ranges)));
  OCTET_RETURN_IF_ERROR(files.add(folder + "/plan.json", plan_to_json(r.plan)));
  summary.notes.emplace_back(
      "the job did not get to its end: this document was written before the accuracy was measured");
  OCTET_RETURN_IF_ERROR(files.add(folder + "/run.json", quantize_json(summary) + "\n"));
  return files.commit();
}

QuantizeSummary summarize(const Options& o, const QuantizationOptions& q, const JobData& data,
                          const QuantizeResult& r) {
  QuantizeSummary s;
  s.model = o.model;
  s.output_folder = o.output;
  s.data = o.data;
  s.eval_data = o.eval_data.empty() ? o.data : o.eval_data;
  s.recipe = o.recipe;
  s.regime = regime_name(o.plan.empty() ? q.regime : r.plan.regime);
  s.target = o.plan.empty() ? q.target : r.plan.target;
  s.calibration_images = r.calibration_images;
  s.calibration_seconds = r.calibration_seconds;
  s.float_eval = r.float_eval;
  s.quantized_eval = r.quantized_eval;
  if (r.float_eval && r.quantized_eval && !r.float_eval->predictions.empty())
    s.agreement = agreement(r.float_eval->predictions, r.quantized_eval->predictions);
  for (const NodePlan& n : r.plan.nodes) ++s.decisions[node_decision_name(n.decision)];
  s.warnings = r.plan.warnings;
  s.warnings.insert(s.warnings.end(), r.ranges.warnings.begin(), r.ranges.warnings.end());
  for (const auto* list : {&data.notes, &q.notes, &r.notes, &r.plan.notes})
    s.notes = merged(std::move(s.notes), *list);
  if (r.float_eval) s.notes = merged(std::move(s.notes), nonfinite_notes(*r.float_eval, "the float network"));
  if (r.quantized_eval)
    s.notes = merged(std::move(s.notes), nonfinite_notes(*r.quantized_eval, "the quantized network"));
  s.peak_memory_bytes = peak_memory_bytes();
  return s;
}

// What a plan leaves nothing to say about.
Status refuse_beside_plan(const Options& o) {
  if (o.plan.empty()) return Status::ok();
  const std::pair<const char*, bool> others[] = {
      {"--recipe", !o.recipe.empty()}, {"--regime", !o.regime.empty()},
      {"--target", !o.target.empty()}, {"--calibrator", !o.calibrator.empty()},
      {"--skip", !o.skip.empty()},     {"--ranges", !o.ranges.empty()},
      {"--images", o.images > 0},      {"--batch-size", o.batch_size > 0}};
  for (const auto& [name, given] : others)
    if (given)
      return invalid_argument(std::string("--plan uses the plan to the letter, so ") + name +
                              " would have no effect; leave one of the two away");
  return Status::ok();
}

// Calibration is what --ranges replaces.
Status refuse_beside_ranges(const Options& o) {
  if (o.ranges.empty() || (o.images == 0 && o.batch_size == 0 && o.calibrator.empty())) return Status::ok();
  return invalid_argument(std::string("--ranges replaces calibration, so ") +
                          (o.images > 0       ? "--images"
                           : o.batch_size > 0 ? "--batch-size"
                                              : "--calibrator") +
                          " would have no effect; leave one of the two away");
}

Result<int> run(const Options& o, Common& common) {
  const auto begin = std::chrono::steady_clock::now();
  std::string device = "cpu";
  OCTET_RETURN_IF_ERROR(join(common, &device));
  OCTET_RETURN_IF_ERROR(refuse_beside_plan(o));
  OCTET_RETURN_IF_ERROR(refuse_beside_ranges(o));
  OCTET_ASSIGN(const QuantizationOptions q, read_recipe(o));
  OCTET_ASSIGN(const Graph graph, load_network(o.model));
  SelectiveQuantizer quantizer(q);
  for (const std::string& pattern : o.skip) OCTET_RETURN_IF_ERROR(quantizer.register_skip_quantization(pattern));
  QuantizeJob job;
  OCTET_ASSIGN(const JobData data, open_job_data(o.data, o.eval_data, o.no_eval, graph));
  if (o.max_drop >= 0 && data.evaluation == nullptr)
    return invalid_argument("--max-drop needs labelled data to measure the accuracy on; give it with --eval-data");
  job.calibration = data.calibration.get();
  job.evaluation = data.evaluation.get();
  job.images = o.images;
  job.min_layer_sqnr_db = o.min_layer_sqnr;
  job.run = run_options(common);
  job.eval.run = job.run;
  job.eval.max_images = o.eval_images;
  job.eval.detection = data.spec.detection;
  if (!o.ranges.empty()) {
    OCTET_ASSIGN(job.ranges, load_ranges(o.ranges));
  }
  if (!o.plan.empty()) {
    OCTET_ASSIGN(job.plan, load_plan(o.plan));
  }
  if (common.is_first()) OCTET_RETURN_IF_ERROR(make_directories(o.output));  // before the long work, not after
  job.on_quantized = [&](const QuantizeResult& r) {
    return common.is_first() ? save_all(r, summarize(o, q, data, r), !o.plan.empty()) : Status::ok();
  };
  OCTET_ASSIGN(const QuantizeResult result, quantize_network(graph, quantizer, job));
  if (!common.is_first()) return static_cast<int>(kSuccess);
  QuantizeSummary summary = summarize(o, q, data, result);
  OCTET_RETURN_IF_ERROR(measure_files(&summary));
  summary.total_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  OCTET_RETURN_IF_ERROR(write_file_atomically(o.output + "/run.json", quantize_json(summary) + "\n"));
  if (common.json) fmt::print("{}\n", quantize_json(summary));
  else print_report(o, result, summary);
  if (o.max_drop < 0) return static_cast<int>(kSuccess);
  const double drop = summary.float_eval->score() - summary.quantized_eval->score();
  if (drop <= o.max_drop) return static_cast<int>(kSuccess);
  fmt::print(stderr, "octet: the network lost {:.2f} points, more than the {:.2f} that --max-drop allows\n", drop,
             o.max_drop);
  return static_cast<int>(kBudgetMissed);
}

}  // namespace

void add_quantize(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("quantize", "Quantize a float network to INT8 and measure what it costs");
  cmd->add_option("MODEL", o->model, "float ONNX file")->required();
  cmd->add_option("--data", o->data,
                  "images for calibration, and for accuracy when labelled: a YAML file or kind:PATH");
  cmd->add_option("--eval-data", o->eval_data, "labelled data for accuracy, when it is not --data");
  cmd->add_option("--recipe", o->recipe, "YAML recipe: regime, calibrators, rules (see recipes/)");
  cmd->add_option("--images", o->images, "calibration images; default 512")->check(CLI::NonNegativeNumber);
  cmd->add_option("--batch-size", o->batch_size, "images per calibration batch, where the recipe counts batches")
      ->check(CLI::Range(1, 65536));
  cmd->add_option("--eval-images", o->eval_images, "evaluate the first N images only; 0: all")
      ->check(CLI::NonNegativeNumber);
  cmd->add_flag("--no-eval", o->no_eval, "do not measure accuracy");
  cmd->add_option("-o,--output", o->output, "folder for model_int8.onnx, ranges.json, plan.json, run.json")
      ->required();
  cmd->add_option("--regime", o->regime, "naive, hybrid or selective; overrides the recipe")
      ->check(CLI::IsMember({"naive", "hybrid", "selective"}));
  cmd->add_option("--target", o->target,
                  "octet, onnxruntime, openvino, tensorrt, or a target file; overrides the recipe");
  cmd->add_option("--calibrator", o->calibrator,
                  "for activations: max, percentile, entropy, mse, auto; overrides the recipe")
      ->check(CLI::IsMember({"max", "percentile", "entropy", "mse", "auto", "histogram"}));
  cmd->add_option("--skip", o->skip, "keep the nodes with this name or glob in float (repeatable)");
  cmd->add_option("--ranges", o->ranges, "use this (edited) ranges.json instead of calibrating");
  cmd->add_option("--plan", o->plan,
                  "use this (edited) plan.json to the letter; goes with none of the options that decide");
  cmd->add_option("--min-layer-sqnr", o->min_layer_sqnr,
                  "selective: layers whose own quantization leaves less than so many dB stay in float; 0: off")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--max-drop", o->max_drop, "exit with 10 when accuracy falls by more points than this")
      ->check(CLI::NonNegativeNumber);
  cmd->add_option("--rows", o->rows, "rows of the node table; 0: all");
  cmd->footer(
      "cifar10 and idx folders calibrate on the training split and are evaluated on the test split.\n"
      "Examples:\n"
      "  octet quantize resnet20.onnx --data cifar10:cifar -o out\n"
      "  octet quantize yolox.onnx --data coco.yaml --target onnxruntime --max-drop 0.5 -o out\n"
      "  octet quantize net.onnx --ranges out/ranges.json --eval-data folder:val -o out2");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Result<int> code = run(*o, *common);
    common->exit = code.is_ok() ? *code : finish(*common, code.status());
  });
}

}  // namespace octet::cli
