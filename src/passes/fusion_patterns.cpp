#include "passes/fusion_patterns.h"

#include <algorithm>
#include <string_view>

#include "passes/composed_activations.h"
#include "passes/constant_values.h"

namespace octet {
namespace {

bool contains(const std::vector<size_t>& nodes, size_t node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool read_only_by(const Graph& graph, const GraphIndex& index, ValueId value, const std::vector<size_t>& nodes) {
  if (graph.is_output(value)) return false;
  const auto& uses = index.uses(value);
  return std::all_of(uses.begin(), uses.end(), [&](const auto& use) { return contains(nodes, use.node); });
}

// Nobody outside reads what the nodes make, but for `output`.
bool is_closed(const Graph& graph, const GraphIndex& index, const std::vector<size_t>& nodes, ValueId output) {
  for (size_t n : nodes)
    for (ValueId out : graph.nodes[n].outputs)
      if (out != kNoValue && out != output && !read_only_by(graph, index, out, nodes)) return false;
  return true;
}

std::optional<ActivationMatch> closed(const Graph& graph, const GraphIndex& index, const char* kind,
                                      const std::optional<ComposedActivation>& found) {
  if (!found) return std::nullopt;
  const ValueId output = graph.nodes[found->nodes.back()].outputs[0];
  if (!is_closed(graph, index, found->nodes, output)) return std::nullopt;
  return ActivationMatch{kind, found->input, output, found->nodes};
}

std::optional<ActivationMatch> operator_match(const Graph& graph, size_t node, std::string_view op_type) {
  const Node& n = graph.nodes[node];
  if (!n.is(op_type) || !n.has_input(0) || n.outputs.size() != 1) return std::nullopt;
  return ActivationMatch{n.op_type, n.inputs[0], n.outputs[0], {node}};
}

std::optional<ActivationMatch> chain_at(const Graph& graph, const GraphIndex& index, size_t node) {
  if (auto m = match_silu(graph, index, node)) return m;
  if (auto m = closed(graph, index, "HardSwish", hard_swish_at(graph, index, node))) return m;
  if (auto m = closed(graph, index, "HardSigmoid", hard_sigmoid_at(graph, index, node))) return m;
  return closed(graph, index, "GELU", gelu_at(graph, index, node));
}

// Nodes that read `value` directly or through at most three others: where a chain that starts at `value` can end.
std::vector<size_t> nodes_near(const Graph& graph, const GraphIndex& index, ValueId value) {
  constexpr size_t kMost = 16;  // a value with many readers is no chain's input
  std::vector<size_t> near;
  std::vector<ValueId> front = {value};
  for (int distance = 0; distance < 5; ++distance) {
    std::vector<ValueId> next;
    for (ValueId id : front)
      for (const auto& use : index.uses(id)) {
        if (contains(near, use.node) || near.size() >= kMost) continue;
        near.push_back(use.node);
        for (ValueId out : graph.nodes[use.node].outputs)
          if (out != kNoValue) next.push_back(out);
      }
    front = std::move(next);
  }
  std::sort(near.begin(), near.end());
  return near;
}

const Node* made_by(const Graph& graph, const GraphIndex& index, ValueId id, std::string_view op_type,
                    std::vector<size_t>& nodes) {
  const int64_t n = id == kNoValue ? -1 : index.producer(id);
  if (n < 0 || !graph.nodes[static_cast<size_t>(n)].is(op_type)) return nullptr;
  nodes.push_back(static_cast<size_t>(n));
  return &graph.nodes[static_cast<size_t>(n)];
}

// d * d or Pow(d, 2)
bool is_square_of(const Graph& graph, const GraphIndex& index, ValueId id, ValueId d, std::vector<size_t>& nodes) {
  if (const Node* mul = made_by(graph, index, id, "Mul", nodes))
    return mul->inputs.size() == 2 && mul->inputs[0] == d && mul->inputs[1] == d;
  const Node* pow = made_by(graph, index, id, "Pow", nodes);
  if (pow == nullptr || pow->inputs.size() != 2 || pow->inputs[0] != d) return false;
  const Tensor* exponent = constant_of(graph, pow->inputs[1]);
  if (exponent == nullptr || exponent->numel() != 1) return false;
  if (const auto integers = to_int64s(*exponent); integers.is_ok()) return integers->front() == 2;
  const auto numbers = to_doubles(*exponent);
  return numbers && numbers->front() == 2.0;
}

// epsilon of sqrt(mean(d^2) + epsilon), all over the same axes
std::optional<double> spread_epsilon(const Graph& graph, const GraphIndex& index, ValueId id, ValueId d,
                                     const Node& mean, std::vector<size_t>& nodes) {
  const Node* sqrt = made_by(graph, index, id, "Sqrt", nodes);
  const Node* add = sqrt != nullptr ? made_by(graph, index, sqrt->inputs[0], "Add", nodes) : nullptr;
  if (add == nullptr || add->inputs.size() != 2) return std::nullopt;
  const size_t side = graph.is_constant(add->inputs[1]) ? 0 : 1;
  const std::optional<double> epsilon = scalar_against(graph, add->inputs[1 - side], add->inputs[side]);
  const Node* variance = made_by(graph, index, add->inputs[side], "ReduceMean", nodes);
  if (!epsilon || variance == nullptr || !variance->has_input(0)) return std::nullopt;
  const bool same_axes = variance->attr_ints("axes") == mean.attr_ints("axes") &&
                         integer_input(graph, *variance, 1) == integer_input(graph, mean, 1) &&
                         variance->attr_int("keepdims", 1) == 1 && mean.attr_int("keepdims", 1) == 1;
  if (!same_axes || !is_square_of(graph, index, variance->inputs[0], d, nodes)) return std::nullopt;
  return epsilon;
}

// The next node when it is `op_type` with a constant as its other operand; moves match.output on.
ValueId constant_operand_after(const Graph& graph, const GraphIndex& index, std::string_view op_type,
                               LayerNormMatch& match) {
  const std::optional<size_t> reader = single_reader(graph, index, match.output);
  if (!reader || !graph.nodes[*reader].is(op_type) || graph.nodes[*reader].inputs.size() != 2) return kNoValue;
  const Node& node = graph.nodes[*reader];
  const ValueId other = node.inputs[0] == match.output ? node.inputs[1] : node.inputs[0];
  if (!graph.is_constant(other)) return kNoValue;
  match.nodes.push_back(*reader);
  match.output = node.outputs[0];
  return other;
}

std::optional<LayerNormMatch> layer_norm_operator(const Node& n, size_t node) {
  if (!n.has_input(0) || n.outputs.size() != 1) return std::nullopt;
  LayerNormMatch match{n.inputs[0], n.outputs[0]};
  match.scale = n.has_input(1) ? n.inputs[1] : kNoValue;
  match.bias = n.has_input(2) ? n.inputs[2] : kNoValue;
  match.epsilon = n.attr_float("epsilon", 1e-5F);
  match.nodes = {node};
  return match;
}

void extend(WeightedChain& chain, size_t node, ValueId output) {
  chain.nodes.push_back(node);
  chain.output = output;
}

void match_batch_norm(const Graph& graph, const GraphIndex& index, WeightedChain& chain) {
  const std::optional<size_t> reader = single_reader(graph, index, chain.output);
  if (!reader) return;
  const Node& node = graph.nodes[*reader];
  if (!node.is("BatchNormalization") || node.inputs[0] != chain.output || node.outputs.size() != 1) return;
  chain.batch_norm = *reader;
  extend(chain, *reader, node.outputs[0]);
}

// `value` ends a weighted operator or its batch normalization and goes into the Add alone: that chain may own the Add
// too.
bool ends_weighted_branch(const Graph& graph, const GraphIndex& index, ValueId value) {
  if (!single_reader(graph, index, value) || index.producer(value) < 0) return false;
  const Node& node = graph.nodes[static_cast<size_t>(index.producer(value))];
  if (is_weighted_op(node)) return true;
  if (!node.is("BatchNormalization") || !single_reader(graph, index, node.inputs[0])) return false;
  const int64_t before = index.producer(node.inputs[0]);
  return before >= 0 && is_weighted_op(graph.nodes[static_cast<size_t>(before)]);
}

void match_add(const Graph& graph, const GraphIndex& index, WeightedChain& chain) {
  const std::optional<size_t> reader = single_reader(graph, index, chain.output);
  if (!reader) return;
  const Node& node = graph.nodes[*reader];
  if (!node.is("Add") || node.inputs.size() != 2) return;
  const ValueId skip = node.inputs[0] == chain.output ? node.inputs[1] : node.inputs[0];
  const auto& shape = graph.value(chain.output).shape;
  const bool same_shape = shape && graph.value(skip).shape == shape &&
                          std::all_of(shape->begin(), shape->end(), [](const Dim& d) { return d.is_known(); });
  if (graph.is_constant(skip) || !same_shape) return;
  if (index.producer(skip) > index.producer(chain.output) && ends_weighted_branch(graph, index, skip)) return;
  chain.add = *reader;
  chain.skip = skip;
  extend(chain, *reader, node.outputs[0]);
}

PatternKind chain_kind(const WeightedChain& chain) {
  if (chain.add) return chain.activation ? PatternKind::kConvAddActivation : PatternKind::kConvAdd;
  return chain.activation ? PatternKind::kConvActivation : PatternKind::kConvBatchNorm;
}

// Takes the nodes unless one is taken already.
bool claim(std::vector<bool>& taken, const std::vector<size_t>& nodes) {
  if (nodes.size() < 2 || std::any_of(nodes.begin(), nodes.end(), [&](size_t n) { return taken[n]; })) return false;
  for (size_t n : nodes) taken[n] = true;
  return true;
}

}  // namespace

std::optional<size_t> single_reader(const Graph& graph, const GraphIndex& index, ValueId value) {
  if (value == kNoValue || index.uses(value).size() != 1 || graph.is_output(value)) return std::nullopt;
  return index.uses(value)[0].node;
}

bool is_activation(const Node& node) {
  constexpr std::string_view kActivations[] = {
      "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh",
      "Elu",  "Selu",      "Celu",  "Gelu", "Mish",    "Softplus",    "Softsign",  "ThresholdedRelu"};
  return node.domain.empty() &&
         std::find(std::begin(kActivations), std::end(kActivations), node.op_type) != std::end(kActivations);
}

bool is_weighted_op(const std::string& op_type) {
  return op_type == "Conv" || op_type == "ConvTranspose" || op_type == "Gemm" || op_type == "MatMul";
}

bool is_weighted_op(const Node& node) { return node.domain.empty() && is_weighted_op(node.op_type); }

std::optional<SiluMatch> match_silu(const Graph& graph, const GraphIndex& index, size_t mul_node) {
  return closed(graph, index, "SiLU", silu_at(graph, index, mul_node));
}

std::optional<ActivationMatch> match_hard_swish(const Graph& graph, const GraphIndex& index, size_t node) {
  if (auto m = operator_match(graph, node, "HardSwish")) return m;
  return closed(graph, index, "HardSwish", hard_swish_at(graph, index, node));
}

std::optional<ActivationMatch> match_gelu(const Graph& graph, const GraphIndex& index, size_t node) {
  if (auto m = operator_match(graph, node, "Gelu")) return m;
  return closed(graph, index, "GELU", gelu_at(graph, index, node));
}

std::optional<ActivationMatch> activation_after(const Graph& graph, const GraphIndex& index, ValueId value) {
  if (value == kNoValue || graph.is_output(value)) return std::nullopt;
  // The longest first: HardSwish contains a HardSigmoid, and Relu may stand at the head of a longer chain.
  std::optional<ActivationMatch> best;
  for (size_t node : nodes_near(graph, index, value)) {
    std::optional<ActivationMatch> match = chain_at(graph, index, node);
    if (!match || match->input != value || !read_only_by(graph, index, value, match->nodes)) continue;
    if (!best || match->nodes.size() > best->nodes.size()) best = std::move(match);
  }
  if (best) return best;
  const std::optional<size_t> reader = single_reader(graph, index, value);
  if (!reader || !is_activation(graph.nodes[*reader]) || graph.nodes[*reader].inputs[0] != value) return std::nullopt;
  return operator_match(graph, *reader, graph.nodes[*reader].op_type);
}

std::optional<LayerNormMatch> match_layer_norm(const Graph& graph, const GraphIndex& index, size_t node) {
  const Node& div = graph.nodes[node];
  if (div.is("LayerNormalization")) return layer_norm_operator(div, node);
  if (!div.is("Div") || div.inputs.size() != 2 || div.outputs.size() != 1) return std::nullopt;
  LayerNormMatch match;
  match.nodes = {node};
  match.output = div.outputs[0];
  const ValueId d = div.inputs[0];
  const Node* sub = made_by(graph, index, d, "Sub", match.nodes);
  if (sub == nullptr || sub->inputs.size() != 2) return std::nullopt;
  match.input = sub->inputs[0];
  const Node* mean = made_by(graph, index, sub->inputs[1], "ReduceMean", match.nodes);
  if (mean == nullptr || mean->inputs.empty() || mean->inputs[0] != match.input) return std::nullopt;
  const std::optional<double> epsilon = spread_epsilon(graph, index, div.inputs[1], d, *mean, match.nodes);
  if (!epsilon) return std::nullopt;
  match.epsilon = *epsilon;
  match.scale = constant_operand_after(graph, index, "Mul", match);
  match.bias = constant_operand_after(graph, index, "Add", match);
  std::sort(match.nodes.begin(), match.nodes.end());
  if (!is_closed(graph, index, match.nodes, match.output)) return std::nullopt;
  return match;
}

std::optional<WeightedChain> match_weighted_chain(const Graph& graph, const GraphIndex& index, size_t node) {
  const Node& n = graph.nodes[node];
  if (!is_weighted_op(n) || n.outputs.size() != 1 || n.outputs[0] == kNoValue) return std::nullopt;
  WeightedChain chain;
  chain.weighted = node;
  extend(chain, node, n.outputs[0]);
  match_batch_norm(graph, index, chain);
  match_add(graph, index, chain);
  chain.activation = activation_after(graph, index, chain.output);
  if (chain.activation) {
    chain.nodes.insert(chain.nodes.end(), chain.activation->nodes.begin(), chain.activation->nodes.end());
    chain.output = chain.activation->output;
  }
  return chain;
}

const char* pattern_kind_name(PatternKind kind) {
  switch (kind) {
    case PatternKind::kConvBatchNorm: return "conv_batch_norm";
    case PatternKind::kConvActivation: return "conv_activation";
    case PatternKind::kConvAdd: return "conv_add";
    case PatternKind::kConvAddActivation: return "conv_add_activation";
    case PatternKind::kActivation: return "activation";
    case PatternKind::kLayerNorm: return "layer_norm";
  }
  return "";
}

std::vector<Pattern> find_patterns(const Graph& graph, const GraphIndex& index) {
  std::vector<Pattern> patterns;
  std::vector<bool> taken(graph.nodes.size(), false);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const std::optional<WeightedChain> chain = match_weighted_chain(graph, index, i);
    if (!chain || !claim(taken, chain->nodes)) continue;
    patterns.push_back({chain_kind(*chain), chain->nodes, graph.nodes[i].inputs[0], chain->skip, chain->output,
                        chain->activation ? chain->activation->kind : std::string()});
  }
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    if (const auto norm = match_layer_norm(graph, index, i); norm && claim(taken, norm->nodes))
      patterns.push_back({PatternKind::kLayerNorm, norm->nodes, norm->input, kNoValue, norm->output, {}});
    if (const auto act = chain_at(graph, index, i); act && claim(taken, act->nodes))
      patterns.push_back({PatternKind::kActivation, act->nodes, act->input, kNoValue, act->output, act->kind});
  }
  std::sort(patterns.begin(), patterns.end(),
            [](const Pattern& a, const Pattern& b) { return a.nodes[0] < b.nodes[0]; });
  return patterns;
}

}  // namespace octet
