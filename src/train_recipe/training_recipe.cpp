#include "octet/training_recipe.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "base/files.h"
#include "base/text.h"
#include "data/data_spec.h"
#include "quantization/embedded_files.h"
#include "recipe/quantization_keys.h"
#include "train_recipe/hyperparams.h"

namespace octet {
namespace {

constexpr NamedValue<Task> kTasks[] = {{"classification", Task::kClassification},
                                       {"detection", Task::kDetection},
                                       {"segmentation", Task::kSegmentation}};
constexpr NamedValue<bool> kPurposes[] = {{"train", false}, {"qat", true}};

// Top-level keys of the original project without a meaning here.
constexpr const char* kUnused[] = {"checkpoint_params", "model_name",     "experiment_name", "hydra",
                                   "train_dataloader",  "val_dataloader", "test_dataloader", "resume",
                                   "ckpt_root_dir",     "multi_gpu",      "num_gpus",        "experiment_suffix",
                                   "project_name",      "setup_device",   "dataset_name",    "device",
                                   "checkpoint_path",   "usage",          "variable_set"};

Status read_network(const YamlNode& node, const std::string& folder, NetworkSpec* out) {
  if (node.is_scalar()) {
    OCTET_ASSIGN(const std::string text, node.as_string());
    const bool file = to_lower(text).ends_with(".onnx");
    (file ? out->onnx : out->zoo) = text;
  } else {
    OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "network"));
    OCTET_RETURN_IF_ERROR(map.read("zoo", &out->zoo));
    OCTET_RETURN_IF_ERROR(map.read("onnx", &out->onnx));
    OCTET_RETURN_IF_ERROR(read_whole(map, "classes", 1, 1 << 20, &out->classes));
    OCTET_RETURN_IF_ERROR(read_whole(map, "channels", 1, 1024, &out->channels));
    OCTET_RETURN_IF_ERROR(read_whole(map, "image_size", 1, 16384, &out->image_size));
    OCTET_RETURN_IF_ERROR(map.finish());
  }
  if (out->zoo.empty() == out->onnx.empty())
    return node.error("'network' names one network: a name of 'octet zoo list', {zoo: NAME} or {onnx: FILE}");
  if (!out->onnx.empty() && out->classes + out->channels + out->image_size > 0)
    return node.error("'classes', 'channels' and 'image_size' are for networks of the zoo; a file has its own");
  if (!out->onnx.empty() && std::filesystem::path(out->onnx).is_relative() && !folder.empty())
    out->onnx = (std::filesystem::path(folder) / out->onnx).string();
  return Status::ok();
}

// `architecture`, `arch_params` and `num_classes`, as the original project names a network.
Status read_architecture(YamlMap& map, NetworkSpec* out) {
  std::string zoo;
  NetworkSpec named;
  OCTET_RETURN_IF_ERROR(map.read("architecture", &zoo));
  OCTET_RETURN_IF_ERROR(read_whole(map, "num_classes", 1, 1 << 20, &named.classes));
  if (const YamlNode* node = map.find("arch_params"); node != nullptr && node->is_map())
    for (const auto& [key, value] : node->entries())
      if (key == "num_classes") {
        OCTET_ASSIGN(named.classes, value.as_int());
      }
  if (!out->empty() || zoo.empty()) return Status::ok();
  *out = named;
  out->zoo = zoo;
  return Status::ok();
}

Status read_data(YamlMap& map, const std::string& key, const std::string& folder, std::optional<DataSpec>* out) {
  const YamlNode* node = map.find(key);
  if (node == nullptr || node->is_null()) return Status::ok();
  OCTET_ASSIGN(*out, read_data_spec(*node, folder));
  return Status::ok();
}

Status read_loaders(YamlMap& map, TrainingRecipe* recipe, std::vector<std::string>* unused) {
  if (const YamlNode* node = map.find("train_dataloader_params"))
    OCTET_RETURN_IF_ERROR(read_train_loader(*node, recipe, unused));
  if (const YamlNode* node = map.find("val_dataloader_params"))
    OCTET_RETURN_IF_ERROR(read_val_loader(*node, recipe, unused));
  return Status::ok();
}

Status read_dataset_params(const YamlNode& node, TrainingRecipe* recipe, std::vector<std::string>* unused) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "dataset_params"));
  unused->emplace_back("dataset_params apart from its dataloader params");
  return read_loaders(map, recipe, unused);
}

Status read_checkpoints(const YamlNode& node, TrainingRecipe* recipe) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "checkpoints"));
  OCTET_RETURN_IF_ERROR(read_whole(map, "every_epochs", 1, 1 << 30, &recipe->checkpoint_every_epochs));
  OCTET_RETURN_IF_ERROR(read_whole(map, "every_steps", 0, int64_t{1} << 40, &recipe->checkpoint_every_steps));
  OCTET_RETURN_IF_ERROR(map.read("tensorboard", &recipe->tensorboard));
  return map.finish();
}

Status read_sections(YamlMap& map, const std::string& folder, TrainingRecipe* r, std::vector<std::string>* unused) {
  OCTET_RETURN_IF_ERROR(read_name(map, "purpose", kPurposes, &r->for_qat));
  OCTET_RETURN_IF_ERROR(read_name(map, "task", kTasks, &r->task));
  if (r->task == Task::kDetection) r->loss = "yolox";
  if (const YamlNode* node = map.find("network"); node != nullptr && !node->is_null())
    OCTET_RETURN_IF_ERROR(read_network(*node, folder, &r->network));
  OCTET_RETURN_IF_ERROR(read_architecture(map, &r->network));
  OCTET_RETURN_IF_ERROR(read_data(map, "train_data", folder, &r->train_data));
  OCTET_RETURN_IF_ERROR(read_data(map, "val_data", folder, &r->val_data));
  if (const YamlNode* node = map.find("dataset_params")) OCTET_RETURN_IF_ERROR(read_dataset_params(*node, r, unused));
  OCTET_RETURN_IF_ERROR(read_loaders(map, r, unused));
  if (const YamlNode* node = map.find("augmentation"))
    OCTET_RETURN_IF_ERROR(read_augmentation(*node, &r->augmentation));
  if (const YamlNode* node = map.find("training_hyperparams"))
    OCTET_RETURN_IF_ERROR(read_hyperparams(*node, r, unused));
  if (const YamlNode* node = map.find("batch_norm")) OCTET_RETURN_IF_ERROR(read_batch_norm(*node, &r->batch_norm));
  if (const YamlNode* node = map.find("distillation"))
    OCTET_RETURN_IF_ERROR(read_distillation(*node, &r->distillation));
  if (const YamlNode* node = map.find("ranges")) OCTET_RETURN_IF_ERROR(read_ranges(*node, &r->ranges));
  if (const YamlNode* node = map.find("checkpoints")) OCTET_RETURN_IF_ERROR(read_checkpoints(*node, r));
  auto seed = static_cast<int64_t>(r->seed);
  OCTET_RETURN_IF_ERROR(read_whole(map, "seed", 0, std::numeric_limits<int64_t>::max(), &seed));
  r->seed = static_cast<uint64_t>(seed);
  return Status::ok();
}

Status check_whole(const TrainingRecipe& r) {
  if (r.lr.warmup_epochs + int64_t{r.lr.cooldown_epochs} > r.max_epochs)
    return invalid_argument(r.source + ": warm-up and cooldown take " +
                            std::to_string(r.lr.warmup_epochs + int64_t{r.lr.cooldown_epochs}) +
                            " epochs, more than max_epochs (" + std::to_string(r.max_epochs) + ")");
  if (r.augmentation.mixup > 0 && r.task != Task::kClassification)
    return invalid_argument(r.source + ": mixup is for classification");
  if (r.augmentation.mosaic > 0 && r.task == Task::kClassification)
    return invalid_argument(r.source + ": mosaic is for detection and segmentation");
  if (r.label_smoothing > 0 && r.task == Task::kDetection)
    return invalid_argument(r.source + ": label_smoothing is for classification and segmentation");
  return Status::ok();
}

void add_notes(YamlMap& map, const std::vector<std::string>& unused, TrainingRecipe* r) {
  if (map.find("defaults") != nullptr)
    r->notes.emplace_back(
        "'defaults' names other files of the original project, which are not read: only what stands in this recipe "
        "counts");
  if (!unused.empty()) r->notes.push_back("without an effect here: " + join(unused, ", "));
  if (!r->phase_callbacks.empty())
    r->notes.push_back("phase_callbacks (" + join(r->phase_callbacks, ", ") + ") are not run");
}

}  // namespace

Result<TrainingRecipe> parse_training_recipe(const std::string& text, const std::string& source) {
  OCTET_ASSIGN(const YamlNode root, parse_yaml(text, source));
  OCTET_ASSIGN(YamlMap map, YamlMap::open(root, "the training recipe"));
  TrainingRecipe recipe;
  recipe.source = source;
  std::vector<std::string> unused;
  OCTET_RETURN_IF_ERROR(read_sections(map, std::filesystem::path(source).parent_path().string(), &recipe, &unused));
  OCTET_ASSIGN(recipe.quantization, read_quantization_keys(map, source));
  if (recipe.quantization.learn_amax) recipe.ranges.learning = RangeLearning::kPact;
  for (const char* key : kUnused)
    if (map.find(key) != nullptr) unused.emplace_back(key);
  add_notes(map, unused, &recipe);
  OCTET_RETURN_IF_ERROR(map.finish());
  OCTET_RETURN_IF_ERROR(check_whole(recipe));
  return recipe;
}

Result<TrainingRecipe> load_training_recipe(const std::string& path_or_name) {
  for (const EmbeddedFile& file : embedded_training_recipes()) {
    if (file.name != path_or_name) continue;
    // A built-in recipe's data paths are taken from the current folder: its source has no folder.
    return parse_training_recipe(std::string(file.text), path_or_name + ".yaml");
  }
  if (path_or_name.find_first_of("/.") == std::string::npos)
    return not_found("there is no built-in training recipe '" + path_or_name + "' (there are " +
                     join(training_recipe_names(), ", ") + "), and a recipe file's name ends in .yaml." +
                     did_you_mean(path_or_name, training_recipe_names()));
  OCTET_ASSIGN(const std::string text, read_file(path_or_name, int64_t{4} << 20));
  return parse_training_recipe(text, path_or_name);
}

std::vector<std::string> training_recipe_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_training_recipes()) names.emplace_back(file.name);
  std::sort(names.begin(), names.end());
  return names;
}

const char* task_name(Task task) { return kTasks[static_cast<size_t>(task)].name; }

}  // namespace octet
