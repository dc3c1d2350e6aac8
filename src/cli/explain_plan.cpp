#include "cli/explain_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/console.h"

namespace octet::cli {
namespace {

const char* words_for(NodeDecision decision) {
  switch (decision) {
    case NodeDecision::kQuantized: return "computes in integers";
    case NodeDecision::kWeightOnly: return "has quantized weights and computes in float";
    case NodeDecision::kInteger: return "runs between DequantizeLinear and QuantizeLinear, so in integers";
    case NodeDecision::kCarries: return "moves codes without changing them";
    case NodeDecision::kFused: return "is part of the operator in front of it";
    case NodeDecision::kFloat: return "stays in float";
  }
  return "";
}

std::string granularity(const TensorPlan& t, const QuantParams* p) {
  if (t.block_size > 0) return fmt::format("one scale per {} elements along axis {}", t.block_size, t.axis);
  if (t.axis >= 0) return fmt::format("{} scales along axis {}", p != nullptr ? p->scale.size() : 0, t.axis);
  if (p == nullptr) return "one scale";
  const int32_t zero = p->zero_point_at(0);
  return fmt::format("scale {:.6g}{}", p->scale[0], zero != 0 ? fmt::format(", zero point {}", zero) : "");
}

// "input 0, 'relu1' as uint8, scale 0.02, by percentile".
std::string words_for(const QuantizationPlan& plan, const std::string& name, const TensorPlan& t, int input) {
  if (t.dtype == DType::kFloat16) return fmt::format("input {}, '{}', is stored in float16", input, name);
  std::string text = fmt::format("input {}, {} '{}', as {}, {}", input, tensor_role_name(t.role), name,
                                 dtype_name(t.dtype), granularity(t, plan.params_of(name)));
  if (!t.same_as.empty()) text += fmt::format(", those of '{}'", t.same_as);
  else if (!t.calibrator.empty()) text += ", calibrator " + t.calibrator;
  return text + (t.why.empty() ? "" : " (" + t.why + ")");
}

// Node -> its quantized inputs, in order.
std::map<std::string, std::map<int, std::string>> inputs_by_node(const QuantizationPlan& plan) {
  std::map<std::string, std::map<int, std::string>> inputs;
  for (const auto& [name, t] : plan.tensors)
    for (const TensorReader& reader : t.readers)
      inputs[reader.node][reader.input] = words_for(plan, name, t, reader.input);
  return inputs;
}

std::string counts(const QuantizationPlan& plan) {
  std::map<std::string, int> numbers;
  for (const NodePlan& n : plan.nodes) ++numbers[node_decision_name(n.decision)];
  std::string text;
  for (const auto& [decision, n] : numbers) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", n, decision);
  return text;
}

}  // namespace

std::string explain_plan_text(const QuantizationPlan& plan, size_t rows) {
  const auto inputs = inputs_by_node(plan);
  std::string text =
      fmt::format("{} plan for target {}: {} nodes ({}), {} quantized tensors\n", regime_name(plan.regime),
                  plan.target, plan.nodes.size(), counts(plan), plan.tensors.size());
  for (const std::string& note : plan.notes) text += "note: " + note + "\n";
  size_t shown = 0;
  for (const NodePlan& n : plan.nodes) {
    if (rows != 0 && shown == rows) break;
    ++shown;
    text += fmt::format("\n'{}' ({}) {}{}\n", n.name, n.op_type, words_for(n.decision),
                        n.why.empty() ? "" : ": " + n.why);
    if (const auto it = inputs.find(n.name); it != inputs.end())
      for (const auto& [input, words] : it->second) text += "  " + words + "\n";
    if (n.integer_bias) text += "  its bias is int32 of scale input times weight\n";
  }
  if (shown < plan.nodes.size())
    text += fmt::format("\n... {} more nodes; --rows 0 shows all\n", plan.nodes.size() - shown);
  return text;
}

std::string explain_plan_json(const QuantizationPlan& plan) {
  const auto inputs = inputs_by_node(plan);
  nlohmann::ordered_json root;
  root["target"] = plan.target;
  root["regime"] = regime_name(plan.regime);
  root["notes"] = plan.notes;
  root["nodes"] = nlohmann::ordered_json::array();
  for (const NodePlan& n : plan.nodes) {
    nlohmann::ordered_json j = {{"name", n.name}, {"op", n.op_type}, {"decision", node_decision_name(n.decision)}};
    j["words"] = words_for(n.decision);
    j["why"] = n.why;
    j["inputs"] = nlohmann::ordered_json::array();
    if (const auto it = inputs.find(n.name); it != inputs.end())
      for (const auto& [input, words] : it->second) j["inputs"].push_back(words);
    root["nodes"].push_back(std::move(j));
  }
  return root.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace octet::cli
