#include "passes/composed_activations.h"

#include <algorithm>
#include <functional>

#include "passes/constant_values.h"

namespace octet {
namespace {

constexpr int kDeepestScale = 2;  // constant factors in a row that we look through

// The value is scale * `value`; nodes are those that apply the scale.
struct Scaled {
  ValueId value;
  double scale = 1.0;
  std::vector<size_t> nodes;
};

class Matcher {
 public:
  Matcher(const Graph& graph, const GraphIndex& index) : graph_(graph), index_(index) {}

  const Node* maker(ValueId id, std::string_view op_type) const {
    const int64_t n = id == kNoValue ? -1 : index_.producer(id);
    if (n < 0) return nullptr;
    const Node& node = graph_.nodes[static_cast<size_t>(n)];
    return node.is(op_type) && node.outputs.size() == 1 && node.has_input(0) ? &node : nullptr;
  }
  size_t position(ValueId id) const { return static_cast<size_t>(index_.producer(id)); }

  // `id` itself, then what it is a constant multiple of, and so on.
  std::vector<Scaled> unscale(ValueId id) const {
    std::vector<Scaled> found = {{id, 1.0, {}}};
    for (int depth = 0; depth < kDeepestScale; ++depth) {
      std::optional<Scaled> next = one_factor(found.back());
      if (!next) break;
      found.push_back(std::move(*next));
    }
    return found;
  }

  // All readings of `root` as scale * a * b with neither a nor b constant, both orders.
  template <class Accept>
  std::optional<ComposedActivation> product(size_t root, Accept accept) const {
    const Node& node = graph_.nodes[root];
    if (node.outputs.size() != 1 || node.outputs[0] == kNoValue) return std::nullopt;
    for (const Scaled& outer : unscale(node.outputs[0])) {
      const Node* mul = maker(outer.value, "Mul");
      if (mul == nullptr || mul->inputs.size() != 2) continue;
      for (const Scaled& left : unscale(mul->inputs[0]))
        for (const Scaled& right : unscale(mul->inputs[1])) {
          std::vector<size_t> nodes = outer.nodes;
          nodes.push_back(position(outer.value));
          nodes.insert(nodes.end(), left.nodes.begin(), left.nodes.end());
          nodes.insert(nodes.end(), right.nodes.begin(), right.nodes.end());
          const double scale = outer.scale * left.scale * right.scale;
          if (accept(left.value, right.value, scale, nodes)) return finish(left.value, std::move(nodes));
          if (accept(right.value, left.value, scale, nodes)) return finish(right.value, std::move(nodes));
        }
    }
    return std::nullopt;
  }

  static ComposedActivation finish(ValueId input, std::vector<size_t> nodes) {
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    return {input, std::move(nodes)};
  }

  // x of x + c, where c is the wanted number.
  ValueId shifted_input(ValueId id, double wanted, std::vector<size_t>& nodes) const {
    const Node* add = maker(id, "Add");
    const bool subtracts = add == nullptr;
    if (subtracts) add = maker(id, "Sub");
    if (add == nullptr || add->inputs.size() != 2) return kNoValue;
    for (size_t i = 0; i < (subtracts ? 1U : 2U); ++i) {
      const std::optional<double> c = scalar_against(graph_, add->inputs[1 - i], add->inputs[i]);
      if (!c || !nearly(subtracts ? -*c : *c, wanted)) continue;
      nodes.push_back(position(id));
      return add->inputs[i];
    }
    return kNoValue;
  }

  // x of Clip(x + 3, 0, 6).
  ValueId clip6_input(ValueId id, std::vector<size_t>& nodes) const {
    const Node* clip = maker(id, "Clip");
    if (clip == nullptr) return kNoValue;
    const std::optional<double> low = clip_bound(*clip, "min", 1);
    const std::optional<double> high = clip_bound(*clip, "max", 2);
    if (!low || !high || *low != 0.0 || !nearly(*high, 6.0)) return kNoValue;
    nodes.push_back(position(id));
    return shifted_input(clip->inputs[0], 3.0, nodes);
  }

  ValueId hard_sigmoid_input(ValueId id, std::vector<size_t>& nodes) const {
    const Node* node = maker(id, "HardSigmoid");
    if (node == nullptr || !nearly(node->attr_float("alpha", 0.2F), 1.0 / 6.0) ||
        !nearly(node->attr_float("beta", 0.5F), 0.5))
      return kNoValue;
    nodes.push_back(position(id));
    return node->inputs[0];
  }

  // x of 1 + Erf(x / sqrt(2)).
  bool is_gauss_factor(ValueId id, ValueId x, std::vector<size_t>& nodes) const {
    const ValueId erf_value = shifted_input(id, 1.0, nodes);
    const Node* erf = maker(erf_value, "Erf");
    if (erf == nullptr) return false;
    nodes.push_back(position(erf_value));
    for (const Scaled& argument : unscale(erf->inputs[0])) {
      if (argument.value != x || !nearly(argument.scale, 0.70710678118654752)) continue;
      nodes.insert(nodes.end(), argument.nodes.begin(), argument.nodes.end());
      return true;
    }
    return false;
  }

 private:
  std::optional<Scaled> one_factor(const Scaled& of) const {
    const Node* node = maker(of.value, "Mul");
    const bool divides = node == nullptr;
    if (divides) node = maker(of.value, "Div");
    if (node == nullptr || node->inputs.size() != 2) return std::nullopt;
    for (size_t i = 0; i < (divides ? 1U : 2U); ++i) {
      const std::optional<double> c = scalar_against(graph_, node->inputs[1 - i], node->inputs[i]);
      if (!c || graph_.is_constant(node->inputs[i]) || (divides && *c == 0.0)) continue;
      Scaled next{node->inputs[i], of.scale * (divides ? 1.0 / *c : *c), of.nodes};
      next.nodes.push_back(position(of.value));
      return next;
    }
    return std::nullopt;
  }

  std::optional<double> clip_bound(const Node& clip, const std::string& attribute, size_t input) const {
    const auto given = clip.attributes.find(attribute);  // before opset 11
    if (given != clip.attributes.end()) return static_cast<double>(clip.attr_float(attribute, 0.0F));
    return clip.has_input(input) ? scalar_against(graph_, clip.inputs[input], clip.inputs[0]) : std::nullopt;
  }

  const Graph& graph_;
  const GraphIndex& index_;
};

}  // namespace

std::optional<ComposedActivation> silu_at(const Graph& graph, const GraphIndex& index, size_t root) {
  const Matcher matcher(graph, index);
  const Node& mul = graph.nodes[root];
  if (!mul.is("Mul") || mul.inputs.size() != 2) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    const Node* sigmoid = matcher.maker(mul.inputs[1 - i], "Sigmoid");
    if (sigmoid != nullptr && sigmoid->inputs[0] == mul.inputs[i])
      return Matcher::finish(mul.inputs[i], {root, matcher.position(mul.inputs[1 - i])});
  }
  return std::nullopt;
}

std::optional<ComposedActivation> hard_sigmoid_at(const Graph& graph, const GraphIndex& index, size_t root) {
  const Matcher matcher(graph, index);
  const Node& node = graph.nodes[root];
  if (node.outputs.size() != 1 || node.outputs[0] == kNoValue) return std::nullopt;
  for (const Scaled& scaled : matcher.unscale(node.outputs[0])) {
    if (!nearly(scaled.scale, 1.0 / 6.0)) continue;
    std::vector<size_t> nodes = scaled.nodes;
    const ValueId x = matcher.clip6_input(scaled.value, nodes);
    if (x != kNoValue) return Matcher::finish(x, std::move(nodes));
  }
  return std::nullopt;
}

std::optional<ComposedActivation> hard_swish_at(const Graph& graph, const GraphIndex& index, size_t root) {
  const Matcher matcher(graph, index);
  return matcher.product(root, [&](ValueId x, ValueId gate, double scale, std::vector<size_t>& nodes) {
    std::vector<size_t> inner;
    const bool matches = nearly(scale, 1.0) ? matcher.hard_sigmoid_input(gate, inner) == x
                                            : nearly(scale, 1.0 / 6.0) && matcher.clip6_input(gate, inner) == x;
    if (matches) nodes.insert(nodes.end(), inner.begin(), inner.end());
    return matches;
  });
}

std::optional<ComposedActivation> gelu_at(const Graph& graph, const GraphIndex& index, size_t root) {
  const Matcher matcher(graph, index);
  return matcher.product(root, [&](ValueId x, ValueId gate, double scale, std::vector<size_t>& nodes) {
    std::vector<size_t> inner;
    const bool matches = nearly(scale, 0.5) && matcher.is_gauss_factor(gate, x, inner);
    if (matches) nodes.insert(nodes.end(), inner.begin(), inner.end());
    return matches;
  });
}

}  // namespace octet
