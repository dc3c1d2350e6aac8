#include <charconv>

#include "octet/recipe.h"

namespace octet {
namespace {

// Text in single quotes, in which YAML knows one escape only: a doubled quote. Line breaks need double quotes.
std::string quoted(const std::string& text) {
  const bool plain = text.find_first_of("\n\r\t\\") == std::string::npos;
  std::string out(1, plain ? '\'' : '"');
  for (char c : text) {
    if (plain) out += c == '\'' ? "''" : std::string(1, c);
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (c == '"' || c == '\\') out += std::string("\\") + c;
    else out += c;
  }
  return out + (plain ? '\'' : '"');
}

std::string number(double value) {
  char buffer[64];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return code == std::errc() ? std::string(buffer, end) : "0";
}

std::string boolean(bool value) { return value ? "true" : "false"; }

std::string rule_line(const QuantizationRule& rule) {
  std::string body;
  auto add = [&](const char* key, const std::string& value) {
    body += (body.empty() ? "" : ", ") + std::string(key) + ": " + value;
  };
  auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) add(key, quoted(value));
  };
  auto optional_text = [&](const char* key, const std::optional<std::string>& value) {
    if (value) add(key, quoted(*value));
  };
  text("name", rule.name);
  text("glob", rule.glob);
  text("op", rule.op);
  text("structure", rule.structure);
  if (rule.skip) add("skip", boolean(*rule.skip));
  optional_text("precision", rule.precision);
  optional_text("weights", rule.weights);
  optional_text("activations", rule.activations);
  optional_text("calibrator_w", rule.calibrator_w);
  optional_text("calibrator_i", rule.calibrator_i);
  if (rule.percentile) add("percentile", number(*rule.percentile));
  if (rule.per_channel) add("per_channel", boolean(*rule.per_channel));
  if (rule.symmetric) add("symmetric", boolean(*rule.symmetric));
  if (rule.group_size) add("group_size", std::to_string(*rule.group_size));
  optional_text("mapping", rule.mapping);
  return "  - {" + body + "}\n";
}

std::string qat_block(const QatOptions& qat) {
  return "pre_launch_callbacks_list:\n  - QATRecipeModificationCallback:\n"
         "      batch_size_divisor: " +
         std::to_string(qat.batch_size_divisor) +
         "\n      max_epochs_divisor: " + std::to_string(qat.max_epochs_divisor) +
         "\n      lr_decay_factor: " + number(qat.lr_decay_factor) +
         "\n      warmup_epochs_divisor: " + std::to_string(qat.warmup_epochs_divisor) +
         "\n      cosine_final_lr_ratio: " + number(qat.cosine_final_lr_ratio) +
         "\n      disable_phase_callbacks: " + boolean(qat.disable_phase_callbacks) +
         "\n      disable_augmentations: " + boolean(qat.disable_augmentations) +
         "\n      keep_optimizer: " + boolean(qat.keep_optimizer) + "\n";
}

std::string selective_block(const QuantizationOptions& o) {
  std::string y = "selective_quantizer_params:\n";
  if (o.calibrator_w) y += "  calibrator_w: " + quoted(*o.calibrator_w) + "\n";
  if (o.calibrator_i) y += "  calibrator_i: " + quoted(*o.calibrator_i) + "\n";
  y += "  per_channel: " + boolean(o.per_channel) + "\n  learn_amax: " + boolean(o.learn_amax) + "\n";
  if (!o.skip_modules.empty()) {
    y += "  skip_modules:\n";
    for (const std::string& name : o.skip_modules) y += "    - " + quoted(name) + "\n";
  }
  return y;
}

std::string repair_block(const RepairOptions& r) {
  if (!r.any() && r.images == 0) return "";
  std::string y = "repair:\n";
  if (r.smooth_quant) y += "  smooth_quant: {alpha: " + number(r.smooth_quant->alpha) + "}\n";
  if (r.cross_layer_equalization)
    y += "  cross_layer_equalization: {max_clipped: " + number(r.cross_layer_equalization->max_clipped) + "}\n";
  if (r.bias_absorption) y += "  bias_absorption: {deviations: " + number(r.bias_absorption->deviations) + "}\n";
  if (r.adaround)
    y += "  adaround: {iterations: " + std::to_string(r.adaround->iterations) +
         ", warm_start: " + number(r.adaround->warm_start) +
         ", regularization: " + number(r.adaround->regularization) +
         ", beta_start: " + number(r.adaround->beta_start) + ", beta_end: " + number(r.adaround->beta_end) + "}\n";
  if (r.gptq)
    y += "  gptq: {damping: " + number(r.gptq->damping) + ", act_order: " + boolean(r.gptq->act_order) + "}\n";
  if (r.bias_correction)
    y += std::string("  bias_correction: {method: ") + (r.bias_correction->analytic ? "analytic" : "empirical") +
         "}\n";
  if (r.images > 0) y += "  images: " + std::to_string(r.images) + "\n";
  return y;
}

}  // namespace

std::string recipe_to_yaml(const QuantizationOptions& o) {
  std::string y = "regime: " + std::string(regime_name(o.regime)) + "\ntarget: " + quoted(o.target) +
                  "\nptq_only: " + boolean(o.ptq_only) + "\n" + selective_block(o);
  y += "calib_params:\n  histogram_calib_method: " + quoted(o.histogram_calib_method) +
       "\n  percentile: " + number(o.percentile) + "\n  num_calib_batches: " + std::to_string(o.num_calib_batches) +
       "\n  verbose: " + boolean(o.verbose) + "\n";
  y += "calibration:\n  images: " + std::to_string(o.calib_images) +
       "\n  batch_size: " + std::to_string(o.calib_batch_size) + "\n";
  if (o.bias) y += "bias: " + quoted(*o.bias) + "\n";
  if (o.weights) y += "weights: " + quoted(*o.weights) + "\n";
  if (o.activations) y += "activations: " + quoted(*o.activations) + "\n";
  if (o.symmetric) y += "symmetric: " + boolean(*o.symmetric) + "\n";
  if (!o.mappings.empty()) y += "mappings:\n";
  for (const auto& [pattern, treatment] : o.mappings) y += "  " + quoted(pattern) + ": " + quoted(treatment) + "\n";
  y += repair_block(o.repair);
  if (!o.rules.empty()) y += "rules:\n";
  for (const QuantizationRule& rule : o.rules) y += rule_line(rule);
  if (o.qat) y += qat_block(*o.qat);
  return y;
}

}  // namespace octet
