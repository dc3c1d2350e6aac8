#include "quantization/settings.h"

#include <algorithm>

#include "arith/quantize.h"
#include "base/text.h"
#include "quantization/keep_float.h"
#include "quantization/structure.h"

namespace octet {
namespace {

const std::vector<std::string> kCalibrators = {"max", "percentile", "entropy", "mse", "auto"};

NodeSettings default_settings(const QuantizationOptions& options, const Target& target) {
  NodeSettings s;
  s.weights = target.weight_type;
  s.narrow_weights = target.narrow_weights;
  s.activations = target.activation_type;
  s.symmetric = options.symmetric.value_or(target.symmetric_activations);
  s.calibrator_w = options.calibrator_w.value_or("max");
  if (s.calibrator_w == "histogram") s.calibrator_w = options.histogram_calib_method;
  const std::string input =
      options.calibrator_i.value_or(options.regime == Regime::kSelective ? "auto" : "histogram");
  s.calibrator_i = input == "histogram" ? options.histogram_calib_method : input;
  s.percentile = options.percentile;
  s.per_channel = options.per_channel;
  return s;
}

Result<DType> read_half(const std::string& text, const char* what, bool weights) {
  const DType type = dtype_from_name(text == "fp8e4m3" ? "float8e4m3" : text == "fp8e5m2" ? "float8e5m2" : text);
  const bool plain = type == DType::kFloat32 || (weights && type == DType::kFloat16);
  if (plain || is_quantized_dtype(type)) return type;
  return invalid_argument("'" + text + "' is not a type for " + what + "; use float32, " +
                          (weights ? "float16, " : "") + "int4, int8, uint8, int16, float8e4m3, ...");
}

// The types of the options in place of the target's.
Status apply_types(const QuantizationOptions& options, NodeSettings* s) {
  if (options.weights) {
    OCTET_ASSIGN(s->weights, read_half(*options.weights, "weights", true));
  }
  if (options.activations) {
    OCTET_ASSIGN(s->activations, read_half(*options.activations, "activations", false));
  }
  return Status::ok();
}

std::string label(const QuantizationRule& rule) {
  return rule.place.empty() ? std::string("a rule") : "the rule at " + rule.place;
}

// What the rule asks for as types; undefined halves are left as they are.
Result<Precision> rule_precision(const QuantizationRule& rule) {
  Precision p;
  if (rule.precision) {
    OCTET_ASSIGN(p, parse_precision(*rule.precision));
  }
  if (rule.weights) {
    OCTET_ASSIGN(p.weights, read_half(*rule.weights, "weights", true));
  }
  if (rule.activations) {
    OCTET_ASSIGN(p.activations, read_half(*rule.activations, "activations", false));
  }
  return p;
}

void apply_precision(const QuantizationRule& rule, const Precision& p, const NodeSettings& defaults,
                     NodeSettings* s) {
  if (!rule.precision && !rule.weights && !rule.activations) return;
  s->weights = p.weights != DType::kUndefined ? p.weights : rule.precision ? defaults.weights : s->weights;
  s->activations = p.activations != DType::kUndefined ? p.activations
                   : rule.precision                   ? defaults.activations
                                                      : s->activations;
  const bool nothing = s->weights == DType::kFloat32 && s->activations == DType::kFloat32;
  s->float_reason = nothing ? "kept in float: " + label(rule) + " says float32" : "";
}

void apply_rule(const QuantizationRule& rule, const Precision& p, const QuantizationOptions& options,
                const NodeSettings& defaults, NodeSettings* s) {
  apply_precision(rule, p, defaults, s);
  if (rule.skip) s->float_reason = *rule.skip ? "kept in float: " + label(rule) + " skips it" : "";
  if (rule.calibrator_w)
    s->calibrator_w = *rule.calibrator_w == "histogram" ? options.histogram_calib_method : *rule.calibrator_w;
  if (rule.calibrator_i)
    s->calibrator_i = *rule.calibrator_i == "histogram" ? options.histogram_calib_method : *rule.calibrator_i;
  if (rule.percentile) s->percentile = *rule.percentile;
  if (rule.per_channel) s->per_channel = *rule.per_channel;
  if (rule.symmetric) s->symmetric = *rule.symmetric;
  if (rule.group_size) s->group_size = *rule.group_size;
  if (rule.mapping) s->mapping = *rule.mapping;
  s->source = label(rule);
}

// "float" on a node is a decision about the node; "quantize" takes a keep-in-float advice back.
void apply_mapping(const std::string& treatment, const std::string& who, NodeSettings* s) {
  if (treatment == "float") s->float_reason = "kept in float: " + who + " maps it to float";
  else if (treatment == "quantize") s->float_reason.clear();
  s->mapping = treatment;
}

Status apply_op_mappings(const Network& net, const QuantizationOptions& options,
                         std::vector<NodeSettings>* settings) {
  for (const auto& [pattern, treatment] : options.mappings) {
    OCTET_RETURN_IF_ERROR(check_mapping(pattern, treatment));
    if (!block_treatments(pattern).empty()) continue;  // blocks are looked up where they are placed
    for (size_t i = 0; i < settings->size(); ++i)
      if (net.node(i).op_type == pattern) apply_mapping(treatment, "the mapping of " + pattern, &(*settings)[i]);
  }
  return Status::ok();
}

Status apply_skips(const Network& net, const QuantizationOptions& options, std::vector<NodeSettings>* settings) {
  for (const std::string& entry : options.skip_modules) {
    const std::vector<size_t> nodes = is_glob(entry) ? nodes_matching(net, entry) : std::vector<size_t>();
    std::vector<size_t> exact = nodes_named(net, entry);  // a name may contain the characters of a glob
    if (exact.empty()) exact = nodes;
    if (exact.empty()) {
      const Status missing =
          not_found("skip_modules: '" + entry + "' matches no node." + did_you_mean(entry, known_names(net)));
      return options.skip_modules_place.empty() ? missing : missing.at(options.skip_modules_place);
    }
    for (size_t i : exact) (*settings)[i].float_reason = "kept in float: skip_modules names '" + entry + "'";
  }
  return Status::ok();
}

Status check_rule(const QuantizationRule& rule) {
  if (rule.calibrator_w) OCTET_RETURN_IF_ERROR(check_calibrator(*rule.calibrator_w));
  if (rule.calibrator_i) OCTET_RETURN_IF_ERROR(check_calibrator(*rule.calibrator_i));
  if (rule.percentile && (*rule.percentile <= 0 || *rule.percentile > 100))
    return invalid_argument("percentile must lie above 0 and at most at 100");
  if (rule.group_size && *rule.group_size < 0) return invalid_argument("group_size must not be negative");
  auto precision = rule_precision(rule);
  if (!precision.is_ok()) return precision.status();
  if (!rule.mapping) return Status::ok();
  std::vector<std::string> all{"float", "quantize"};
  for (const std::string& block : block_names())
    for (const std::string& t : block_treatments(block)) all.push_back(t);
  if (std::find(all.begin(), all.end(), *rule.mapping) != all.end()) return Status::ok();
  return invalid_argument("'" + *rule.mapping + "' is not a mapping that a block knows." +
                          did_you_mean(*rule.mapping, all));
}

}  // namespace

Status check_calibrator(const std::string& name) {
  std::vector<std::string> known = kCalibrators;
  known.emplace_back("histogram");
  if (std::find(known.begin(), known.end(), name) != known.end()) return Status::ok();
  return invalid_argument("there is no calibrator '" + name + "'; known are " + join(known, ", ") + "." +
                          did_you_mean(name, known));
}

Status check_options(const QuantizationOptions& options) {
  if (options.calibrator_w) OCTET_RETURN_IF_ERROR(check_calibrator(*options.calibrator_w).at("calibrator_w"));
  if (options.calibrator_i) OCTET_RETURN_IF_ERROR(check_calibrator(*options.calibrator_i).at("calibrator_i"));
  if (options.histogram_calib_method == "histogram")
    return invalid_argument("histogram_calib_method: name a method (percentile, entropy, mse, max or auto)");
  OCTET_RETURN_IF_ERROR(check_calibrator(options.histogram_calib_method).at("histogram_calib_method"));
  if (!(options.percentile > 0 && options.percentile <= 100))
    return invalid_argument("percentile must lie above 0 and at most at 100");
  if (options.num_calib_batches < 1) return invalid_argument("num_calib_batches must be at least 1");
  if (options.bias && *options.bias != "int32" && *options.bias != "float32")
    return invalid_argument("bias is int32 or float32, not '" + *options.bias + "'");
  NodeSettings types;
  OCTET_RETURN_IF_ERROR(apply_types(options, &types));
  for (const auto& [pattern, treatment] : options.mappings) OCTET_RETURN_IF_ERROR(check_mapping(pattern, treatment));
  for (const QuantizationRule& rule : options.rules) {
    const Status status = check_rule(rule);
    if (!status.is_ok()) return rule.place.empty() ? status : status.at(rule.place);
  }
  OCTET_RETURN_IF_ERROR(check_repair_options(options.repair).at("repair"));
  if (options.regime == Regime::kNaive && !(options.rules.empty() && options.skip_modules.empty()))
    return invalid_argument(
        "the naive regime makes no exceptions, so it takes neither rules nor skip_modules; use regime hybrid or "
        "selective, or the keys 'weights' and 'activations' for another type everywhere");
  return Status::ok();
}

Result<std::vector<NodeSettings>> resolve_settings(const Network& net, const QuantizationOptions& options,
                                                   const Target& target) {
  OCTET_RETURN_IF_ERROR(check_options(options));
  const NodeSettings defaults = default_settings(options, target);
  NodeSettings everywhere = defaults;
  OCTET_RETURN_IF_ERROR(apply_types(options, &everywhere));
  std::vector<NodeSettings> settings(net.graph.nodes.size(), everywhere);
  if (options.regime == Regime::kSelective) {
    const std::vector<std::string> reasons = keep_float_reasons(net, target);
    for (size_t i = 0; i < settings.size(); ++i) settings[i].float_reason = reasons[i];
  }
  OCTET_RETURN_IF_ERROR(apply_op_mappings(net, options, &settings));
  OCTET_RETURN_IF_ERROR(apply_skips(net, options, &settings));
  for (const QuantizationRule& rule : options.rules) {
    OCTET_ASSIGN(const std::vector<size_t> nodes, nodes_of_rule(net, rule));
    OCTET_ASSIGN(const Precision precision, rule_precision(rule));
    for (size_t i : nodes) {
      apply_rule(rule, precision, options, defaults, &settings[i]);
      if (rule.mapping) apply_mapping(*rule.mapping, label(rule), &settings[i]);
    }
  }
  return settings;
}

Result<Precision> parse_precision(const std::string& text) {
  using enum DType;
  static const std::map<std::string, Precision> kKnown = {{"float32", {kFloat32, kFloat32}},
                                                          {"fp32", {kFloat32, kFloat32}},
                                                          {"float", {kFloat32, kFloat32}},
                                                          {"float16", {kFloat16, kFloat32}},
                                                          {"fp16", {kFloat16, kFloat32}},
                                                          {"int8", {kUndefined, kUndefined}},
                                                          {"uint8", {kUndefined, kUint8}},
                                                          {"int16", {kInt8, kInt16}},
                                                          {"uint16", {kInt8, kUint16}},
                                                          {"int4", {kInt4, kFloat32}},
                                                          {"uint4", {kUint4, kFloat32}},
                                                          {"w4a8", {kInt4, kUndefined}},
                                                          {"w4a16", {kInt4, kInt16}},
                                                          {"w4a32", {kInt4, kFloat32}},
                                                          {"w8a8", {kUndefined, kUndefined}},
                                                          {"w8a16", {kInt8, kInt16}},
                                                          {"w8a32", {kInt8, kFloat32}},
                                                          {"fp8e4m3", {kFloat8E4M3, kFloat8E4M3}},
                                                          {"fp8e5m2", {kFloat8E5M2, kFloat8E5M2}},
                                                          {"float8e4m3", {kFloat8E4M3, kFloat8E4M3}},
                                                          {"float8e5m2", {kFloat8E5M2, kFloat8E5M2}}};
  const auto it = kKnown.find(to_lower(text));
  if (it != kKnown.end()) return it->second;
  std::vector<std::string> names;
  for (const auto& [name, ignored] : kKnown) names.push_back(name);
  return invalid_argument("'" + text + "' is not a precision; known are " + join(names, ", ") + "." +
                          did_you_mean(text, names));
}

const char* regime_name(Regime regime) {
  switch (regime) {
    case Regime::kNaive: return "naive";
    case Regime::kHybrid: return "hybrid";
    case Regime::kSelective: return "selective";
  }
  return "selective";
}

}  // namespace octet
