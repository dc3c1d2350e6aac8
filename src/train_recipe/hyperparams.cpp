#include "train_recipe/hyperparams.h"

#include <cstdio>
#include <limits>

namespace octet {
namespace {

constexpr double kAny = std::numeric_limits<double>::max();
constexpr int64_t kMost = 1'000'000'000;

constexpr NamedValue<LrMode> kLrModes[] = {{"constant", LrMode::kConstant},
                                           {"cosine", LrMode::kCosine},
                                           {"step", LrMode::kStep},
                                           {"CosineLRScheduler", LrMode::kCosine},
                                           {"StepLRScheduler", LrMode::kStep}};
constexpr NamedValue<WarmupMode> kWarmupModes[] = {{"linear_batch_step", WarmupMode::kPerStep},
                                                   {"linear_epoch_step", WarmupMode::kPerEpoch},
                                                   {"LinearBatchLRWarmup", WarmupMode::kPerStep},
                                                   {"LinearEpochLRWarmup", WarmupMode::kPerEpoch}};
constexpr NamedValue<OptimizerKind> kOptimizers[] = {
    {"SGD", OptimizerKind::kSgd}, {"Adam", OptimizerKind::kAdam}, {"AdamW", OptimizerKind::kAdamW}};
constexpr NamedValue<EmaDecay> kEmaDecays[] = {
    {"constant", EmaDecay::kConstant}, {"threshold", EmaDecay::kThreshold}, {"exp", EmaDecay::kExponential}};
constexpr NamedValue<BatchNormPolicy> kBatchNormPolicys[] = {{"live", BatchNormPolicy::kLive},
                                                             {"frozen", BatchNormPolicy::kFrozen},
                                                             {"reestimated", BatchNormPolicy::kReestimated}};
constexpr NamedValue<RangeLearning> kRangeLearning[] = {
    {"fixed", RangeLearning::kFixed}, {"pact", RangeLearning::kPact}, {"lsq", RangeLearning::kLsq}};
constexpr NamedValue<const char*> kLosses[] = {{"cross_entropy", "cross_entropy"},
                                               {"CrossEntropyLoss", "cross_entropy"},
                                               {"LabelSmoothingCrossEntropyLoss", "cross_entropy"},
                                               {"label_smoothing_cross_entropy", "cross_entropy"},
                                               {"yolox", "yolox"},
                                               {"YoloXDetectionLoss", "yolox"}};
constexpr NamedValue<BoxLoss> kBoxLosses[] = {{"iou", BoxLoss::kSquaredIou}, {"giou", BoxLoss::kGiou}};

// Of the original project's training_hyperparams, without a meaning here.
constexpr const char* kUnusedHyperparams[] = {"train_metrics_list",
                                              "valid_metrics_list",
                                              "metric_to_watch",
                                              "greater_metric_to_watch_is_better",
                                              "loss_logging_items_names",
                                              "silent_mode",
                                              "sync_bn",
                                              "average_best_models",
                                              "save_ckpt_epoch_list",
                                              "save_model",
                                              "run_test_freq",
                                              "run_validation_freq",
                                              "launch_tensorboard",
                                              "tb_files_user_prompt",
                                              "save_tensorboard_to_s3",
                                              "precise_bn",
                                              "precise_bn_batch_size",
                                              "finetune",
                                              "resume",
                                              "resume_path",
                                              "resume_from_remote_sg_logger",
                                              "ckpt_name",
                                              "ckpt_best_name",
                                              "torch_compile",
                                              "torch_compile_loss",
                                              "torch_compile_options",
                                              "sg_logger",
                                              "sg_logger_params",
                                              "enable_qat",
                                              "kill_ddp_pgroup_on_end",
                                              "max_train_batches",
                                              "max_valid_batches",
                                              "dataset_statistics",
                                              "freeze_epochs"};
constexpr const char* kUnusedLoader[] = {
    "pin_memory",  "persistent_workers", "prefetch_factor", "shuffle", "sampler",
    "min_samples", "worker_init_fn",     "collate_fn",      "dataset", "timeout"};

template <size_t N>
void note_unused(YamlMap& map, const char* const (&keys)[N], std::vector<std::string>* unused) {
  for (const char* key : keys)
    if (map.find(key) != nullptr) unused->emplace_back(key);
}

std::string short_number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", x);
  return text;
}

Status read_optimizer_params(const YamlNode& node, OptimizerOptions* out, std::vector<std::string>* unused) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "optimizer_params"));
  OCTET_RETURN_IF_ERROR(read_real(map, "momentum", 0, 1, &out->momentum));
  OCTET_RETURN_IF_ERROR(map.read("nesterov", &out->nesterov));
  OCTET_RETURN_IF_ERROR(read_real(map, "weight_decay", 0, kAny, &out->weight_decay));
  OCTET_RETURN_IF_ERROR(read_real(map, "eps", 0, 1, &out->eps));
  std::vector<double> betas = {out->beta1, out->beta2};
  OCTET_RETURN_IF_ERROR(map.read("betas", &betas));
  if (betas.size() != 2 || betas[0] < 0 || betas[0] >= 1 || betas[1] < 0 || betas[1] >= 1)
    return map.find("betas")->error("betas are two numbers from 0 to below 1");
  out->beta1 = betas[0];
  out->beta2 = betas[1];
  if (map.find("amsgrad") != nullptr) unused->emplace_back("amsgrad");
  OCTET_RETURN_IF_ERROR(map.finish());
  if (out->nesterov && out->kind == OptimizerKind::kSgd && out->momentum <= 0)
    return map.find("nesterov")->error("nesterov needs a momentum above 0");
  return Status::ok();
}

Status read_schedule(YamlMap& map, LrSchedule* lr) {
  OCTET_RETURN_IF_ERROR(read_name(map, "lr_mode", kLrModes, &lr->mode));
  OCTET_RETURN_IF_ERROR(read_real(map, "initial_lr", 0, kAny, &lr->initial_lr));
  OCTET_RETURN_IF_ERROR(read_real(map, "cosine_final_lr_ratio", 0, 1, &lr->cosine_final_lr_ratio));
  OCTET_RETURN_IF_ERROR(read_real(map, "lr_decay_factor", 0, 1, &lr->decay_factor));
  if (const YamlNode* node = map.find("lr_updates")) {
    OCTET_ASSIGN(const std::vector<YamlNode> list, node->as_sequence());
    for (const YamlNode& item : list) {
      OCTET_ASSIGN(const int64_t epoch, item.as_int());
      if (epoch < 0) return item.error("an epoch must not be negative");
      lr->updates.push_back(epoch);
    }
  }
  if (lr->mode == LrMode::kStep && lr->updates.empty())
    return map.find("lr_mode")->error("'lr_mode: step' needs 'lr_updates', the epochs at which the rate falls");
  OCTET_RETURN_IF_ERROR(read_whole(map, "lr_warmup_epochs", 0, kMost, &lr->warmup_epochs));
  OCTET_RETURN_IF_ERROR(read_whole(map, "lr_cooldown_epochs", 0, kMost, &lr->cooldown_epochs));
  OCTET_RETURN_IF_ERROR(read_name(map, "warmup_mode", kWarmupModes, &lr->warmup_mode));
  const YamlNode* start = map.find("warmup_initial_lr");
  if (start == nullptr || start->is_null()) return Status::ok();
  double value = 0;
  OCTET_RETURN_IF_ERROR(read_real(map, "warmup_initial_lr", 0, kAny, &value));
  lr->warmup_initial_lr = value;
  return Status::ok();
}

Status read_ema(YamlMap& map, EmaOptions* ema) {
  OCTET_RETURN_IF_ERROR(map.read("ema", &ema->enabled));
  const YamlNode* node = map.find("ema_params");
  if (node == nullptr) return Status::ok();
  OCTET_ASSIGN(YamlMap params, YamlMap::open(*node, "ema_params"));
  OCTET_RETURN_IF_ERROR(read_real(params, "decay", 0, 1, &ema->decay));
  OCTET_RETURN_IF_ERROR(read_real(params, "beta", 0, kAny, &ema->beta));
  OCTET_RETURN_IF_ERROR(read_name(params, "decay_type", kEmaDecays, &ema->rule));
  return params.finish();
}

Status read_loss(YamlMap& map, TrainingRecipe* recipe) {
  const char* fitting = recipe->task == Task::kDetection ? "yolox" : "cross_entropy";
  const char* loss = fitting;
  OCTET_RETURN_IF_ERROR(read_name(map, "loss", kLosses, &loss));
  if (std::string_view(loss) != fitting)
    return map.find("loss")->error(std::string("the loss of ") + task_name(recipe->task) + " is '" + fitting +
                                   "'; change 'loss' or 'task'");
  recipe->loss = loss;
  OCTET_RETURN_IF_ERROR(read_real(map, "label_smoothing", 0, 1, &recipe->label_smoothing));
  const YamlNode* node = map.find("criterion_params");
  if (node == nullptr) return Status::ok();
  OCTET_ASSIGN(YamlMap params, YamlMap::open(*node, "criterion_params"));
  OCTET_RETURN_IF_ERROR(read_real(params, "smooth_eps", 0, 1, &recipe->label_smoothing));
  OCTET_RETURN_IF_ERROR(read_real(params, "label_smoothing", 0, 1, &recipe->label_smoothing));
  LossOptions& o = recipe->loss_options;
  OCTET_RETURN_IF_ERROR(read_name(params, "box_loss", kBoxLosses, &o.box_loss));
  OCTET_RETURN_IF_ERROR(read_real(params, "box_weight", 0, kAny, &o.box_weight));
  OCTET_RETURN_IF_ERROR(read_real(params, "dice_weight", 0, kAny, &o.dice_weight));
  return params.finish();
}

Status read_affine(const YamlNode& node, AugmentOptions* out) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "random_affine"));
  std::vector<double> scale = {out->scale_low, out->scale_high};
  OCTET_RETURN_IF_ERROR(map.read("scale", &scale));
  if (scale.size() != 2 || !(scale[0] >= 0.01 && scale[0] <= scale[1] && scale[1] <= 100))
    return map.find("scale")->error("'scale' is two factors from 0.01 to 100, the smaller one first");
  out->scale_low = scale[0];
  out->scale_high = scale[1];
  OCTET_RETURN_IF_ERROR(read_real(map, "translate", 0, 1, &out->translate));
  OCTET_RETURN_IF_ERROR(read_whole(map, "fill", 0, 255, &out->affine_fill));
  return map.finish();
}

Status read_phase_callbacks(YamlMap& map, TrainingRecipe* recipe) {
  const YamlNode* node = map.find("phase_callbacks");
  if (node == nullptr || node->is_null()) return Status::ok();
  OCTET_ASSIGN(const std::vector<YamlNode> list, node->as_sequence());
  for (const YamlNode& item : list) {
    const bool named = item.is_map() && item.entries().size() == 1;
    recipe->phase_callbacks.push_back(named              ? item.entries()[0].first
                                      : item.is_scalar() ? item.as_string().value()
                                                         : "a callback");
  }
  return Status::ok();
}

}  // namespace

Status read_real(YamlMap& map, const std::string& key, double lo, double hi, double* out) {
  const YamlNode* node = map.find(key);
  OCTET_RETURN_IF_ERROR(map.read(key, out));
  if (node == nullptr || node->is_null() || (*out >= lo && *out <= hi)) return Status::ok();
  return node->error("'" + key + "' must " +
                     (hi == kAny ? "be at least " + short_number(lo)
                                 : "lie between " + short_number(lo) + " and " + short_number(hi)) +
                     ", not " + short_number(*out));
}

Status read_whole(YamlMap& map, const std::string& key, int64_t lo, int64_t hi, int64_t* out) {
  const YamlNode* node = map.find(key);
  OCTET_RETURN_IF_ERROR(map.read(key, out));
  if (node == nullptr || node->is_null() || (*out >= lo && *out <= hi)) return Status::ok();
  return node->error("'" + key + "' must lie between " + std::to_string(lo) + " and " + std::to_string(hi) +
                     ", not " + std::to_string(*out));
}

Status read_whole(YamlMap& map, const std::string& key, int64_t lo, int64_t hi, int* out) {
  int64_t wide = *out;
  OCTET_RETURN_IF_ERROR(read_whole(map, key, lo, hi, &wide));
  *out = static_cast<int>(wide);
  return Status::ok();
}

Status unknown_name(const YamlNode& node, const std::string& what, const std::string& given,
                    const std::vector<std::string>& names) {
  return node.error("'" + given + "' is no " + what + " that Octet knows; there are " + join(names, ", ") + "." +
                    did_you_mean(given, names));
}

Status read_hyperparams(const YamlNode& node, TrainingRecipe* recipe, std::vector<std::string>* unused) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "training_hyperparams"));
  OCTET_RETURN_IF_ERROR(read_whole(map, "max_epochs", 1, kMost, &recipe->max_epochs));
  OCTET_RETURN_IF_ERROR(read_schedule(map, &recipe->lr));
  OCTET_RETURN_IF_ERROR(read_name(map, "optimizer", kOptimizers, &recipe->optimizer.kind));
  if (const YamlNode* params = map.find("optimizer_params"))
    OCTET_RETURN_IF_ERROR(read_optimizer_params(*params, &recipe->optimizer, unused));
  OCTET_RETURN_IF_ERROR(map.read("zero_weight_decay_on_bias_and_bn", &recipe->zero_weight_decay_on_bias_and_bn));
  OCTET_RETURN_IF_ERROR(read_loss(map, recipe));
  OCTET_RETURN_IF_ERROR(read_ema(map, &recipe->ema));
  OCTET_RETURN_IF_ERROR(map.read("mixed_precision", &recipe->mixed_precision));
  OCTET_RETURN_IF_ERROR(read_real(map, "clip_grad_norm", 0, kAny, &recipe->clip_grad_norm));
  OCTET_RETURN_IF_ERROR(read_whole(map, "batch_accumulate", 1, kMost, &recipe->batch_accumulate));
  int64_t seed = static_cast<int64_t>(recipe->seed);
  OCTET_RETURN_IF_ERROR(read_whole(map, "seed", 0, std::numeric_limits<int64_t>::max(), &seed));
  recipe->seed = static_cast<uint64_t>(seed);
  OCTET_RETURN_IF_ERROR(read_phase_callbacks(map, recipe));
  note_unused(map, kUnusedHyperparams, unused);
  return map.finish();
}

Status read_train_loader(const YamlNode& node, TrainingRecipe* recipe, std::vector<std::string>* unused) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "train_dataloader_params"));
  OCTET_RETURN_IF_ERROR(read_whole(map, "batch_size", 1, 1 << 20, &recipe->batch_size));
  OCTET_RETURN_IF_ERROR(read_whole(map, "num_workers", 0, 1024, &recipe->workers));
  OCTET_RETURN_IF_ERROR(map.read("drop_last", &recipe->drop_last));
  note_unused(map, kUnusedLoader, unused);
  return map.finish();
}

Status read_val_loader(const YamlNode& node, TrainingRecipe* recipe, std::vector<std::string>* unused) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "val_dataloader_params"));
  OCTET_RETURN_IF_ERROR(read_whole(map, "batch_size", 1, 1 << 20, &recipe->val_batch_size));
  for (const char* key : {"num_workers", "drop_last"})
    if (map.find(key) != nullptr) unused->emplace_back(key);
  note_unused(map, kUnusedLoader, unused);
  return map.finish();
}

Status read_augmentation(const YamlNode& node, AugmentOptions* out) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "augmentation"));
  if (const YamlNode* flip = map.find("horizontal_flip"); flip != nullptr && !flip->is_null()) {
    const Result<bool> on = flip->as_bool();
    if (on.is_ok()) out->horizontal_flip = *on ? 0.5 : 0;
    else OCTET_RETURN_IF_ERROR(read_real(map, "horizontal_flip", 0, 1, &out->horizontal_flip));
  }
  if (const YamlNode* crop = map.find("random_crop")) {
    OCTET_ASSIGN(YamlMap params, YamlMap::open(*crop, "random_crop"));
    OCTET_RETURN_IF_ERROR(read_whole(params, "padding", 0, 1024, &out->crop_padding));
    OCTET_RETURN_IF_ERROR(read_whole(params, "fill", 0, 255, &out->crop_fill));
    OCTET_RETURN_IF_ERROR(params.finish());
  }
  if (const YamlNode* jitter = map.find("color_jitter")) {
    OCTET_ASSIGN(YamlMap params, YamlMap::open(*jitter, "color_jitter"));
    OCTET_RETURN_IF_ERROR(read_real(params, "brightness", 0, 10, &out->brightness));
    OCTET_RETURN_IF_ERROR(read_real(params, "contrast", 0, 10, &out->contrast));
    OCTET_RETURN_IF_ERROR(read_real(params, "saturation", 0, 10, &out->saturation));
    OCTET_RETURN_IF_ERROR(params.finish());
  }
  OCTET_RETURN_IF_ERROR(read_real(map, "mixup", 0, 100, &out->mixup));
  if (const YamlNode* affine = map.find("random_affine")) OCTET_RETURN_IF_ERROR(read_affine(*affine, out));
  OCTET_RETURN_IF_ERROR(read_real(map, "mosaic", 0, 1, &out->mosaic));
  OCTET_RETURN_IF_ERROR(read_whole(map, "mosaic_epochs", 0, kMost, &out->mosaic_epochs));
  return map.finish();
}

Status read_batch_norm(const YamlNode& node, BatchNormOptions* out) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "batch_norm"));
  out->given = true;
  OCTET_RETURN_IF_ERROR(read_name(map, "mode", kBatchNormPolicys, &out->mode));
  OCTET_RETURN_IF_ERROR(read_whole(map, "freeze_after_steps", 0, kMost, &out->freeze_after_steps));
  OCTET_RETURN_IF_ERROR(read_whole(map, "reestimate_batches", 1, kMost, &out->reestimate_batches));
  return map.finish();
}

Status read_ranges(const YamlNode& node, RangeOptions* out) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "ranges"));
  OCTET_RETURN_IF_ERROR(read_name(map, "learning", kRangeLearning, &out->learning));
  OCTET_RETURN_IF_ERROR(read_real(map, "lr_ratio", 0, 1000, &out->lr_ratio));
  return map.finish();
}

Status read_distillation(const YamlNode& node, DistillationOptions* out) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "distillation"));
  out->enabled = true;
  OCTET_RETURN_IF_ERROR(map.read("enabled", &out->enabled));
  OCTET_RETURN_IF_ERROR(read_real(map, "temperature", 0.01, 1000, &out->temperature));
  OCTET_RETURN_IF_ERROR(read_real(map, "weight", 0, 1, &out->weight));
  OCTET_RETURN_IF_ERROR(map.read("features", &out->features));
  OCTET_RETURN_IF_ERROR(read_real(map, "feature_weight", 0, kAny, &out->feature_weight));
  return map.finish();
}

}  // namespace octet
