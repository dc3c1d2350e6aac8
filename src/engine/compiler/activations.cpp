#include "engine/compiler/activations.h"

#include <algorithm>
#include <string_view>

namespace octet::engine {
namespace {

std::optional<float> scalar(const Graph& graph, const Node& node, size_t i) {
  if (!node.has_input(i) || !graph.is_constant(node.inputs[i])) return std::nullopt;
  const Tensor& t = *graph.value(node.inputs[i]).constant;
  if (t.dtype() != DType::kFloat32 || t.numel() != 1) return std::nullopt;
  return *t.data<float>();
}

std::optional<Activation> clip_of(const Graph& graph, const Node& node) {
  Activation a{.clips = true};
  for (size_t i : {1, 2}) {
    if (!node.has_input(i)) continue;
    const std::optional<float> bound = scalar(graph, node, i);
    if (!bound || *bound != *bound) return std::nullopt;
    (i == 1 ? a.lo : a.hi) = *bound;
  }
  return a.lo <= a.hi ? std::optional(a) : std::nullopt;
}

Activation curve(cpu::Curve kind, float alpha = 0, float beta = 0) {
  return {.curve = kind, .alpha = alpha, .beta = beta};
}

}  // namespace

std::optional<Activation> activation_of(const Graph& graph, const Node& node) {
  using cpu::Curve;
  if (!node.domain.empty() || node.inputs.empty() || graph.is_constant(node.inputs[0])) return std::nullopt;
  const std::string_view op = node.op_type;
  if (op == "Relu") return Activation{.clips = true, .lo = 0};
  if (op == "Clip") return clip_of(graph, node);
  if (op == "LeakyRelu") return curve(Curve::kLeakyRelu, node.attr_float("alpha", 0.01f));
  if (op == "PRelu") {
    const std::optional<float> slope = scalar(graph, node, 1);
    return slope ? std::optional(curve(Curve::kLeakyRelu, *slope)) : std::nullopt;
  }
  if (op == "Sigmoid") return curve(Curve::kSigmoid);
  if (op == "Tanh") return curve(Curve::kTanh);
  if (op == "HardSwish") return curve(Curve::kHardSwish);
  if (op == "HardSigmoid")
    return curve(Curve::kHardSigmoid, node.attr_float("alpha", 0.2f), node.attr_float("beta", 0.5f));
  if (op == "Gelu")
    return curve(node.attr_string("approximate", "none") == "tanh" ? Curve::kGeluTanh : Curve::kGeluErf);
  return std::nullopt;
}

bool is_elementwise(const Node& node) {
  static constexpr std::string_view kOps[] = {
      "Abs", "Add", "Ceil", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish",
      "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Round",
      "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh", "ThresholdedRelu"};
  return node.domain.empty() && node.outputs.size() == 1 &&
         std::binary_search(std::begin(kOps), std::end(kOps), std::string_view(node.op_type));
}

}  // namespace octet::engine
