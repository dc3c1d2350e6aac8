#include <algorithm>
#include <cmath>

#include "arith/quantize.h"
#include "passes/fusion_patterns.h"
#include "quantization/demand.h"
#include "quantization/keep_float.h"

namespace octet {
namespace {

bool touches_float(const Network& net, const Node& n) {
  return std::any_of(n.outputs.begin(), n.outputs.end(),
                     [&](ValueId v) { return v != kNoValue && dtype_is_float(net.value(v).dtype); });
}

bool is_nearest_resize(const Node& n) { return n.is("Resize") && n.attr_string("mode", "nearest") == "nearest"; }

// Pad only moves codes when what it adds is 0 (which every quantizer holds exactly) or copied from the tensor.
bool pads_with_codes(const Network& net, const Node& n) {
  if (n.attr_string("mode", "constant") != "constant" || !n.has_input(2)) return true;
  const ValueId v = n.inputs[2];
  return net.is_float_constant(v) && net.value(v).constant->numel() == 1 &&
         *net.value(v).constant->data<float>() == 0.0f;
}

std::vector<size_t> data_inputs(const Node& n) {
  std::vector<size_t> inputs{0};
  static const char* const kAll[] = {"Add", "Mul", "Sub", "Div", "Max", "Min", "Sum", "Mean", "Concat"};
  const bool all = std::any_of(std::begin(kAll), std::end(kAll), [&](const char* op) { return n.is(op); });
  for (size_t i = 1; all && i < n.inputs.size(); ++i) inputs.push_back(i);
  return inputs;
}

Status check_finite(const Node& n, const Tensor& w, const std::string& name) {
  const float* p = w.data<float>();
  for (int64_t i = 0; i < w.numel(); ++i)
    if (!std::isfinite(p[i]))
      return invalid_argument("node '" + n.name + "' (" + n.op_type + "): the weight '" + name + "' has the value " +
                              std::to_string(p[i]) + " at element " + std::to_string(i) +
                              "; repair the network, or skip this node to leave it in float");
  return Status::ok();
}

// Whether a graph output follows without another weighted op. `lenient`: any op may stand between except those that
// average over the image; else only ops that move elements.
std::vector<bool> find_leads_to_output(const Network& net, bool lenient, const Target& target) {
  std::vector<bool> leads(net.graph.nodes.size(), false);
  for (size_t i = leads.size(); i-- > 0;) {
    for (ValueId out : net.node(i).outputs) {
      if (out == kNoValue) continue;
      if (net.graph.is_output(out)) leads[i] = true;
      for (const GraphIndex::Use& use : net.index.uses(out)) {
        const Node& reader = net.node(use.node);
        const bool averages = reader.is("GlobalAveragePool") || reader.is("ReduceMean");
        const bool passes =
            lenient ? !is_weighted(reader) && !averages : target.commuting_ops.count(reader.op_type) != 0;
        if (passes && leads[use.node]) leads[i] = true;
      }
    }
  }
  return leads;
}

std::string quoted(const Network& net, ValueId id) { return "'" + net.value(id).name + "'"; }

}  // namespace

Placer::Placer(const Network& net, const QuantizationOptions& options, const Target& target,
               const std::vector<NodeSettings>& settings, DemandMap& demands)
    : net_(net), options_(options), target_(target), settings_(settings), demands_(demands) {
  for (const Node& n : net.graph.nodes) {
    nodes_.push_back({n.name, n.op_type, NodeDecision::kFloat, false, ""});
    fused_op_.push_back(n.domain.empty() && target.fused_activations.count(n.op_type) != 0);
  }
  placed_.assign(nodes_.size(), false);
  leads_to_output_ = find_leads_to_output(net, options.regime == Regime::kSelective, target);
}

void Placer::set(size_t i, NodeDecision decision, std::string why) {
  nodes_[i].decision = decision;
  nodes_[i].why = std::move(why);
  placed_[i] = true;
}

Result<std::vector<NodePlan>> Placer::run() {
  for (size_t i = 0; i < nodes_.size(); ++i)
    if (is_weighted(net_.node(i))) OCTET_RETURN_IF_ERROR(classify_weighted(i));
  for (size_t i = nodes_.size(); i-- > 0;) {
    const Node& n = net_.node(i);
    if (is_weighted(n)) place_weighted(i);
    if (placed_[i]) continue;
    if (!touches_float(net_, n)) set(i, NodeDecision::kFloat, "computes no floating-point tensor");
    else if (settings_[i].keeps_float()) set(i, NodeDecision::kFloat, settings_[i].float_reason);
    else if (place_curve(i)) continue;
    else if (n.is("Add")) place_add(i);
    else if (n.is("Concat")) place_concat(i);
    else place_other(i);
  }
  return std::move(nodes_);
}

Status Placer::classify_weighted(size_t i) {
  const Node& n = net_.node(i);
  const NodeSettings& s = settings_[i];
  auto stay = [&](const std::string& why) { set(i, NodeDecision::kFloat, why); };
  if (s.keeps_float()) return stay(s.float_reason), Status::ok();
  if (target_.weighted_ops.count(n.op_type) == 0) return stay(plain_float_reason(n)), Status::ok();
  const int weight = weight_input(net_, i);
  if (weight < 0 && !n.is("MatMul") && !n.is("Gemm"))
    return stay("kept in float: its weights are computed when the network runs, or are not float32"), Status::ok();
  if (weight >= 0) {
    const ValueId id = n.inputs[static_cast<size_t>(weight)];
    if (!demands_.exclusion(id).empty()) return stay("kept in float: " + demands_.exclusion(id)), Status::ok();
    if (dtype_size(s.weights) != 0 && s.weights != DType::kFloat32)
      OCTET_RETURN_IF_ERROR(check_finite(n, *net_.value(id).constant, net_.value(id).name));
  }
  classify_activation_input(i, weight);
  return Status::ok();
}

void Placer::classify_activation_input(size_t i, int weight) {
  const Node& n = net_.node(i);
  const NodeSettings& s = settings_[i];
  const bool quantized_weight = weight >= 0 && is_quantized_dtype(s.weights);
  const bool wants_inputs = s.activations != DType::kFloat32;
  for (size_t k = 0; wants_inputs && k < 2; ++k) {
    if (static_cast<int>(k) == weight) continue;
    if (!n.has_input(k) || !net_.is_dynamic_float(n.inputs[k]))
      return set(i, NodeDecision::kFloat, "kept in float: its input is not a float32 tensor that is computed");
    if (!demands_.allowed(n.inputs[k]))
      return set(i, NodeDecision::kFloat,
                 "kept in float: its input " + quoted(net_, n.inputs[k]) + " stays in float (" +
                     demands_.exclusion(n.inputs[k]) + ")");
  }
  const std::string by = s.source.empty() ? "" : ", as " + s.source + " says";
  const std::string weights = dtype_name(s.weights);
  if (quantized_weight && wants_inputs)
    set(i, NodeDecision::kQuantized, weights + " weights and quantized input (rule 1)" + by);
  else if (weight < 0 && wants_inputs)
    set(i, NodeDecision::kQuantized, "both inputs are computed and quantized (rule 1)" + by);
  else if (quantized_weight) set(i, NodeDecision::kWeightOnly, weights + " weights, computed in float" + by);
  else if (s.weights == DType::kFloat16)
    set(i, NodeDecision::kFloat, "weights stored in float16, computed in float" + by);
  else set(i, NodeDecision::kFloat, wants_inputs ? "float weights, quantized input" + by : "kept in float" + by);
}

void Placer::place_weighted(size_t i) {
  const Node& n = net_.node(i);
  const NodeSettings& s = settings_[i];
  const NodePlan& plan = nodes_[i];
  if (s.keeps_float() || plan.why.starts_with("kept in float") || target_.weighted_ops.count(n.op_type) == 0) return;
  const int weight = weight_input(net_, i);
  for (size_t k = 0; k < 2 && k < n.inputs.size(); ++k) {
    if (static_cast<int>(k) == weight) {
      if (s.weights != DType::kFloat32) demands_.demand(i, k, "weight of '" + n.name + "' (rule 1)");
    } else if (s.activations != DType::kFloat32 && demands_.allowed(n.inputs[k])) {
      demands_.demand(i, k, "input of '" + n.name + "' (rule 1)");
    }
  }
  if (plan.decision == NodeDecision::kQuantized && target_.requires_quantized_output.count(n.op_type) != 0)
    force_result(i);
}

// Some runtimes compute in integers only when the result is quantized too.
void Placer::force_result(size_t i) {
  std::vector<size_t> through;
  const ValueId end = end_of_fusion(net_, net_.node(i).outputs[0], fused_op_, &through);
  if (leads_to_output_[i] || net_.graph.is_output(end)) {
    nodes_[i].why += "; its result leads to the network's output and stays in float (rule 7)";
    return;
  }
  demands_.demand_all_readers(end, "result of '" + net_.node(i).name + "', which " + target_.name +
                                       " runs in integers only when its result is quantized");
}

bool Placer::result_demanded(size_t i, bool through_fusion) const {
  for (ValueId out : net_.node(i).outputs) {
    if (out == kNoValue) continue;
    if (demands_.demanded(out)) return true;
    if (through_fusion && demands_.demanded(end_of_fusion(net_, out, fused_op_, nullptr))) return true;
  }
  return false;
}

std::string Placer::treatment(size_t i, const std::string& block) const {
  const std::vector<std::string>& known = block_treatments(block);
  const std::string& own = settings_[i].mapping;
  if (std::find(known.begin(), known.end(), own) != known.end()) return own;
  const auto asked = options_.mappings.find(block);
  return asked != options_.mappings.end() ? asked->second : target_.blocks.at(block);
}

// The result of a quantized weighted op that this addition alone reads: it stays in the accumulators.
bool Placer::is_weighted_branch(size_t add, size_t input) const {
  const ValueId v = net_.node(add).inputs[input];
  const int64_t maker = net_.index.producer(v);
  return maker >= 0 && nodes_[static_cast<size_t>(maker)].decision == NodeDecision::kQuantized &&
         single_reader(net_.graph, net_.index, v).has_value();
}

void Placer::place_add(size_t i) {
  const auto branches = add_branches(net_, i);
  const std::string how = treatment(i, "residual_add");
  if (!branches) {
    if (target_.integer_ops.count("Add") != 0) place_integer(i, "adds a constant in integers");
    else place_other(i);
  } else if (how == "float") {
    set(i, NodeDecision::kFloat, "kept in float: the mapping of residual_add says float");
  } else if (how == "quantize_skip") {
    place_skip(i, *branches);
  } else {
    place_integer(i, "adds two quantized tensors (rule 4, both branches for " + target_.name + ")");
  }
}

void Placer::place_skip(size_t i, const AddBranches& branches) {
  const Node& n = net_.node(i);
  const bool left = is_weighted_branch(i, 0), right = is_weighted_branch(i, 1);
  if (!left && !right) {
    place_integer(i, "neither branch is a convolution's result: both are quantized (rule 4)");
    return;
  }
  const auto skip = static_cast<size_t>(left && right ? branches.skip : left ? 1 : 0);
  const Node* owner = net_.maker(n.inputs[1 - skip]);
  if (!demands_.allowed(n.inputs[skip])) {
    set(i, NodeDecision::kFloat,
        "stays in float: its skip input " + quoted(net_, n.inputs[skip]) + " does (" +
            demands_.exclusion(n.inputs[skip]) + ")");
    return;
  }
  demands_.demand(i, skip, "skip input of '" + n.name + "' (rule 4)");
  set(i, NodeDecision::kFused,
      "added inside '" + owner->name + "'; only the skip input " + quoted(net_, n.inputs[skip]) +
          " is quantized (rule 4)");
}

// Runs between DequantizeLinear and QuantizeLinear, where a quantized op reads the result.
void Placer::place_integer(size_t i, const std::string& why) {
  const Node& n = net_.node(i);
  if (!result_demanded(i, true))
    return set(i, NodeDecision::kFloat, "stays in float: nothing quantized reads its result");
  for (size_t k : data_inputs(n)) {
    const ValueId v = n.inputs[k];
    if (demands_.allowed(v) || (net_.is_float_constant(v) && demands_.exclusion(v).empty())) continue;
    const std::string reason = v == kNoValue ? "" : demands_.exclusion(v);
    return set(i, NodeDecision::kFloat,
               "stays in float: one of its inputs cannot be quantized" + (reason.empty() ? "" : " (" + reason + ")"));
  }
  for (size_t k : data_inputs(n)) demands_.demand(i, k, "input of '" + n.name + "', which runs in integers (rule 6)");
  set(i, NodeDecision::kInteger, why);
}

void Placer::place_concat(size_t i) {
  const Node& n = net_.node(i);
  const std::string how = treatment(i, "concat");
  if (how == "float") return set(i, NodeDecision::kFloat, "kept in float: the mapping of concat says float");
  if (!result_demanded(i, false))
    return set(i, NodeDecision::kFloat, "stays in float: nothing quantized reads its result");
  place_integer(i, how == "shared_scale" ? "copies codes: all inputs and the output share one scale (rule 5)"
                                         : "joins tensors of different scales (mapping: separate)");
  if (nodes_[i].decision != NodeDecision::kInteger || how != "shared_scale") return;
  // The selective regime looks at the ranges first, unless somebody asked for one scale.
  const bool asked = settings_[i].mapping == how || options_.mappings.count("concat") != 0;
  const bool may_part = options_.regime == Regime::kSelective && !asked;
  for (ValueId in : n.inputs) demands_.carry(i, in, n.outputs[0], may_part);
}

// Moves codes without changing them: one quantizer's parameters in front and behind.
void Placer::place_carrier(size_t i) {
  const Node& n = net_.node(i);
  if (!result_demanded(i, false))
    return set(i, NodeDecision::kFloat, "stays in float: nothing quantized reads its result");
  if (!demands_.allowed(n.inputs[0])) {
    const bool constant = net_.graph.is_constant(n.inputs[0]);
    return set(
        i, NodeDecision::kFloat,
        constant ? "moves a constant" : "stays in float: its input does (" + demands_.exclusion(n.inputs[0]) + ")");
  }
  demands_.demand(i, 0, "carried through '" + n.name + "' (rule 6)");
  for (ValueId out : n.outputs)
    if (out != kNoValue && net_.is_dynamic_float(out)) demands_.carry(i, n.inputs[0], out);
  set(i, NodeDecision::kCarries, "moves codes and keeps their scale (rule 6)");
}

// SiLU and hard swish. True when the node ends such a block (its nodes are then decided).
bool Placer::place_curve(size_t i) {
  std::string block = "silu";
  auto match = net_.node(i).is("Mul") ? match_silu(net_.graph, net_.index, i) : std::nullopt;
  if (!match) {
    block = "hard_swish";
    match = match_hard_swish(net_.graph, net_.index, i);
  }
  if (!match) return false;
  const std::string how = treatment(i, block);
  const Node* maker = net_.maker(match->input);
  const std::string before = maker == nullptr ? "" : " after '" + maker->name + "'";
  if (how == "quantize_output")
    demands_.demand_all_readers(match->output, "result of a block mapped to quantize_output");
  const bool wanted = demands_.demanded(match->output);
  const bool all = how == "quantize_all" && wanted;
  const bool input = (how == "quantize_input" || all) && demands_.allowed(match->input);
  for (size_t k : match->nodes) {
    const Node& n = net_.node(k);
    for (size_t in = 0; in < n.inputs.size(); ++in) {
      const ValueId v = n.inputs[in];
      const bool inner = v != match->input;
      if (inner ? all && demands_.allowed(v) : input)
        demands_.demand(k, in, "input of a " + match->kind + " (mapping: " + how + ")");
    }
    if (all || input)
      set(k, NodeDecision::kInteger, "part of a " + match->kind + " that reads codes (mapping: " + how + ")");
    else set(k, NodeDecision::kFused, "part of a " + match->kind + before + ", computed in float (rules 3 and 7)");
  }
  return true;
}

void Placer::place_other(size_t i) {
  const Node& n = net_.node(i);
  const bool carrier = target_.commuting_ops.count(n.op_type) != 0 || is_nearest_resize(n);
  const bool listed = carrier || target_.integer_ops.count(n.op_type) != 0;
  const bool moves =
      carrier && (!n.is("Resize") || is_nearest_resize(n)) && (!n.is("Pad") || pads_with_codes(net_, n));
  if (!n.domain.empty() || n.inputs.empty() || n.inputs[0] == kNoValue)
    return set(i, NodeDecision::kFloat, plain_float_reason(n));
  if (listed && moves &&
      (!n.is("Resize") || target_.commuting_ops.count("Resize") + target_.integer_ops.count("Resize") > 0))
    return place_carrier(i);
  if (target_.integer_ops.count(n.op_type) != 0 || settings_[i].mapping == "quantize")
    return place_integer(i, "runs in integers between DequantizeLinear and QuantizeLinear (rule 6)");
  if (fused_op_[i]) {
    const Node* maker = net_.maker(n.inputs[0]);
    if (maker != nullptr && single_reader(net_.graph, net_.index, n.inputs[0]))
      return set(i, NodeDecision::kFused,
                 "computed together with '" + maker->name + "', no quantizer between (rule 3)");
  }
  set(i, NodeDecision::kFloat, plain_float_reason(n));
}

}  // namespace octet
