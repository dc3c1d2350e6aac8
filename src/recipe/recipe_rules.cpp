#include "recipe/recipe_rules.h"

namespace octet {
namespace {

template <class T>
Status read_optional(YamlMap& map, const std::string& key, std::optional<T>* out) {
  const YamlNode* node = map.find(key);
  if (node == nullptr || node->is_null()) return Status::ok();
  T value{};
  OCTET_RETURN_IF_ERROR(map.read(key, &value));
  *out = std::move(value);
  return Status::ok();
}

Status read_actions(YamlMap& map, QuantizationRule* rule) {
  OCTET_RETURN_IF_ERROR(read_optional(map, "skip", &rule->skip));
  OCTET_RETURN_IF_ERROR(read_optional(map, "precision", &rule->precision));
  OCTET_RETURN_IF_ERROR(read_optional(map, "weights", &rule->weights));
  OCTET_RETURN_IF_ERROR(read_optional(map, "activations", &rule->activations));
  OCTET_RETURN_IF_ERROR(read_optional(map, "calibrator_w", &rule->calibrator_w));
  OCTET_RETURN_IF_ERROR(read_optional(map, "calibrator_i", &rule->calibrator_i));
  OCTET_RETURN_IF_ERROR(read_optional(map, "percentile", &rule->percentile));
  OCTET_RETURN_IF_ERROR(read_optional(map, "per_channel", &rule->per_channel));
  OCTET_RETURN_IF_ERROR(read_optional(map, "symmetric", &rule->symmetric));
  OCTET_RETURN_IF_ERROR(read_optional(map, "group_size", &rule->group_size));
  return read_optional(map, "mapping", &rule->mapping);
}

}  // namespace

Result<QuantizationRule> read_rule(const YamlNode& node) {
  if (!node.is_map()) return node.error("a rule is a map, as {op: Conv, skip: true}");
  OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "a rule"));
  QuantizationRule rule;
  rule.place = node.place();
  OCTET_RETURN_IF_ERROR(map.read("name", &rule.name));
  OCTET_RETURN_IF_ERROR(map.read("glob", &rule.glob));
  OCTET_RETURN_IF_ERROR(map.read("op", &rule.op));
  OCTET_RETURN_IF_ERROR(map.read("structure", &rule.structure));
  OCTET_RETURN_IF_ERROR(read_actions(map, &rule));
  OCTET_RETURN_IF_ERROR(map.finish());
  if (rule.name.empty() && rule.glob.empty() && rule.op.empty() && rule.structure.empty())
    return node.error("the rule says nothing about where it holds; give name, glob, op or structure");
  const bool acts = rule.skip || rule.precision || rule.weights || rule.activations || rule.calibrator_w ||
                    rule.calibrator_i || rule.percentile || rule.per_channel || rule.symmetric || rule.group_size ||
                    rule.mapping;
  if (!acts)
    return node.error(
        "the rule does nothing; give skip, precision, weights, activations, calibrator_w, calibrator_i, "
        "percentile, per_channel, symmetric, group_size or mapping");
  return rule;
}

}  // namespace octet
