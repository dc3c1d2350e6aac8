#include <algorithm>
#include <cmath>
#include <numbers>

#include "octet/training_recipe.h"

namespace octet {
namespace {

double warmup_rate(const LrSchedule& s, int64_t step, int64_t steps_per_epoch) {
  const double first = s.warmup_initial_lr.value_or(s.initial_lr / (s.warmup_epochs + 1.0));
  const double share = s.warmup_mode == WarmupMode::kPerStep
                           ? static_cast<double>(step) / static_cast<double>(s.warmup_epochs * steps_per_epoch)
                           : static_cast<double>(step / steps_per_epoch) / s.warmup_epochs;
  return first + (s.initial_lr - first) * share;
}

}  // namespace

double learning_rate(const LrSchedule& s, int64_t step, int64_t steps_per_epoch, int max_epochs) {
  const int64_t warmup = int64_t{s.warmup_epochs} * steps_per_epoch;
  if (step < warmup) return warmup_rate(s, step, steps_per_epoch);
  if (s.mode == LrMode::kConstant) return s.initial_lr;
  if (s.mode == LrMode::kStep) {
    const int64_t epoch = step / steps_per_epoch;
    const auto passed = std::count_if(s.updates.begin(), s.updates.end(), [&](int64_t at) { return at <= epoch; });
    return s.initial_lr * std::pow(s.decay_factor, static_cast<double>(passed));
  }
  const int64_t steps = (int64_t{max_epochs} - s.warmup_epochs - s.cooldown_epochs) * steps_per_epoch;
  const double t = steps > 0 ? std::min(1.0, static_cast<double>(step - warmup) / static_cast<double>(steps)) : 1.0;
  const double last = s.initial_lr * s.cosine_final_lr_ratio;
  return last + (s.initial_lr - last) * 0.5 * (1 + std::cos(std::numbers::pi * t));
}

double ema_decay(const EmaOptions& o, int64_t update, int64_t total) {
  const auto u = static_cast<double>(update);
  if (o.rule == EmaDecay::kConstant) return o.decay;
  if (o.rule == EmaDecay::kThreshold) return std::min(o.decay, (1 + u) / (10 + u));
  return o.decay * (1 - std::exp(-o.beta * u / static_cast<double>(std::max<int64_t>(1, total))));
}

bool takes_weight_decay(const TrainingRecipe& recipe, bool is_weight, bool is_range) {
  if (is_range) return false;
  return is_weight || !recipe.zero_weight_decay_on_bias_and_bn;
}

}  // namespace octet
