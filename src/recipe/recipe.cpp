#include "octet/recipe.h"

#include <algorithm>

#include "base/files.h"
#include "base/text.h"
#include "quantization/embedded_files.h"
#include "quantization/settings.h"
#include "quantization/target.h"
#include "recipe/quantization_keys.h"
#include "recipe/recipe_repair.h"
#include "recipe/recipe_rules.h"
#include "yaml/yaml_reader.h"

namespace octet {
namespace {

// The key's value as text; nullopt when absent or null.
Result<std::optional<std::string>> optional_text(YamlMap& map, const std::string& key) {
  const YamlNode* node = map.find(key);
  if (node == nullptr || node->is_null()) return std::optional<std::string>();
  OCTET_ASSIGN(std::string text, node->as_string());
  return std::optional<std::string>(std::move(text));
}

// Puts the line of `key` in front of a complaint about its value.
Status placed(YamlMap& map, const std::string& key, const Status& status) {
  if (status.is_ok()) return status;
  const YamlNode* node = map.find(key);
  return node == nullptr ? status : status.at(node->place());
}

Status read_calibrator(YamlMap& map, const std::string& key, std::optional<std::string>* out) {
  OCTET_ASSIGN(auto text, optional_text(map, key));
  if (!text) return Status::ok();
  *out = to_lower(*text);
  return placed(map, key, check_calibrator(**out));
}

Status read_selective(const YamlNode& node, QuantizationOptions* options) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "selective_quantizer_params"));
  OCTET_RETURN_IF_ERROR(read_calibrator(map, "calibrator_w", &options->calibrator_w));
  OCTET_RETURN_IF_ERROR(read_calibrator(map, "calibrator_i", &options->calibrator_i));
  OCTET_RETURN_IF_ERROR(map.read("per_channel", &options->per_channel));
  OCTET_RETURN_IF_ERROR(map.read("learn_amax", &options->learn_amax));
  OCTET_RETURN_IF_ERROR(map.read("skip_modules", &options->skip_modules));
  if (!options->skip_modules.empty()) options->skip_modules_place = map.find("skip_modules")->place();
  return map.finish();
}

Status read_calib(const YamlNode& node, QuantizationOptions* options) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "calib_params"));
  std::optional<std::string> method;
  OCTET_RETURN_IF_ERROR(read_calibrator(map, "histogram_calib_method", &method));
  if (method && *method == "histogram")
    return map.find("histogram_calib_method")->error("name a method: max, percentile, entropy, mse or auto");
  if (method) options->histogram_calib_method = *method;
  OCTET_RETURN_IF_ERROR(map.read("percentile", &options->percentile));
  if (!(options->percentile > 0 && options->percentile <= 100))
    return map.find("percentile")->error("percentile must lie above 0 and at most at 100");
  OCTET_RETURN_IF_ERROR(map.read("num_calib_batches", &options->num_calib_batches));
  if (options->num_calib_batches < 1) return map.find("num_calib_batches")->error("at least one batch is needed");
  OCTET_RETURN_IF_ERROR(map.read("verbose", &options->verbose));
  return map.finish();
}

Status read_calibration(const YamlNode& node, QuantizationOptions* options) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "calibration"));
  OCTET_RETURN_IF_ERROR(map.read("images", &options->calib_images));
  if (options->calib_images < 0) return map.find("images")->error("the number of images must not be negative");
  OCTET_RETURN_IF_ERROR(map.read("batch_size", &options->calib_batch_size));
  if (options->calib_batch_size < 0) return map.find("batch_size")->error("the batch size must not be negative");
  return map.finish();
}

// The original project's keys, wherever they stand.
Status read_shared_keys(YamlMap& map, QuantizationOptions* options) {
  OCTET_RETURN_IF_ERROR(map.read("ptq_only", &options->ptq_only));
  if (const YamlNode* node = map.find("selective_quantizer_params"))
    OCTET_RETURN_IF_ERROR(read_selective(*node, options));
  if (const YamlNode* node = map.find("calib_params")) OCTET_RETURN_IF_ERROR(read_calib(*node, options));
  return Status::ok();
}

Status read_regime(YamlMap& map, Regime* out) {
  OCTET_ASSIGN(const auto text, optional_text(map, "regime"));
  if (!text) return Status::ok();
  std::vector<std::string> names;
  for (Regime r : {Regime::kNaive, Regime::kHybrid, Regime::kSelective}) {
    names.emplace_back(regime_name(r));
    if (*text != regime_name(r)) continue;
    *out = r;
    return Status::ok();
  }
  return map.find("regime")->error("there is no regime '" + *text + "'; it is naive, hybrid or selective." +
                                   did_you_mean(*text, names));
}

Status read_mappings(const YamlNode& node, QuantizationOptions* options) {
  if (!node.is_map() && !node.is_null()) return node.error("'mappings' must be a map, as {concat: separate}");
  for (const auto& [pattern, child] : node.entries()) {
    OCTET_ASSIGN(const std::string treatment, child.as_string());
    const Status known = check_mapping(pattern, treatment);
    if (!known.is_ok()) return child.error(known.message());
    options->mappings[pattern] = treatment;
  }
  return Status::ok();
}

Status read_own_keys(YamlMap& map, QuantizationOptions* options) {
  OCTET_RETURN_IF_ERROR(read_regime(map, &options->regime));
  OCTET_RETURN_IF_ERROR(map.read("target", &options->target));
  const bool is_path = options->target.find('/') != std::string::npos || options->target.ends_with(".yaml");
  if (!is_path) {
    const auto known = load_target(options->target);
    if (!known.is_ok()) return placed(map, "target", known.status());
  }
  OCTET_ASSIGN(options->bias, optional_text(map, "bias"));
  if (options->bias && *options->bias != "int32" && *options->bias != "float32")
    return map.find("bias")->error("bias is int32 or float32, not '" + *options->bias + "'");
  OCTET_ASSIGN(options->weights, optional_text(map, "weights"));
  OCTET_ASSIGN(options->activations, optional_text(map, "activations"));
  const YamlNode* symmetric = map.find("symmetric");
  if (symmetric != nullptr && !symmetric->is_null()) {
    OCTET_ASSIGN(options->symmetric, symmetric->as_bool());
  }
  if (const YamlNode* node = map.find("calibration")) OCTET_RETURN_IF_ERROR(read_calibration(*node, options));
  if (const YamlNode* node = map.find("repair")) OCTET_RETURN_IF_ERROR(read_repair(*node, &options->repair));
  if (const YamlNode* node = map.find("mappings")) OCTET_RETURN_IF_ERROR(read_mappings(*node, options));
  const YamlNode* rules = map.find("rules");
  if (rules == nullptr) return Status::ok();
  OCTET_ASSIGN(const std::vector<YamlNode> list, rules->as_sequence());
  for (const YamlNode& item : list) {
    OCTET_ASSIGN(QuantizationRule rule, read_rule(item));
    options->rules.push_back(std::move(rule));
  }
  return Status::ok();
}

Status read_quantization_params(const YamlNode& node, QuantizationOptions* options) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "quantization_params"));
  OCTET_RETURN_IF_ERROR(read_shared_keys(map, options));
  OCTET_RETURN_IF_ERROR(read_own_keys(map, options));
  return map.finish();
}

constexpr const char* kQatKeys[] = {"batch_size_divisor",    "max_epochs_divisor",    "lr_decay_factor",
                                    "warmup_epochs_divisor", "cosine_final_lr_ratio", "disable_phase_callbacks",
                                    "disable_augmentations", "keep_optimizer"};

Status read_qat_keys(YamlMap& map, QatOptions* qat) {
  OCTET_RETURN_IF_ERROR(map.read("batch_size_divisor", &qat->batch_size_divisor));
  OCTET_RETURN_IF_ERROR(map.read("max_epochs_divisor", &qat->max_epochs_divisor));
  OCTET_RETURN_IF_ERROR(map.read("lr_decay_factor", &qat->lr_decay_factor));
  OCTET_RETURN_IF_ERROR(map.read("warmup_epochs_divisor", &qat->warmup_epochs_divisor));
  OCTET_RETURN_IF_ERROR(map.read("cosine_final_lr_ratio", &qat->cosine_final_lr_ratio));
  OCTET_RETURN_IF_ERROR(map.read("disable_phase_callbacks", &qat->disable_phase_callbacks));
  OCTET_RETURN_IF_ERROR(map.read("disable_augmentations", &qat->disable_augmentations));
  OCTET_RETURN_IF_ERROR(map.read("keep_optimizer", &qat->keep_optimizer));
  for (const char* key : {"batch_size_divisor", "max_epochs_divisor", "warmup_epochs_divisor"}) {
    const YamlNode* value = map.find(key);
    int64_t divisor = 1;
    OCTET_RETURN_IF_ERROR(map.read(key, &divisor));
    if (divisor < 1) return value->error(std::string(key) + " must be at least 1");
  }
  for (const char* key : {"lr_decay_factor", "cosine_final_lr_ratio"}) {
    const YamlNode* value = map.find(key);
    double factor = 1;
    OCTET_RETURN_IF_ERROR(map.read(key, &factor));
    if (factor < 0 || factor > 1) return value->error(std::string(key) + " must lie between 0 and 1");
  }
  return Status::ok();
}

Status read_qat(const YamlNode& node, QuantizationOptions* options) {
  QatOptions qat;
  if (!node.is_null()) {
    OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "QATRecipeModificationCallback"));
    OCTET_RETURN_IF_ERROR(read_qat_keys(map, &qat));
    if (const YamlNode* params = map.find("quantization_params"); params != nullptr && !params->is_null())
      OCTET_RETURN_IF_ERROR(read_quantization_params(*params, options));
    OCTET_RETURN_IF_ERROR(map.finish());
  }
  options->qat = qat;
  return Status::ok();
}

// The callback's keys at the top level, or the callback by its name.
Status read_bare_qat(YamlMap& map, QuantizationOptions* options) {
  if (const YamlNode* node = map.find("QATRecipeModificationCallback"))
    OCTET_RETURN_IF_ERROR(read_qat(*node, options));
  bool any = false;
  for (const char* key : kQatKeys) any = map.find(key) != nullptr || any;
  if (!any) return Status::ok();
  QatOptions qat = options->qat.value_or(QatOptions{});
  OCTET_RETURN_IF_ERROR(read_qat_keys(map, &qat));
  options->qat = qat;
  return Status::ok();
}

// What else a training recipe of the original project holds.
constexpr const char* kTrainingKeys[] = {"defaults",
                                         "training_hyperparams",
                                         "dataset_params",
                                         "arch_params",
                                         "checkpoint_params",
                                         "architecture",
                                         "model_name",
                                         "experiment_name",
                                         "hydra",
                                         "train_dataloader",
                                         "val_dataloader",
                                         "test_dataloader",
                                         "resume",
                                         "ckpt_root_dir",
                                         "multi_gpu",
                                         "num_gpus",
                                         "experiment_suffix",
                                         "project_name",
                                         "num_classes",
                                         "train_dataloader_params",
                                         "setup_device",
                                         "val_dataloader_params",
                                         "dataset_name",
                                         "device",
                                         "checkpoint_path",
                                         "usage",
                                         "variable_set",
                                         "purpose",
                                         "task",
                                         "network",
                                         "train_data",
                                         "val_data",
                                         "augmentation",
                                         "distillation",
                                         "batch_norm",
                                         "checkpoints",
                                         "ranges",
                                         "seed"};

// Skips the training part of a whole recipe, with a note, when there is a quantization part to read.
Status skip_training_keys(YamlMap& map, QuantizationOptions* options) {
  bool block = false;
  for (const char* key :
       {"quantization_params", "pre_launch_callbacks_list", "QATRecipeModificationCallback",
        "selective_quantizer_params", "calib_params", "ptq_only", "regime", "rules", "weights", "activations"})
    block = map.find(key) != nullptr || block;
  std::vector<std::string> skipped;
  for (const char* key : kTrainingKeys) {
    const YamlNode* node = map.find(key);
    if (node == nullptr) continue;
    if (!block)
      return node->error(std::string("'") + key +
                         "' belongs to a training recipe, and there is no quantization block beside it; give " +
                         "quantization_params, or pre_launch_callbacks_list with QATRecipeModificationCallback");
    skipped.emplace_back(key);
  }
  if (!skipped.empty())
    options->notes.push_back("the recipe's training part (" + join(skipped, ", ") +
                             ") has no effect on post-training quantization");
  return Status::ok();
}

Status read_callbacks(const YamlNode& node, QuantizationOptions* options) {
  OCTET_ASSIGN(const std::vector<YamlNode> list, node.as_sequence());
  for (const YamlNode& item : list) {
    const std::string plain = item.is_scalar() ? item.as_string().value() : "";
    if (plain == "QATRecipeModificationCallback") {
      options->qat = QatOptions{};
      continue;
    }
    if (!item.is_map() || item.entries().size() != 1 || item.entries()[0].first != "QATRecipeModificationCallback")
      return item.error("Octet knows one callback here, QATRecipeModificationCallback");
    OCTET_RETURN_IF_ERROR(read_qat(item.entries()[0].second, options));
  }
  return Status::ok();
}

void add_notes(QuantizationOptions* options) {
  if (options->qat)
    options->notes.emplace_back(
        "QATRecipeModificationCallback concerns fine-tuning; post-training quantization ignores it");
  if (options->calibrator_w == "histogram")
    options->notes.push_back("calibrator_w: histogram means " + options->histogram_calib_method +
                             " here, over the exact values that share a scale");
  if (options->learn_amax)
    options->notes.emplace_back("learn_amax concerns fine-tuning; post-training quantization calibrates the ranges");
}

}  // namespace

Result<QuantizationOptions> read_quantization_keys(YamlMap& map, const std::string& source) {
  QuantizationOptions options;
  OCTET_RETURN_IF_ERROR(read_shared_keys(map, &options));
  OCTET_RETURN_IF_ERROR(read_own_keys(map, &options));
  if (const YamlNode* node = map.find("quantization_params"); node != nullptr && !node->is_null())
    OCTET_RETURN_IF_ERROR(read_quantization_params(*node, &options));
  if (const YamlNode* node = map.find("pre_launch_callbacks_list"))
    OCTET_RETURN_IF_ERROR(read_callbacks(*node, &options));
  OCTET_RETURN_IF_ERROR(read_bare_qat(map, &options));
  const Status valid = check_options(options);  // rules carry their own lines; the rest was checked where it was read
  if (!valid.is_ok()) return valid.message().starts_with(source) ? valid : valid.at(source);
  return options;
}

Result<QuantizationOptions> parse_recipe(const std::string& text, const std::string& source) {
  OCTET_ASSIGN(const YamlNode root, parse_yaml(text, source));
  OCTET_ASSIGN(YamlMap map, YamlMap::open(root, "the recipe"));
  OCTET_ASSIGN(QuantizationOptions options, read_quantization_keys(map, source));
  OCTET_RETURN_IF_ERROR(skip_training_keys(map, &options));
  OCTET_RETURN_IF_ERROR(map.finish());
  add_notes(&options);
  return options;
}

Result<QuantizationOptions> load_recipe(const std::string& path_or_name) {
  for (const EmbeddedFile& file : embedded_recipes())
    if (file.name == path_or_name) return parse_recipe(std::string(file.text), "recipes/" + path_or_name + ".yaml");
  for (const EmbeddedFile& file : embedded_training_recipes())  // those for fine-tuning say how to quantize, too
    if (file.name == path_or_name)
      return parse_recipe(std::string(file.text), "recipes/train/" + path_or_name + ".yaml");
  const bool is_path = path_or_name.find_first_of("/.") != std::string::npos;
  if (!is_path)
    return not_found("there is no built-in recipe '" + path_or_name + "' (there are " + join(recipe_names(), ", ") +
                     "), and a recipe file's name ends in .yaml." + did_you_mean(path_or_name, recipe_names()));
  OCTET_ASSIGN(const std::string text, read_file(path_or_name, int64_t{4} << 20));
  return parse_recipe(text, path_or_name);
}

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_recipes()) names.emplace_back(file.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace octet
