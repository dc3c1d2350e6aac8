// The steps of SelectiveQuantizer: prepare and finish, skips, mappings and rewrites.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "graph/verify.h"
#include "octet/quantization.h"
#include "passes/fusion_patterns.h"
#include "passes/operator_traits.h"
#include "quantization/params.h"
#include "quantization/placement.h"

namespace octet {
namespace {

Status refuse_quantized(const Graph& graph) {
  for (const Node& n : graph.nodes)
    if (is_quantize_or_dequantize(n))
      return invalid_argument("node '" + n.name + "' (" + n.op_type +
                              "): the network is quantized already; give the " + "float network it came from");
  return Status::ok();
}

Result<QuantizationPlan> plan_for(const Graph& graph, const QuantizationOptions& options,
                                  const std::map<std::string, std::string>& excluded,
                                  const Ranges* ranges = nullptr) {
  OCTET_RETURN_IF_ERROR(refuse_quantized(graph));
  OCTET_ASSIGN(const Target target, load_target(options.target));
  const Network net(graph);
  OCTET_ASSIGN(const std::vector<NodeSettings> settings, resolve_settings(net, options, target));
  for (const auto& [name, reason] : excluded)
    if (graph.find_value(name) == kNoValue)
      return not_found("there is no tensor '" + name + "' to exclude from quantization (" + reason + ")");
  return place_quantizers(net, options, target, settings, excluded, ranges);
}

Status check_known_tensors(const Graph& graph, const Ranges& ranges) {
  std::vector<std::string> names;
  for (size_t i = 0; i < graph.value_count(); ++i) names.push_back(graph.value(static_cast<ValueId>(i)).name);
  for (const auto& [name, entry] : ranges.tensors) {
    const ValueId id = graph.find_value(name);
    if (id == kNoValue)
      return not_found("/tensors/" + name + ": the network has no such tensor." + did_you_mean(name, names));
    if (graph.is_constant(id) != (entry.role != TensorRole::kActivation))
      return invalid_argument("/tensors/" + name + "/role: the tensor is " +
                              (graph.is_constant(id) ? "a constant, so its role is weight or constant"
                                                     : "computed, so its role is activation"));
  }
  for (const auto& [name, why] : ranges.left_out)
    if (graph.find_value(name) == kNoValue)
      return not_found("/left_out/" + name + ": the network has no such tensor." + did_you_mean(name, names));
  return Status::ok();
}

// Tensors of the plan for which there is no range.
std::vector<std::string> without_range(const QuantizationPlan& plan, const Ranges& ranges) {
  std::vector<std::string> missing;
  for (const auto& [name, t] : plan.tensors)
    for (const std::string& member : t.covers)
      if (t.dtype != DType::kFloat16 && ranges.tensors.count(member) == 0) missing.push_back(member);
  return missing;
}

const std::set<std::string> kRewritableBlocks = {"residual_add", "concat", "silu", "hard_swish", "conv_bn_act"};

// Names of the nodes that end a block of that kind, or are of that operator type.
std::vector<std::string> block_ends(const Graph& graph, const std::string& pattern) {
  const Network net(graph);
  std::vector<std::string> names;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& n = graph.nodes[i];
    bool found = n.is(pattern);
    if (pattern == "residual_add") found = add_branches(net, i).has_value();
    else if (pattern == "concat") found = n.is("Concat");
    else if (pattern == "silu") found = n.is("Mul") && match_silu(graph, net.index, i).has_value();
    else if (pattern == "hard_swish") found = match_hard_swish(graph, net.index, i).has_value();
    else if (pattern == "conv_bn_act") {
      const auto chain = match_weighted_chain(graph, net.index, i);
      if (chain && chain->batch_norm) names.push_back(graph.nodes[chain->nodes.back()].name);
      continue;
    }
    if (found) names.push_back(n.name);
  }
  return names;
}

}  // namespace

Status SelectiveQuantizer::register_skip_quantization(const std::string& pattern) {
  if (trim(pattern).empty()) return invalid_argument("register_skip_quantization needs a node's name or a glob");
  options_.skip_modules.push_back(pattern);
  if (options_.regime == Regime::kNaive) options_.regime = Regime::kHybrid;
  return Status::ok();
}

Status SelectiveQuantizer::register_quantization_mapping(const std::string& pattern, const std::string& treatment) {
  OCTET_RETURN_IF_ERROR(check_mapping(pattern, treatment));
  options_.mappings[pattern] = treatment;
  return Status::ok();
}

Status SelectiveQuantizer::register_quantization_mapping(const std::string& pattern, BlockRewrite rewrite) {
  if (!rewrite) return invalid_argument("register_quantization_mapping for '" + pattern + "' needs a function");
  if (kRewritableBlocks.count(pattern) == 0) OCTET_RETURN_IF_ERROR(check_mapping(pattern, "float"));
  rewrites_.emplace_back(pattern, std::move(rewrite));
  return Status::ok();
}

Result<Graph> SelectiveQuantizer::rewrite_blocks(const Graph& graph) const {
  Graph out = graph;
  for (const auto& [pattern, rewrite] : rewrites_) {
    const std::vector<std::string> ends = block_ends(out, pattern);
    if (ends.empty()) return not_found("register_quantization_mapping: the network has no '" + pattern + "'");
    for (const std::string& end : ends) {
      if (out.find_node(end) == nullptr) continue;  // went away with another block
      const std::string place = "the mapping of " + pattern + " at node '" + end + "'";
      OCTET_RETURN_IF_ERROR(rewrite(out, end).at(place));
      OCTET_RETURN_IF_ERROR(verify(out).at(place + " left a broken graph"));
    }
  }
  return out;
}

Result<QuantizationPlan> SelectiveQuantizer::prepare(const Graph& graph,
                                                     const std::map<std::string, std::string>& excluded) const {
  OCTET_ASSIGN(QuantizationPlan plan, plan_for(graph, options_, excluded));
  plan.fingerprint = graph_fingerprint(graph);
  plan.warnings = check_before_calibration(graph, plan.target);
  return plan;
}

Result<QuantizationPlan> SelectiveQuantizer::finish(const Graph& graph, const Ranges& ranges) const {
  const std::string fingerprint = graph_fingerprint(graph);
  if (!ranges.fingerprint.empty() && ranges.fingerprint != fingerprint)
    return invalid_argument("the ranges were calibrated for another network (fingerprint " + ranges.fingerprint +
                            ", this one has " + fingerprint + "); calibrate again");
  OCTET_RETURN_IF_ERROR(check_known_tensors(graph, ranges));
  std::map<std::string, std::string> excluded;
  OCTET_ASSIGN(QuantizationPlan plan, plan_for(graph, options_, excluded, &ranges));
  for (;;) {  // each round excludes at least one more tensor
    const std::vector<std::string> missing = without_range(plan, ranges);
    if (missing.empty()) break;
    for (const std::string& name : missing) {
      const auto reason = ranges.left_out.find(name);
      excluded[name] = reason != ranges.left_out.end() ? reason->second : "'" + name + "' has no range";
    }
    OCTET_ASSIGN(plan, plan_for(graph, options_, excluded, &ranges));
  }
  for (const auto& [name, reason] : excluded)
    plan.notes.push_back("the tensor '" + name + "' stays in float: " +
                         (ranges.left_out.count(name) != 0 ? reason : "the ranges have no line for it"));
  OCTET_RETURN_IF_ERROR(assign_params(graph, ranges, &plan));
  fit_biases(graph, &plan);
  plan.fingerprint = fingerprint;
  plan.warnings = ranges.warnings;
  return plan;
}

std::vector<std::string> QuantizationPlan::tensors_to_observe() const {
  std::set<std::string> constants, names;
  for (const auto& [name, t] : tensors)
    if (t.role != TensorRole::kActivation) constants.insert(name);
  for (const auto& [name, t] : tensors)
    for (const std::string& member : t.covers)
      if (constants.count(member) == 0) names.insert(member);
  return {names.begin(), names.end()};
}

const QuantParams* QuantizationPlan::params_of(const std::string& tensor) const {
  auto it = tensors.find(tensor);
  if (it != tensors.end() && !it->second.same_as.empty()) it = tensors.find(it->second.same_as);
  if (it == tensors.end() || it->second.params.scale.empty()) return nullptr;
  return &it->second.params;
}

const char* node_decision_name(NodeDecision decision) {
  switch (decision) {
    case NodeDecision::kQuantized: return "quantized";
    case NodeDecision::kWeightOnly: return "weight_only";
    case NodeDecision::kInteger: return "integer";
    case NodeDecision::kCarries: return "carries";
    case NodeDecision::kFused: return "fused";
    case NodeDecision::kFloat: return "float";
  }
  return "float";
}

const char* tensor_role_name(TensorRole role) {
  switch (role) {
    case TensorRole::kActivation: return "activation";
    case TensorRole::kWeight: return "weight";
    case TensorRole::kConstant: return "constant";
  }
  return "activation";
}

}  // namespace octet
