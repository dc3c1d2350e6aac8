// QATRecipeModification: the original project's arithmetic, and what Octet adds to it, with every change named.
#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "octet/training_recipe.h"

namespace octet {
namespace {

std::string text_of(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.12g", x);
  return text;
}
std::string text_of(int64_t x) { return std::to_string(x); }
std::string text_of(int x) { return std::to_string(x); }
std::string text_of(bool x) { return x ? "true" : "false"; }
std::string text_of(LrMode x) { return lr_mode_name(x); }
std::string text_of(OptimizerKind x) { return optimizer_name(x); }
std::string text_of(const std::optional<double>& x) { return x ? text_of(*x) : "not given"; }

class Modification {
 public:
  explicit Modification(const TrainingRecipe& recipe) { out_.recipe = recipe; }

  template <class T>
  void set(const char* key, T* field, T value, std::string why) {
    if (*field == value) return;
    out_.changes.push_back({key, text_of(*field), text_of(value), std::move(why)});
    *field = value;
  }
  void record(RecipeChange change) { out_.changes.push_back(std::move(change)); }
  void note(std::string sentence) { out_.notes.push_back(std::move(sentence)); }
  TrainingRecipe& recipe() { return out_.recipe; }
  ModifiedRecipe take() { return std::move(out_); }

 private:
  ModifiedRecipe out_;
};

void modify_schedule(Modification& m, const QatOptions& o) {
  TrainingRecipe& r = m.recipe();
  const std::string factor = text_of(o.lr_decay_factor) + " (lr_decay_factor)";
  m.set("max_epochs", &r.max_epochs, std::max(1, r.max_epochs / o.max_epochs_divisor),
        "divided by " + text_of(o.max_epochs_divisor) +
            " (max_epochs_divisor): the network is trained already, only its rounding is new to it");
  m.set("initial_lr", &r.lr.initial_lr, r.lr.initial_lr * o.lr_decay_factor,
        "times " + factor + ": small steps around the trained weights");
  m.set("lr_mode", &r.lr.mode, LrMode::kCosine, "fine-tuning ends with small steps, so that codes settle");
  m.set("cosine_final_lr_ratio", &r.lr.cosine_final_lr_ratio, o.cosine_final_lr_ratio, "as the callback says");
  m.set("lr_warmup_epochs", &r.lr.warmup_epochs, std::max(1, r.max_epochs / o.warmup_epochs_divisor),
        "max_epochs divided by " + text_of(o.warmup_epochs_divisor) + " (warmup_epochs_divisor), at least 1");
  const double start = o.lr_decay_factor * r.lr.warmup_initial_lr.value_or(r.lr.initial_lr);
  m.set("warmup_initial_lr", &r.lr.warmup_initial_lr, std::optional<double>(start),
        "times " + factor + (r.lr.warmup_initial_lr ? "" : ", of the new initial_lr"));
  const int room = r.max_epochs - r.lr.warmup_epochs;
  m.set("lr_cooldown_epochs", &r.lr.cooldown_epochs, std::min(r.lr.cooldown_epochs, room),
        "no more epochs are left for it");
  if (room <= 0) m.note("the warm-up takes every epoch of this short run; the cosine begins in none");
}

void modify_optimizer(Modification& m, const QatOptions& o) {
  TrainingRecipe& r = m.recipe();
  m.set("weight_decay", &r.optimizer.weight_decay, r.optimizer.weight_decay * o.lr_decay_factor,
        "times " + text_of(o.lr_decay_factor) + " (lr_decay_factor), with the learning rate");
  if (o.keep_optimizer) return;
  constexpr const char* kWhy =
      "steps that adapt to each weight drown the small gradients of fake quantization; keep_optimizer: true keeps it";
  m.set("optimizer", &r.optimizer.kind, OptimizerKind::kSgd, kWhy);
  if (r.optimizer.momentum <= 0) m.set("momentum", &r.optimizer.momentum, 0.9, kWhy);
}

void modify_batches(Modification& m, const QatOptions& o) {
  TrainingRecipe& r = m.recipe();
  if (!r.quantization.learn_amax) return;
  const std::string why = "divided by " + text_of(o.batch_size_divisor) +
                          " (batch_size_divisor): learned ranges (learn_amax) take more memory";
  m.set("train batch_size", &r.batch_size, std::max<int64_t>(1, r.batch_size / o.batch_size_divisor), why);
  m.set("val batch_size", &r.val_batch_size, std::max<int64_t>(1, r.val_batch_size / o.batch_size_divisor), why);
}

void modify_extras(Modification& m, const QatOptions& o) {
  TrainingRecipe& r = m.recipe();
  if (o.disable_phase_callbacks && !r.phase_callbacks.empty()) {
    m.record({"phase_callbacks", join(r.phase_callbacks, ", "), "none", "disable_phase_callbacks"});
    r.phase_callbacks.clear();
  }
  if (o.disable_augmentations && r.augmentation.any()) {
    m.record({"augmentation", "as the recipe says", "none", "disable_augmentations"});
    r.augmentation = AugmentOptions{};
  }
  if (r.ema.enabled) m.note("ema stays on: averaged weights and ranges work with fake quantization here");
  r.for_qat = true;
}

}  // namespace

ModifiedRecipe modify_recipe_for_qat(const TrainingRecipe& recipe, const QatOptions& options) {
  Modification m(recipe);
  modify_schedule(m, options);
  modify_optimizer(m, options);
  modify_batches(m, options);
  modify_extras(m, options);
  return m.take();
}

const char* optimizer_name(OptimizerKind kind) {
  return kind == OptimizerKind::kSgd ? "SGD" : kind == OptimizerKind::kAdam ? "Adam" : "AdamW";
}

const char* lr_mode_name(LrMode mode) {
  return mode == LrMode::kConstant ? "constant" : mode == LrMode::kCosine ? "cosine" : "step";
}

std::string describe_training(const TrainingRecipe& r) {
  std::string s;
  const auto add = [&](const char* key, const std::string& value) { s += std::string(key) + ": " + value + "\n"; };
  add("task", task_name(r.task));
  add("batch_size", text_of(r.batch_size));
  add("drop_last", text_of(r.drop_last));
  const AugmentOptions& a = r.augmentation;
  add("augmentation", join({text_of(a.horizontal_flip), text_of(a.crop_padding), text_of(a.crop_fill),
                            text_of(a.brightness), text_of(a.contrast), text_of(a.saturation), text_of(a.mixup)},
                           " "));
  if (a.affine() || a.mosaic > 0)
    add("geometry", join({text_of(a.scale_low), text_of(a.scale_high), text_of(a.translate), text_of(a.affine_fill),
                          text_of(a.mosaic), text_of(a.mosaic_epochs)},
                         " "));
  add("max_epochs", text_of(r.max_epochs));
  std::string updates;
  for (int64_t at : r.lr.updates) updates += " " + text_of(at);
  add("lr", join({lr_mode_name(r.lr.mode), text_of(r.lr.initial_lr), text_of(r.lr.cosine_final_lr_ratio),
                  text_of(r.lr.decay_factor), text_of(r.lr.warmup_epochs), text_of(r.lr.warmup_initial_lr),
                  text_of(r.lr.warmup_mode == WarmupMode::kPerStep), text_of(r.lr.cooldown_epochs)},
                 " ") +
                updates);
  const OptimizerOptions& o = r.optimizer;
  add("optimizer", join({optimizer_name(o.kind), text_of(o.momentum), text_of(o.nesterov), text_of(o.weight_decay),
                         text_of(o.beta1), text_of(o.beta2), text_of(o.eps)},
                        " "));
  add("zero_weight_decay_on_bias_and_bn", text_of(r.zero_weight_decay_on_bias_and_bn));
  add("loss", r.loss + " " + text_of(r.label_smoothing));
  const LossOptions& l = r.loss_options;
  if (r.task != Task::kClassification)
    add("loss_options",
        join({text_of(l.box_loss == BoxLoss::kGiou), text_of(l.box_weight), text_of(l.dice_weight)}, " "));
  add("ema",
      join({text_of(r.ema.enabled), text_of(r.ema.decay), text_of(static_cast<int>(r.ema.rule)), text_of(r.ema.beta)},
           " "));
  add("mixed_precision", text_of(r.mixed_precision));
  add("clip_grad_norm", text_of(r.clip_grad_norm));
  add("batch_accumulate", text_of(r.batch_accumulate));
  add("seed", std::to_string(r.seed));
  add("batch_norm", join({text_of(r.batch_norm.given), text_of(static_cast<int>(r.batch_norm.mode)),
                          text_of(r.batch_norm.freeze_after_steps), text_of(r.batch_norm.reestimate_batches)},
                         " "));
  add("ranges", text_of(static_cast<int>(r.ranges.learning)) + " " + text_of(r.ranges.lr_ratio));
  const DistillationOptions& d = r.distillation;
  add("distillation", join({text_of(d.enabled), text_of(d.temperature), text_of(d.weight), text_of(d.feature_weight),
                            join(d.features, " ")},
                           " "));
  return s;
}

}  // namespace octet
