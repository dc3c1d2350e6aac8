#include "octet/repair_options.h"

#include <algorithm>

#include "base/text.h"

namespace octet {

const std::vector<std::string>& repair_method_names() {
  static const std::vector<std::string> kNames = {
      "smooth_quant", "cross_layer_equalization", "bias_absorption", "adaround", "gptq", "bias_correction"};
  return kNames;
}

namespace {

template <class T>
void set(std::optional<T>& method, bool on) {
  if (!on) method.reset();
  else if (!method) method.emplace();
}

}  // namespace

Status set_repair_method(RepairOptions& options, const std::string& name, bool on) {
  if (name == "smooth_quant") set(options.smooth_quant, on);
  else if (name == "cross_layer_equalization") set(options.cross_layer_equalization, on);
  else if (name == "bias_absorption") set(options.bias_absorption, on);
  else if (name == "adaround") set(options.adaround, on);
  else if (name == "gptq") set(options.gptq, on);
  else if (name == "bias_correction") set(options.bias_correction, on);
  else
    return invalid_argument("there is no repair method '" + name + "'; known are " +
                            join(repair_method_names(), ", ") + "." + did_you_mean(name, repair_method_names()));
  return Status::ok();
}

Status check_repair_options(const RepairOptions& o) {
  const auto inside = [](double x, double lo, double hi) { return x >= lo && x <= hi; };
  if (o.smooth_quant && !inside(o.smooth_quant->alpha, 0, 1))
    return invalid_argument("smooth_quant: alpha must lie between 0 and 1");
  if (o.cross_layer_equalization && !inside(o.cross_layer_equalization->max_clipped, 0, 1))
    return invalid_argument("cross_layer_equalization: max_clipped is a share between 0 and 1");
  if (o.bias_absorption && !inside(o.bias_absorption->deviations, 0, 100))
    return invalid_argument("bias_absorption: deviations must lie between 0 and 100");
  if (o.adaround) {
    const AdaRoundOptions& a = *o.adaround;
    if (a.iterations < 1 || a.iterations > 1000000)
      return invalid_argument("adaround: iterations must lie between 1 and 1000000");
    if (!inside(a.warm_start, 0, 1)) return invalid_argument("adaround: warm_start is a share between 0 and 1");
    if (!inside(a.regularization, 0, 1e6)) return invalid_argument("adaround: regularization must not be negative");
    if (!inside(a.beta_start, 1, 100) || !inside(a.beta_end, 1, 100))
      return invalid_argument("adaround: beta must lie between 1 and 100");
  }
  if (o.gptq && !inside(o.gptq->damping, 1e-8, 1e3))
    return invalid_argument("gptq: damping must lie between 1e-8 and 1000");
  if (o.adaround && o.gptq) return invalid_argument("adaround and gptq both round the weights; name one of them");
  if (o.images < 0) return invalid_argument("images must not be negative");
  return Status::ok();
}

}  // namespace octet
