#include "quantization/target.h"

#include <algorithm>

#include "arith/quantize.h"
#include "base/files.h"
#include "base/text.h"
#include "graph/op_table.h"
#include "octet/quantization.h"
#include "quantization/embedded_files.h"
#include "yaml/yaml_reader.h"

namespace octet {
namespace {

const std::map<std::string, std::vector<std::string>>& treatments() {
  static const std::map<std::string, std::vector<std::string>> kTreatments = {
      {"residual_add", {"quantize_both", "quantize_skip", "float"}},
      {"concat", {"shared_scale", "separate", "float"}},
      {"silu", {"keep_fused_float", "quantize_input", "quantize_output", "quantize_all"}},
      {"hard_swish", {"keep_fused_float", "quantize_input", "quantize_output", "quantize_all"}},
  };
  return kTreatments;
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const OpInfo& op : all_ops()) names.emplace_back(op.op_type);
  return names;
}

Status read_type(YamlMap& map, const std::string& key, DType* out) {
  std::string text;
  OCTET_RETURN_IF_ERROR(map.read(key, &text));
  if (text.empty()) return Status::ok();
  *out = dtype_from_name(text);
  if (is_quantized_dtype(*out)) return Status::ok();
  return map.find(key)->error("'" + text + "' is not a type that tensors are quantized to; use int8, uint8, int4, " +
                              "uint4, int16, uint16, float8e4m3 or float8e5m2");
}

Status read_ops(YamlMap& map, const std::string& key, std::set<std::string>* out) {
  std::vector<std::string> names;
  OCTET_RETURN_IF_ERROR(map.read(key, &names));
  for (const std::string& name : names) {
    if (find_op("", name) == nullptr)
      return map.find(key)->error("'" + name + "' is not an operator that Octet knows." +
                                  did_you_mean(name, op_names()));
    out->insert(name);
  }
  return Status::ok();
}

Status read_types(YamlMap& map, Target* target) {
  if (const YamlNode* node = map.find("activations")) {
    OCTET_ASSIGN(YamlMap inner, YamlMap::open(*node, "activations"));
    OCTET_RETURN_IF_ERROR(read_type(inner, "type", &target->activation_type));
    OCTET_RETURN_IF_ERROR(inner.read("symmetric", &target->symmetric_activations));
    OCTET_RETURN_IF_ERROR(inner.finish());
  }
  if (const YamlNode* node = map.find("weights")) {
    OCTET_ASSIGN(YamlMap inner, YamlMap::open(*node, "weights"));
    OCTET_RETURN_IF_ERROR(read_type(inner, "type", &target->weight_type));
    OCTET_RETURN_IF_ERROR(inner.read("narrow_range", &target->narrow_weights));
    OCTET_RETURN_IF_ERROR(inner.finish());
  }
  std::string bias = "float32";
  OCTET_RETURN_IF_ERROR(map.read("bias", &bias));
  if (bias != "float32" && bias != "int32")
    return map.find("bias")->error("bias is float32 or int32, not '" + bias + "'");
  target->integer_bias = bias == "int32";
  return Status::ok();
}

Status read_blocks(YamlMap& map, Target* target) {
  for (const std::string& block : block_names()) target->blocks[block] = block_treatments(block).front();
  const YamlNode* node = map.find("blocks");
  if (node == nullptr) return Status::ok();
  OCTET_ASSIGN(YamlMap inner, YamlMap::open(*node, "blocks"));
  for (const std::string& block : block_names()) {
    OCTET_RETURN_IF_ERROR(inner.read(block, &target->blocks[block]));
    const Status known = check_mapping(block, target->blocks[block]);
    if (!known.is_ok()) return inner.find(block)->error(known.message());
  }
  return inner.finish();
}

Status read_precisions(YamlMap& map, Target* target) {
  OCTET_RETURN_IF_ERROR(map.read("precisions", &target->precisions));
  for (const std::string& name : target->precisions)
    if (const auto precision = parse_precision(name); !precision.is_ok())
      return map.find("precisions")->error(precision.status().message());
  return Status::ok();
}

Status read_keep_float(YamlMap& map, Target* target) {
  const YamlNode* node = map.find("keep_float");
  if (node == nullptr) return Status::ok();
  OCTET_ASSIGN(YamlMap inner, YamlMap::open(*node, "keep_float"));
  OCTET_RETURN_IF_ERROR(inner.read("min_channels", &target->min_channels));
  OCTET_RETURN_IF_ERROR(inner.read("gemv", &target->keep_gemv_float));
  OCTET_RETURN_IF_ERROR(inner.read("box_regression", &target->keep_box_regression_float));
  return inner.finish();
}

}  // namespace

Result<Target> parse_target(const std::string& text, const std::string& source) {
  OCTET_ASSIGN(const YamlNode root, parse_yaml(text, source));
  OCTET_ASSIGN(YamlMap map, YamlMap::open(root, "the target"));
  Target target;
  OCTET_RETURN_IF_ERROR(map.read("name", &target.name));
  OCTET_RETURN_IF_ERROR(map.read("summary", &target.summary));
  if (target.name.empty()) return root.error("a target needs a name");
  OCTET_RETURN_IF_ERROR(read_types(map, &target));
  OCTET_RETURN_IF_ERROR(read_ops(map, "weighted_ops", &target.weighted_ops));
  OCTET_RETURN_IF_ERROR(read_ops(map, "integer_ops", &target.integer_ops));
  OCTET_RETURN_IF_ERROR(read_ops(map, "commuting_ops", &target.commuting_ops));
  OCTET_RETURN_IF_ERROR(read_ops(map, "fused_activations", &target.fused_activations));
  OCTET_RETURN_IF_ERROR(read_ops(map, "requires_quantized_output", &target.requires_quantized_output));
  OCTET_RETURN_IF_ERROR(read_blocks(map, &target));
  OCTET_RETURN_IF_ERROR(read_precisions(map, &target));
  OCTET_RETURN_IF_ERROR(read_keep_float(map, &target));
  OCTET_RETURN_IF_ERROR(map.finish());
  return target;
}

Result<Target> load_target(const std::string& name_or_path) {
  for (const EmbeddedFile& file : embedded_targets())
    if (file.name == name_or_path) return parse_target(std::string(file.text), "targets/" + name_or_path + ".yaml");
  const bool is_path = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".yaml") ||
                       name_or_path.ends_with(".yml");
  if (!is_path)
    return not_found("there is no target '" + name_or_path + "'; built in are " + join(target_names(), ", ") +
                     ", and a path to a target file works too." + did_you_mean(name_or_path, target_names()));
  constexpr int64_t kLargest = 1 << 20;
  OCTET_ASSIGN(const std::string text, read_file(name_or_path, kLargest));
  return parse_target(text, name_or_path);
}

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_targets()) names.emplace_back(file.name);
  std::sort(names.begin(), names.end());
  return names;
}

const std::vector<std::string>& block_treatments(const std::string& block) {
  static const std::vector<std::string> kNone;
  const auto it = treatments().find(block);
  return it == treatments().end() ? kNone : it->second;
}

std::vector<std::string> block_names() {
  std::vector<std::string> names;
  for (const auto& [name, ignored] : treatments()) names.push_back(name);
  return names;
}

Status check_mapping(const std::string& pattern, const std::string& treatment) {
  std::vector<std::string> known = block_treatments(pattern);
  if (known.empty()) {
    if (find_op("", pattern) == nullptr) {
      std::vector<std::string> candidates = op_names();
      for (const std::string& block : block_names()) candidates.push_back(block);
      return invalid_argument("'" + pattern + "' is neither a block (" + join(block_names(), ", ") +
                              ") nor an operator that Octet knows." + did_you_mean(pattern, candidates));
    }
    known = {"float", "quantize"};
  }
  if (std::find(known.begin(), known.end(), treatment) != known.end()) return Status::ok();
  return invalid_argument("'" + pattern + "' cannot be mapped to '" + treatment + "'; it knows " + join(known, ", ") +
                          "." + did_you_mean(treatment, known));
}

}  // namespace octet
