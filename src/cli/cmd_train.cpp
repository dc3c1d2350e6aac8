// octet train: from data and a recipe to a trained network.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/job_data.h"
#include "cli/recipe_network.h"
#include "cli/report_json.h"
#include "cli/training_output.h"
#include "octet/onnx.h"
#include "octet/zoo.h"

namespace octet::cli {
namespace {

struct Options {
  std::string recipe, output, device = "cpu", data, val_data;
  bool resume = false;
  int epochs = 0;
};

bool says_nothing(const Preprocess& p) {
  return !p.resize && !p.width && !p.height && !p.size && !p.interpolation && !p.fill && !p.crop_width &&
         !p.crop_height && !p.order && !p.scale && p.mean.empty() && p.std.empty() && !p.layout &&
         p.dtype == DType::kUndefined;
}

// Data of the recipe's kind in another place: what the option leaves open is as the recipe has it.
Result<DataSpec> data_for(const std::string& option, const std::optional<DataSpec>& of_recipe) {
  OCTET_ASSIGN(DataSpec spec, load_data_spec(option));
  if (!of_recipe || of_recipe->kind != spec.kind) return spec;
  if (spec.split.empty()) spec.split = of_recipe->split;
  if (says_nothing(spec.preprocess)) spec.preprocess = of_recipe->preprocess;
  if (spec.detection.decoder == Decoder::kNone) spec.detection = of_recipe->detection;
  return spec;
}

Result<TrainingRecipe> read_recipe(const Options& o) {
  OCTET_ASSIGN(TrainingRecipe recipe, load_training_recipe(o.recipe));
  if (o.epochs > 0) recipe.max_epochs = o.epochs;
  if (recipe.lr.warmup_epochs + recipe.lr.cooldown_epochs > recipe.max_epochs)
    return invalid_argument("--epochs " + std::to_string(o.epochs) + " is less than the " +
                            std::to_string(recipe.lr.warmup_epochs + recipe.lr.cooldown_epochs) +
                            " epochs of the recipe's warm-up and cooldown; give more, or change lr_warmup_epochs");
  if (!o.data.empty()) {
    OCTET_ASSIGN(recipe.train_data, data_for(o.data, recipe.train_data));
    const bool one_folder =
        recipe.train_data->kind == DataKind::kIdx || recipe.train_data->kind == DataKind::kCifar10;
    if (one_folder && recipe.val_data && recipe.val_data->kind == recipe.train_data->kind)
      recipe.val_data->path = recipe.train_data->path;
  }
  if (!o.val_data.empty()) {
    OCTET_ASSIGN(recipe.val_data, data_for(o.val_data, recipe.val_data));
  }
  return recipe;
}

// The written file, loaded again and run as anybody would run it.
Status evaluate_file(const std::string& path, const TrainingRecipe& recipe, const RunOptions& run, TrainSummary* s) {
  if (!recipe.val_data) return Status::ok();
  OCTET_ASSIGN(const Graph graph, load_onnx(path));
  OCTET_ASSIGN(const std::unique_ptr<Dataset> data, open_data(*recipe.val_data, graph));
  if (!data->has_labels() && !data->has_boxes() && !data->has_masks()) return Status::ok();
  EvalOptions options;
  options.detection = recipe.val_data->detection;
  if (options.detection.decoder == Decoder::kNone) options.detection.decoder = Decoder::kYolox;
  options.run = run;
  OCTET_ASSIGN(s->eval, evaluate(graph, *data, options));
  return Status::ok();
}

void print_summary(const TrainSummary& s) {
  print_notes(s.notes);
  fmt::print("best epoch {} (by {}), {} parameters, {:.1f} s\n", s.best_epoch, s.score_name,
             human_count(s.parameters), s.total_seconds);
  if (s.eval && s.eval->task != "classification") {
    const ScoreNames names = score_names(s.eval);
    fmt::print("{}/model.onnx: {} {:.2f}   {} {:.2f}   {} images\n", s.output_folder, names.first, s.eval->score(),
               names.second, s.eval->second_score(), s.eval->count);
  } else if (s.eval) {
    fmt::print("{}/model.onnx: top-1 {:.2f} % (95 % interval {:.2f} to {:.2f})   top-5 {:.2f} %   {} images\n",
               s.output_folder, s.eval->top1, s.eval->top1_low, s.eval->top1_high, s.eval->top5, s.eval->count);
  }
  fmt::print("wrote {0}/model.onnx, {0}/metrics.jsonl, {0}/run.json\n", s.output_folder);
}

Status run(Options o, Common& common) {
  const auto begin = std::chrono::steady_clock::now();
  OCTET_RETURN_IF_ERROR(join(common, &o.device));
  TrainJob job;
  OCTET_ASSIGN(job.recipe, read_recipe(o));
  if (common.talks()) print_notes(job.recipe.notes);
  OCTET_ASSIGN(const Graph graph, network_of(job.recipe));
  TrainSummary summary;
  summary.recipe = o.recipe;
  summary.network = describe_network(job.recipe.network);
  summary.output_folder = !o.output.empty() ? o.output : std::filesystem::path(o.recipe).stem().string();
  summary.device = o.device;
  summary.parameters = network_cost(graph).parameters;
  if (common.is_first()) OCTET_RETURN_IF_ERROR(make_directories(summary.output_folder));
  job.graph = &graph;
  job.device = o.device;
  job.folder = summary.output_folder;
  job.resume = o.resume;
  job.run = run_options(common);
  job.on_epoch = epoch_printer(common, job.recipe.max_epochs);
  OCTET_ASSIGN(const TrainResult result, train_network(job));
  if (!common.is_first()) return Status::ok();
  const std::string model = summary.output_folder + "/model.onnx";
  OCTET_RETURN_IF_ERROR(save_onnx(result.graph, model));
  summary.epochs = result.epochs;
  summary.best_epoch = result.best_epoch;
  summary.score_name = result.score_name;
  summary.notes = merged(job.recipe.notes, result.notes);
  RunOptions alone = job.run;
  alone.processes = nullptr;
  OCTET_RETURN_IF_ERROR(evaluate_file(model, job.recipe, alone, &summary));
  summary.total_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  OCTET_RETURN_IF_ERROR(write_file_atomically(summary.output_folder + "/run.json", train_json(summary) + "\n"));
  if (common.json) fmt::print("{}\n", train_json(summary));
  else print_summary(summary);
  return Status::ok();
}

}  // namespace

void add_train(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("train", "Train a network of the zoo, or of a file, on data");
  cmd->add_option("RECIPE", o->recipe, "training recipe: a YAML file or a built-in name")->required();
  cmd->add_option("-o,--output", o->output,
                  "folder for model.onnx, checkpoint.bin, metrics.jsonl, run.json; default: "
                  "the recipe's name");
  cmd->add_option("--device", o->device, "cpu, cuda or cuda:N");
  cmd->add_flag("--resume", o->resume, "go on from the checkpoint in the output folder");
  cmd->add_option("--epochs", o->epochs, "instead of the recipe's max_epochs")->check(CLI::Range(1, 1000000));
  cmd->add_option(
      "--data", o->data,
      "training data instead of the recipe's: a YAML file or kind:PATH; of the same kind, it is split and "
      "prepared as the recipe says unless it says so itself");
  cmd->add_option("--val-data", o->val_data, "validation data instead of the recipe's");
  cmd->footer("Built-in recipes: " +
              [] {
                std::string names;
                for (const std::string& name : training_recipe_names()) names += (names.empty() ? "" : ", ") + name;
                return names;
              }() +
              ".\nCtrl-C writes a checkpoint; --resume goes on from it, or from the last one after a crash.\n"
              "Example: octet train fashion_mnist_resnet20 -o fashion");
  add_common_options(*cmd, common);
  cmd->callback([o, common] { common->exit = finish(*common, run(*o, *common)); });
}

}  // namespace octet::cli
