// plan.json: one line per tensor and per node, each with its reason.
#include <charconv>

#include "arith/quantize.h"
#include "base/files.h"
#include "octet/quantization.h"
#include "quantization/json_text.h"

namespace octet {
namespace {

constexpr const char* kFormat = "octet-plan";

std::string tensor_line(const TensorPlan& t) {
  JsonLine line;
  line.add("type", dtype_name(t.dtype));
  if (!t.same_as.empty()) line.add("same_as", t.same_as);
  if (!t.params.scale.empty()) {
    line.add("scale", t.params.scale);
    line.add("zero_point", t.params.zero_point.empty() ? std::vector<int32_t>{0} : t.params.zero_point);
  }
  if (t.axis >= 0) line.add("axis", static_cast<int64_t>(t.axis));
  if (t.block_size > 0) line.add("block_size", t.block_size);
  if (t.narrow_range) line.add("narrow_range", true);
  line.add("role", tensor_role_name(t.role)).add("symmetric", t.symmetric);
  if (!t.calibrator.empty()) line.add("calibrator", t.calibrator).add("percentile", t.percentile);
  if (!t.covers.empty()) line.add("covers", t.covers);
  std::vector<std::string> readers;
  for (const TensorReader& r : t.readers) readers.push_back(r.node + ":" + std::to_string(r.input));
  line.add("readers", readers).add("why", t.why);
  return line.text();
}

Status read_role(JsonObject& object, TensorRole* role) {
  std::string text = tensor_role_name(*role);
  OCTET_RETURN_IF_ERROR(object.read("role", &text));
  for (TensorRole candidate : {TensorRole::kActivation, TensorRole::kWeight, TensorRole::kConstant}) {
    if (text != tensor_role_name(candidate)) continue;
    *role = candidate;
    return Status::ok();
  }
  return object.error("role", "expected activation, weight or constant");
}

Status read_readers(JsonObject& object, std::vector<TensorReader>* out) {
  std::vector<std::string> texts;
  OCTET_RETURN_IF_ERROR(object.read("readers", &texts));
  for (size_t i = 0; i < texts.size(); ++i) {
    const size_t colon = texts[i].rfind(':');
    TensorReader reader;
    const char* begin = texts[i].data() + (colon == std::string::npos ? 0 : colon + 1);
    const auto [end, code] = std::from_chars(begin, texts[i].data() + texts[i].size(), reader.input);
    if (colon == std::string::npos || code != std::errc() || end != texts[i].data() + texts[i].size())
      return object.error("readers/" + std::to_string(i), "expected \"node:input\", as \"conv1:0\"");
    reader.node = texts[i].substr(0, colon);
    out->push_back(std::move(reader));
  }
  return Status::ok();
}

Status read_type(JsonObject& object, TensorPlan* t) {
  std::string type;
  OCTET_RETURN_IF_ERROR(object.read("type", &type));
  t->dtype = dtype_from_name(type);
  const bool stored = t->role == TensorRole::kWeight && t->dtype == DType::kFloat16;
  if (is_quantized_dtype(t->dtype) || stored) return Status::ok();
  return object.error("type", "'" + type + "' is not a type that tensors are quantized to; use int8, uint8, int16, " +
                                  "int4, float8e4m3, ..., or remove the line to leave the tensor in float");
}

Result<TensorPlan> read_tensor(const nlohmann::json& value, const std::string& path) {
  OCTET_ASSIGN(JsonObject object, JsonObject::open(value, path));
  TensorPlan t;
  OCTET_RETURN_IF_ERROR(read_role(object, &t.role));
  OCTET_RETURN_IF_ERROR(read_type(object, &t));
  OCTET_RETURN_IF_ERROR(object.read("same_as", &t.same_as));
  OCTET_RETURN_IF_ERROR(object.read("scale", &t.params.scale));
  OCTET_RETURN_IF_ERROR(object.read("zero_point", &t.params.zero_point));
  OCTET_RETURN_IF_ERROR(object.read("axis", &t.axis));
  OCTET_RETURN_IF_ERROR(object.read("block_size", &t.block_size));
  OCTET_RETURN_IF_ERROR(object.read("narrow_range", &t.narrow_range));
  OCTET_RETURN_IF_ERROR(object.read("symmetric", &t.symmetric));
  OCTET_RETURN_IF_ERROR(object.read("calibrator", &t.calibrator));
  OCTET_RETURN_IF_ERROR(object.read("percentile", &t.percentile));
  OCTET_RETURN_IF_ERROR(object.read("covers", &t.covers));
  OCTET_RETURN_IF_ERROR(object.read("why", &t.why));
  OCTET_RETURN_IF_ERROR(read_readers(object, &t.readers));
  OCTET_RETURN_IF_ERROR(object.finish());
  t.params.dtype = t.dtype;
  t.params.axis = t.axis;
  t.params.block_size = t.block_size;
  t.params.narrow_range = t.narrow_range;
  std::vector<int32_t>& zero = t.params.zero_point;
  if (zero.size() == 1 && t.params.scale.size() > 1) zero.resize(t.params.scale.size(), zero[0]);
  bool all_zero = true;
  for (int32_t z : zero) all_zero = all_zero && z == 0;
  if (all_zero) zero.clear();
  return t;
}

std::string node_line(const NodePlan& n) {
  JsonLine line;
  line.add("name", n.name).add("op", n.op_type).add("decision", node_decision_name(n.decision));
  if (n.integer_bias) line.add("bias", "int32");
  return line.add("why", n.why).text();
}

Result<NodePlan> read_node(const nlohmann::json& value, const std::string& path) {
  OCTET_ASSIGN(JsonObject object, JsonObject::open(value, path));
  NodePlan n;
  std::string decision = "float", bias = "float32";
  OCTET_RETURN_IF_ERROR(object.read("name", &n.name));
  OCTET_RETURN_IF_ERROR(object.read("op", &n.op_type));
  OCTET_RETURN_IF_ERROR(object.read("decision", &decision));
  OCTET_RETURN_IF_ERROR(object.read("bias", &bias));
  OCTET_RETURN_IF_ERROR(object.read("why", &n.why));
  OCTET_RETURN_IF_ERROR(object.finish());
  if (bias != "int32" && bias != "float32") return object.error("bias", "expected int32 or float32");
  n.integer_bias = bias == "int32";
  for (int d = 0; d <= static_cast<int>(NodeDecision::kFloat); ++d) {
    if (decision != node_decision_name(static_cast<NodeDecision>(d))) continue;
    n.decision = static_cast<NodeDecision>(d);
    return n;
  }
  return object.error("decision", "'" + decision + "' is not a decision");
}

Status read_lists(JsonObject& root, QuantizationPlan* plan) {
  const nlohmann::json* tensors = root.find("tensors");
  const nlohmann::json* nodes = root.find("nodes");
  if (tensors == nullptr || !tensors->is_object()) return root.error("tensors", "expected an object { ... }");
  for (const auto& [name, value] : tensors->items()) {
    OCTET_ASSIGN(TensorPlan tensor, read_tensor(value, "/tensors/" + name));
    plan->tensors.emplace(name, std::move(tensor));
  }
  if (nodes == nullptr) return Status::ok();
  if (!nodes->is_array()) return root.error("nodes", "expected a list [ ... ]");
  for (size_t i = 0; i < nodes->size(); ++i) {
    OCTET_ASSIGN(NodePlan node, read_node((*nodes)[i], "/nodes/" + std::to_string(i)));
    plan->nodes.push_back(std::move(node));
  }
  return Status::ok();
}

Result<QuantizationPlan> read_plan(const nlohmann::json& document) {
  OCTET_ASSIGN(JsonObject root, JsonObject::open(document, ""));
  QuantizationPlan plan;
  std::string regime = regime_name(plan.regime);
  OCTET_RETURN_IF_ERROR(read_artifact_head(root, kFormat, &plan.fingerprint));
  OCTET_RETURN_IF_ERROR(root.read("target", &plan.target));
  OCTET_RETURN_IF_ERROR(root.read("regime", &regime));
  OCTET_RETURN_IF_ERROR(root.read("notes", &plan.notes));
  OCTET_RETURN_IF_ERROR(read_lists(root, &plan));
  OCTET_RETURN_IF_ERROR(root.finish());
  for (Regime r : {Regime::kNaive, Regime::kHybrid, Regime::kSelective}) {
    if (regime != regime_name(r)) continue;
    plan.regime = r;
    return plan;
  }
  return root.error("regime", "expected naive, hybrid or selective");
}

}  // namespace

std::string plan_to_json(const QuantizationPlan& plan) {
  std::vector<std::pair<std::string, std::string>> tensors;
  for (const auto& [name, t] : plan.tensors) tensors.emplace_back(name, tensor_line(t));
  std::string text = "{\n  \"format\": \"" + std::string(kFormat) +
                     "\",\n  \"version\": 1,\n  \"network\": " + json_quote(plan.fingerprint) +
                     ",\n  \"target\": " + json_quote(plan.target) + ",\n  \"regime\": \"" +
                     regime_name(plan.regime) + "\",\n  \"notes\": [";
  for (size_t i = 0; i < plan.notes.size(); ++i) text += (i == 0 ? "" : ", ") + json_quote(plan.notes[i]);
  text += "],\n" + json_block("tensors", tensors) + ",\n  \"nodes\": [\n";
  for (size_t i = 0; i < plan.nodes.size(); ++i)
    text += "    " + node_line(plan.nodes[i]) + (i + 1 < plan.nodes.size() ? ",\n" : "\n");
  return text + "  ]\n}\n";
}

Result<QuantizationPlan> plan_from_json(const std::string& text, const std::string& source) {
  OCTET_ASSIGN(const nlohmann::json document, parse_json(text, source));
  return read_plan(document).at(source);
}

Status save_plan(const QuantizationPlan& plan, const std::string& path) {
  return write_file_atomically(path, plan_to_json(plan));
}

Result<QuantizationPlan> load_plan(const std::string& path) {
  OCTET_ASSIGN(const std::string text, read_file(path, int64_t{1} << 30));
  return plan_from_json(text, path);
}

}  // namespace octet
