#include "passes/channel_affine.h"

#include "passes/constant_values.h"

namespace octet {
namespace {

// A weight seen as [outer, middle, inner]; rows of `outer` fall into `groups` blocks, and the output channel of an
// element is block * middle + m. ConvTranspose [ic, oc / g, kh, kw] is the case that has more than one block.
struct WeightLayout {
  int64_t outer = 1;
  int64_t middle = 1;
  int64_t inner = 1;
  int64_t groups = 1;

  int64_t channels() const { return middle * groups; }
};

bool is_weighted(const Node& node) {
  return node.is("Conv") || node.is("ConvTranspose") || node.is("Gemm") || node.is("MatMul");
}

std::optional<WeightLayout> weight_layout(const Node& node, const Tensor& weight) {
  WeightLayout layout;
  if (weight.numel() == 0) return std::nullopt;
  if (node.is("Conv") || node.is("ConvTranspose")) {
    if (weight.rank() < 3) return std::nullopt;
    const bool transposed = node.is("ConvTranspose");
    layout.outer = transposed ? weight.dim(0) : 1;
    layout.middle = weight.dim(transposed ? 1 : 0);
    layout.groups = transposed ? node.attr_int("group", 1) : 1;
    if (layout.groups < 1 || layout.outer % layout.groups != 0) return std::nullopt;
  } else {
    if (weight.rank() != 2) return std::nullopt;
    const bool rows_are_channels = node.is("Gemm") && node.attr_int("transB", 0) != 0;
    layout.outer = rows_are_channels ? 1 : weight.dim(0);
    layout.middle = rows_are_channels ? weight.dim(0) : weight.dim(1);
  }
  layout.inner = weight.numel() / (layout.outer * layout.middle);
  return layout;
}

std::optional<Tensor> scaled_weight(const Tensor& weight, const WeightLayout& layout,
                                    const std::vector<double>& scale) {
  std::optional<std::vector<double>> values = to_doubles(weight);
  if (!values) return std::nullopt;
  const int64_t rows_per_group = layout.outer / layout.groups;
  size_t at = 0;
  for (int64_t o = 0; o < layout.outer; ++o)
    for (int64_t m = 0; m < layout.middle; ++m) {
      const auto channel = static_cast<size_t>(o / rows_per_group * layout.middle + m);
      for (int64_t i = 0; i < layout.inner; ++i) (*values)[at++] *= scale[channel];
    }
  return from_doubles(weight.dtype(), weight.dims(), *values);
}

// The bias as one number per channel, Gemm's beta applied; zeros when there is none; nullopt when it has another
// form.
std::optional<std::vector<double>> channel_bias(const Graph& graph, const Node& node, int64_t channels, DType dtype) {
  const auto count = static_cast<size_t>(channels);
  if (!node.has_input(2)) return std::vector<double>(count, 0.0);
  const Tensor* bias = constant_input(graph, node, 2);
  if (bias == nullptr || bias->dtype() != dtype) return std::nullopt;
  std::optional<std::vector<double>> values = to_doubles(*bias);
  if (!values) return std::nullopt;
  if (node.is("Gemm")) {
    const bool row = bias->rank() <= 1 || (bias->rank() == 2 && bias->dim(0) == 1);
    if (!row || (values->size() != 1 && values->size() != count)) return std::nullopt;
    if (values->size() == 1) values->resize(count, values->front());
    const double beta = node.attr_float("beta", 1.0F);
    for (double& v : *values) v *= beta;
  } else if (bias->rank() != 1 || values->size() != count) {
    return std::nullopt;
  }
  return values;
}

bool left_side_is_matrix(const Graph& graph, const Node& node) {
  const std::optional<Shape>& shape = graph.value(node.inputs[0]).shape;
  return shape && shape->size() == 2;
}

int output_rank(const Graph& graph, const Node& node, const Tensor& weight) {
  if (!node.is("MatMul")) return weight.rank();
  const std::optional<Shape>& shape = graph.value(node.inputs[0]).shape;
  return shape && shape->size() >= 2 ? static_cast<int>(shape->size()) : 0;
}

}  // namespace

std::optional<WeightedNode> weighted_node(const GraphEditor& editor, size_t index) {
  const Node& node = editor.node(index);
  if (!is_weighted(node) || !node.has_input(0) || node.outputs.size() != 1) return std::nullopt;
  const Tensor* weight = constant_input(editor.graph(), node, 1);
  if (weight == nullptr || (weight->dtype() != DType::kFloat32 && weight->dtype() != DType::kFloat64))
    return std::nullopt;
  const std::optional<WeightLayout> layout = weight_layout(node, *weight);
  if (!layout) return std::nullopt;
  const int rank = output_rank(editor.graph(), node, *weight);
  const int axis = node.is("MatMul") && rank > 0 ? rank - 1 : 1;
  return WeightedNode{index, layout->channels(), axis, rank};
}

bool fold_channel_affine(GraphEditor& editor, const WeightedNode& weighted, const ChannelAffine& affine) {
  const Graph& graph = editor.graph();
  Node& node = editor.node(weighted.node);
  const Tensor* weight = constant_input(graph, node, 1);
  const bool has_bias = !node.is("MatMul") && node.has_input(2);
  const bool needs_bias = has_bias || !affine.shift.empty();
  if (node.is("MatMul") && needs_bias && !left_side_is_matrix(graph, node)) return false;

  std::optional<Tensor> new_weight;
  if (!affine.scale.empty()) {
    new_weight = scaled_weight(*weight, *weight_layout(node, *weight), affine.scale);
    if (!new_weight) return false;
  }
  std::optional<Tensor> new_bias;
  if (needs_bias) {
    std::optional<std::vector<double>> bias = channel_bias(graph, node, weighted.channels, weight->dtype());
    if (!bias) return false;
    for (size_t c = 0; c < bias->size(); ++c) {
      if (!affine.scale.empty()) (*bias)[c] *= affine.scale[c];
      if (!affine.shift.empty()) (*bias)[c] += affine.shift[c];
    }
    new_bias = from_doubles(weight->dtype(), {weighted.channels}, *bias);
    if (!new_bias) return false;
  }

  const std::string weight_name = graph.value(node.inputs[1]).name;
  const std::string bias_name = has_bias ? graph.value(node.inputs[2]).name : node.name + ".bias";
  if (new_weight) editor.set_constant(weighted.node, 1, std::move(*new_weight), weight_name);
  if (new_bias) {
    editor.set_constant(weighted.node, 2, std::move(*new_bias), bias_name);
    if (node.is("MatMul")) node.op_type = "Gemm";
    node.attributes.erase("beta");
  }
  return true;
}

}  // namespace octet
