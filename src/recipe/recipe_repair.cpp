#include "recipe/recipe_repair.h"

#include "base/text.h"

namespace octet {
namespace {

Status read_adaround(YamlMap& map, AdaRoundOptions* o) {
  OCTET_RETURN_IF_ERROR(map.read("iterations", &o->iterations));
  OCTET_RETURN_IF_ERROR(map.read("warm_start", &o->warm_start));
  OCTET_RETURN_IF_ERROR(map.read("regularization", &o->regularization));
  OCTET_RETURN_IF_ERROR(map.read("beta_start", &o->beta_start));
  return map.read("beta_end", &o->beta_end);
}

Status read_bias_correction(YamlMap& map, BiasCorrectionOptions* o) {
  std::string method = o->analytic ? "analytic" : "empirical";
  OCTET_RETURN_IF_ERROR(map.read("method", &method));
  o->analytic = method == "analytic";
  if (o->analytic || method == "empirical") return Status::ok();
  return map.find("method")->error("the method is empirical or analytic, not '" + method + "'." +
                                   did_you_mean(method, {"empirical", "analytic"}));
}

// The options of a method that is switched on.
Status read_method(const std::string& name, const YamlNode& node, RepairOptions* o) {
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, name));
  if (name == "smooth_quant") OCTET_RETURN_IF_ERROR(map.read("alpha", &o->smooth_quant->alpha));
  if (name == "cross_layer_equalization")
    OCTET_RETURN_IF_ERROR(map.read("max_clipped", &o->cross_layer_equalization->max_clipped));
  if (name == "bias_absorption") OCTET_RETURN_IF_ERROR(map.read("deviations", &o->bias_absorption->deviations));
  if (name == "adaround") OCTET_RETURN_IF_ERROR(read_adaround(map, &*o->adaround));
  if (name == "gptq") {
    OCTET_RETURN_IF_ERROR(map.read("damping", &o->gptq->damping));
    OCTET_RETURN_IF_ERROR(map.read("act_order", &o->gptq->act_order));
  }
  if (name == "bias_correction") OCTET_RETURN_IF_ERROR(read_bias_correction(map, &*o->bias_correction));
  return map.finish();
}

Status switch_method(const std::string& name, const YamlNode& node, bool on, RepairOptions* o) {
  const Status known = set_repair_method(*o, name, on);
  return known.is_ok() ? known : node.error(known.message());
}

Status read_map(const YamlNode& node, RepairOptions* options) {
  for (const auto& [name, child] : node.entries()) {
    if (name == "images") {
      OCTET_ASSIGN(options->images, child.as_int());
      if (options->images < 0) return child.error("the number of images must not be negative");
      continue;
    }
    if (child.is_scalar()) {
      OCTET_RETURN_IF_ERROR(switch_method(name, child, true, options));  // an unknown name first
      OCTET_ASSIGN(const bool on, child.as_bool());
      OCTET_RETURN_IF_ERROR(switch_method(name, child, on, options));
      continue;
    }
    OCTET_RETURN_IF_ERROR(switch_method(name, child, true, options));
    OCTET_RETURN_IF_ERROR(read_method(name, child, options));
  }
  return Status::ok();
}

}  // namespace

Status read_repair(const YamlNode& node, RepairOptions* options) {
  if (node.is_map()) {
    OCTET_RETURN_IF_ERROR(read_map(node, options));
  } else if (!node.is_null()) {
    OCTET_ASSIGN(const std::vector<std::string> names, node.as_strings());
    for (const std::string& name : names) OCTET_RETURN_IF_ERROR(switch_method(name, node, true, options));
  }
  const Status valid = check_repair_options(*options);
  return valid.is_ok() ? valid : node.error(valid.message());
}

}  // namespace octet
