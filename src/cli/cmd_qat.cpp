// octet qat: quantization-aware training, from a float network to a better INT8 one.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/job_data.h"
#include "cli/network_file.h"
#include "cli/report_json.h"
#include "cli/training_output.h"
#include "octet/report.h"
#include "onnx/save.h"

namespace octet::cli {
namespace {

struct Options {
  std::string model, data, eval_data, recipe = "qat", output = "qat", device = "cpu", regime, target;
  bool distill = false, resume = false, report = false;
  int epochs = 0;
  int64_t images = 0;
};

// The recipe as it is trained: modified for fine-tuning unless it is meant for that already.
Result<ModifiedRecipe> read_recipe(const Options& o) {
  OCTET_ASSIGN(const TrainingRecipe recipe, load_training_recipe(o.recipe));
  ModifiedRecipe m;
  if (recipe.for_qat) m.recipe = recipe;
  else m = modify_recipe_for_qat(recipe, recipe.quantization.qat.value_or(QatOptions{}));
  TrainingRecipe& r = m.recipe;
  if (o.epochs > 0) r.max_epochs = o.epochs;
  if (r.lr.warmup_epochs + r.lr.cooldown_epochs > r.max_epochs) {
    r.lr.cooldown_epochs = 0;
    r.lr.warmup_epochs = std::min(r.lr.warmup_epochs, r.max_epochs);
  }
  if (o.distill) r.distillation.enabled = true;
  if (r.quantization.ptq_only)
    return invalid_argument(r.source + ": 'ptq_only: true' asks for no fine-tuning; use octet quantize");
  if (o.regime == "naive") r.quantization.regime = Regime::kNaive;
  if (o.regime == "hybrid") r.quantization.regime = Regime::kHybrid;
  if (o.regime == "selective") r.quantization.regime = Regime::kSelective;
  if (!o.target.empty()) r.quantization.target = o.target;
  return m;
}

Result<JobData> open_all(const Options& o, TrainingRecipe* recipe, const Graph& graph) {
  OCTET_RETURN_IF_ERROR(replace_data(o.data, o.eval_data, recipe));
  if (!recipe->train_data)
    return invalid_argument("fine-tuning needs data: give --data, or 'train_data' in the recipe");
  OCTET_ASSIGN(JobData data, open_job_data(*recipe->train_data, recipe->val_data, graph));
  recipe->train_data = data.calibration_spec;
  recipe->val_data = data.evaluation_spec;
  // A recipe that names no task means classification, and boxes or masks say another one. Labels of FastestDet's form
  // have no loss here; it is left to the teacher.
  if (recipe->task == Task::kClassification && !data.calibration->has_labels()) {
    const bool fastest = data.calibration_spec.detection.decoder == Decoder::kFastestDet;
    if (data.calibration->has_boxes() && !fastest) recipe->task = Task::kDetection;
    if (data.calibration->has_masks()) recipe->task = Task::kSegmentation;
  }
  const DataSpec &train = data.calibration_spec, &val = data.evaluation_spec;
  if (data.evaluation != nullptr && has_both_splits(train) && train.split.empty())
    return not_found("'" + train.path +
                     "' has no training images, and fine-tuning on those that the accuracy is measured on would prove "
                     "nothing; add them, or name the split in --data and give --eval-data");
  if (train.path == val.path && train.split == val.split && train.subset == val.subset)
    data.notes.emplace_back("the accuracy is measured on the images of the training; --eval-data gives others");
  return data;
}

// Some integer node has a bias that its runtime adds as a float, or rounds to integers by itself. `graph`: the one
// that the plan is for.
bool has_float_bias(const Graph& graph, const QuantizationPlan& plan) {
  return std::any_of(plan.nodes.begin(), plan.nodes.end(), [&](const NodePlan& n) {
    const Node* node = graph.find_node(n.name);
    return n.decision == NodeDecision::kQuantized && !n.integer_bias && node != nullptr && node->has_input(2) &&
           graph.is_constant(node->inputs[2]);
  });
}

QuantizeSummary summarize(const Options& o, const ModifiedRecipe& recipe, const JobData& data, const QatResult& r) {
  QuantizeSummary s;
  s.model = o.model;
  s.output_folder = o.output;
  s.data = o.data.empty() ? data.spec.source : o.data;
  s.eval_data = data.eval_name;
  s.recipe = o.recipe;
  s.regime = regime_name(recipe.recipe.quantization.regime);
  s.target = recipe.recipe.quantization.target;
  s.calibration_images = r.ptq.calibration_images;
  s.calibration_seconds = r.ptq.calibration_seconds;
  s.float_eval = r.ptq.float_eval;
  s.ptq_eval = r.ptq.quantized_eval;
  s.quantized_eval = r.qat_eval;
  if (r.ptq.float_eval && r.qat_eval && !r.ptq.float_eval->predictions.empty())
    s.agreement = agreement(r.ptq.float_eval->predictions, r.qat_eval->predictions);
  for (const NodePlan& n : r.trained.plan->nodes) ++s.decisions[node_decision_name(n.decision)];
  s.warnings = r.trained.plan->warnings;
  for (const auto* list :
       {&data.notes, &recipe.recipe.notes, &recipe.notes, &r.ptq.notes, &r.trained.notes, &r.trained.plan->notes})
    s.notes = merged(std::move(s.notes), *list);
  if (has_float_bias(r.ptq.prepared, *r.trained.plan))
    s.notes.emplace_back(
        "the file has float biases, which ONNX Runtime rounds to integers, so that codes may differ by one there; "
        "--target onnxruntime writes integer biases and has the same accuracy in both");
  if (r.qat_eval) s.notes = merged(std::move(s.notes), nonfinite_notes(*r.qat_eval, "the quantized network"));
  s.recipe_changes = recipe.changes;
  s.epochs = r.trained.epochs;
  s.best_epoch = r.trained.best_epoch;
  s.peak_memory_bytes = peak_memory_bytes();
  return s;
}

Status save_all(const QatResult& r, QuantizeSummary* s, std::chrono::steady_clock::time_point begin) {
  PendingFiles files;
  OCTET_RETURN_IF_ERROR(stage_onnx(r.quantized, s->output_folder + "/model_int8.onnx", &files));
  if (r.trained.ranges)
    OCTET_RETURN_IF_ERROR(files.add(s->output_folder + "/ranges.json", ranges_to_json(*r.trained.ranges)));
  OCTET_RETURN_IF_ERROR(files.add(s->output_folder + "/plan.json", plan_to_json(*r.trained.plan)));
  if (r.ptq.summary)
    OCTET_RETURN_IF_ERROR(files.add(s->output_folder + "/statistics.json", summary_to_json(*r.ptq.summary)));
  OCTET_RETURN_IF_ERROR(files.commit());
  OCTET_RETURN_IF_ERROR(measure_files(s));
  s->total_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return write_file_atomically(s->output_folder + "/run.json", quantize_json(*s) + "\n");
}

void print_report(const QuantizeSummary& s) {
  for (const QuantizationWarning& w : s.warnings) fmt::print("note: {}\n", w.message);
  print_notes(s.notes);
  const ScoreNames names = score_names(s.float_eval);
  Table table({"network", "size", names.first, names.second, "to float"});
  const auto add = [&](const std::string& name, int64_t bytes, const std::optional<EvalReport>& e) {
    const std::string size = bytes > 0 ? human_bytes(bytes) : "";
    if (!e || !s.float_eval) table.add({name, size, "", "", ""});
    else
      table.add({name, size, fmt::format("{:.2f}", e->score()), fmt::format("{:.2f}", e->second_score()),
                 fmt::format("{:+.2f}", e->score() - s.float_eval->score())});
  };
  add("float", s.float_bytes, s.float_eval);
  add("int8 " + s.regime + ", calibrated", s.quantized_bytes, s.ptq_eval);
  add("int8 " + s.regime + ", fine-tuned", s.quantized_bytes, s.quantized_eval);
  fmt::print("\n{}best epoch {} of {}; whole job {:.1f} s, peak memory {}\n", table.to_string(), s.best_epoch,
             s.epochs.size(), s.total_seconds, human_bytes(s.peak_memory_bytes));
  fmt::print("wrote {0}/model_int8.onnx, {0}/ranges.json, {0}/plan.json, {0}/run.json\n", s.output_folder);
}

Status run(Options o, Common& common) {
  const auto begin = std::chrono::steady_clock::now();
  OCTET_RETURN_IF_ERROR(join(common, &o.device));
  OCTET_ASSIGN(ModifiedRecipe modified, read_recipe(o));
  const bool talks = common.talks();
  if (talks && !modified.changes.empty()) print_changes(modified);
  OCTET_ASSIGN(const Graph graph, load_network(o.model));
  OCTET_ASSIGN(const JobData data, open_all(o, &modified.recipe, graph));
  if (common.is_first()) OCTET_RETURN_IF_ERROR(make_directories(o.output));
  QatJob job;
  job.quantize.calibration = data.calibration.get();
  job.quantize.evaluation = data.evaluation.get();
  job.quantize.images = o.images;
  job.quantize.run = job.quantize.eval.run = run_options(common);
  job.quantize.eval.detection = data.spec.detection;
  job.train.recipe = modified.recipe;
  job.train.device = o.device;
  job.train.folder = o.output;
  job.train.resume = o.resume;
  job.train.run = job.quantize.run;
  job.train.on_epoch = epoch_printer(common, modified.recipe.max_epochs);
  job.on_calibrated = [&](const QuantizeResult& r) {
    if (talks && r.float_eval && r.quantized_eval)
      fmt::print("float {:.2f} %, calibrated {:.2f} %\n", r.float_eval->score(), r.quantized_eval->score());
  };
  SelectiveQuantizer quantizer(modified.recipe.quantization);
  OCTET_ASSIGN(const QatResult result, quantization_aware_training(graph, quantizer, job));
  if (!common.is_first()) return Status::ok();
  QuantizeSummary summary = summarize(o, modified, data, result);
  OCTET_RETURN_IF_ERROR(save_all(result, &summary, begin));
  if (o.report) OCTET_RETURN_IF_ERROR(write_report(o.output));
  if (common.json) fmt::print("{}\n", quantize_json(summary));
  else print_report(summary);
  return Status::ok();
}

}  // namespace

void add_qat(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("qat", "Fine-tune a network for INT8 (quantization-aware training)");
  cmd->add_option("MODEL", o->model, "float ONNX file")->required();
  cmd->add_option(
      "--data", o->data,
      "training data: a YAML file or kind:PATH; of the kind of the recipe's data, it is split and prepared "
      "as the recipe says unless it says so itself");
  cmd->add_option("--eval-data", o->eval_data, "labelled data for accuracy, when it is not --data");
  cmd->add_option("--recipe", o->recipe,
                  "training recipe, modified for fine-tuning by QATRecipeModification; default: the built-in 'qat'");
  cmd->add_flag("--distill", o->distill, "the float network teaches; labels may be missing");
  cmd->add_option("-o,--output", o->output,
                  "folder for model_int8.onnx, ranges.json, plan.json, run.json and the "
                  "checkpoint; default: qat");
  cmd->add_option("--device", o->device, "cpu, cuda or cuda:N");
  cmd->add_flag("--report", o->report, "also make report.html in the output folder");
  cmd->add_flag("--resume", o->resume, "go on from the checkpoint in the output folder");
  cmd->add_option("--epochs", o->epochs, "instead of the recipe's, after its modification")
      ->check(CLI::Range(1, 1000000));
  cmd->add_option("--images", o->images, "calibration images; default 512")->check(CLI::NonNegativeNumber);
  cmd->add_option("--regime", o->regime, "naive, hybrid or selective; overrides the recipe")
      ->check(CLI::IsMember({"naive", "hybrid", "selective"}));
  cmd->add_option("--target", o->target,
                  "octet, onnxruntime, openvino, tensorrt, or a target file; overrides the recipe");
  cmd->footer(
      "cifar10 and idx folders train on the training split and are evaluated on the test split.\n"
      "Example: octet qat resnet20.onnx --data cifar10:cifar --recipe cifar10_resnet20 -o out");
  add_common_options(*cmd, common);
  cmd->callback([o, common] { common->exit = finish(*common, run(*o, *common)); });
}

}  // namespace octet::cli
