#include "repair/weight_view.h"

#include "passes/constant_values.h"

namespace octet::repair {

std::optional<WeightView> WeightView::of(const Graph& graph, size_t index) {
  const Node& node = graph.nodes[index];
  const Tensor* w = node.inputs.size() > 1 ? constant_input(graph, node, 1) : nullptr;
  if (w == nullptr || w->dtype() != DType::kFloat32 || w->numel() == 0 || node.outputs.empty()) return std::nullopt;
  if (!node.has_input(0) || graph.is_constant(node.inputs[0])) return std::nullopt;
  WeightView v;
  v.node_ = index;
  v.weight_ = node.inputs[1];
  v.numel_ = w->numel();
  const bool transposed = node.is("ConvTranspose");
  if (node.is("Conv") || transposed) {
    if (w->rank() < 3) return std::nullopt;
    v.kind_ = transposed ? Kind::kTransposedConv : Kind::kConv;
    v.groups_ = node.attr_int("group", 1);
    const int64_t split = w->dim(0);  // output channels of Conv, input channels of ConvTranspose
    if (v.groups_ < 1 || split % v.groups_ != 0) return std::nullopt;
    v.rows_ = transposed ? w->dim(1) : split / v.groups_;
    v.in_per_group_ = transposed ? split / v.groups_ : w->dim(1);
    v.positions_ = w->numel() / (w->dim(0) * w->dim(1));
    v.col_stride_ = 1;
    v.row_stride_ = v.cols();
    v.group_stride_ = v.rows_ * v.cols();
    return v;
  }
  const bool gemm = node.is("Gemm");
  if (!(gemm || node.is("MatMul")) || w->rank() != 2) return std::nullopt;
  if (gemm && node.attr_int("transA", 0) != 0) return std::nullopt;
  const bool rows_first = gemm && node.attr_int("transB", 0) != 0;
  v.kind_ = Kind::kMatrix;
  v.rows_ = w->dim(rows_first ? 0 : 1);
  v.in_per_group_ = w->dim(rows_first ? 1 : 0);
  v.row_stride_ = rows_first ? v.in_per_group_ : 1;
  v.col_stride_ = rows_first ? 1 : v.rows_;
  return v;
}

int64_t WeightView::out_of(int64_t element) const {
  switch (kind_) {
    case Kind::kConv: return element / cols();
    case Kind::kTransposedConv:
      return element / positions_ % rows_ + element / (positions_ * rows_ * in_per_group_) * rows_;
    case Kind::kMatrix: return element / row_stride_ % rows_;
  }
  return 0;
}

int64_t WeightView::in_of(int64_t element) const {
  switch (kind_) {
    case Kind::kConv: return element / positions_ % in_per_group_ + element / (rows_ * cols()) * in_per_group_;
    case Kind::kTransposedConv: return element / (positions_ * rows_);
    case Kind::kMatrix: return element / col_stride_ % in_per_group_;
  }
  return 0;
}

int channel_axis(const Node& node, int output_rank) { return node.is("MatMul") ? output_rank - 1 : 1; }

namespace {

bool is_per_channel(const Tensor& bias, int64_t channels) {
  if (bias.dtype() != DType::kFloat32) return false;
  return bias.numel() == channels && (channels == 1 || (bias.rank() > 0 && bias.dim(-1) == channels));
}

}  // namespace

std::optional<BiasPlace> bias_place(const GraphEditor& editor, const WeightView& view) {
  const Graph& graph = editor.graph();
  const Node& node = editor.node(view.node());
  if (node.is("MatMul")) {
    const ValueId y = node.outputs[0];
    if (editor.use_count(y) != 1 || editor.is_output(y)) return std::nullopt;
    for (size_t i = 0; i < editor.node_count(); ++i) {
      const Node& add = editor.node(i);
      if (editor.removed(i) || !add.is("Add") || add.inputs.size() != 2) continue;
      for (size_t k = 0; k < 2; ++k) {
        if (add.inputs[1 - k] != y) continue;
        const Tensor* bias = constant_input(graph, add, k);
        if (bias != nullptr && is_per_channel(*bias, view.out_channels())) return BiasPlace{i, k, true};
        return std::nullopt;
      }
    }
    return std::nullopt;
  }
  if (node.is("Gemm") && (node.attr_float("alpha", 1) != 1.0f || node.attr_float("beta", 1) != 1.0f))
    return std::nullopt;
  if (!node.has_input(2)) return BiasPlace{view.node(), 2, false};
  const Tensor* bias = constant_input(graph, node, 2);
  const bool usable = bias != nullptr && (is_per_channel(*bias, view.out_channels()) ||
                                          (bias->numel() == 1 && bias->dtype() == DType::kFloat32));
  if (!usable) return std::nullopt;
  return BiasPlace{view.node(), 2, true};
}

std::vector<double> read_bias(const GraphEditor& editor, const WeightView& view, const BiasPlace& place) {
  std::vector<double> bias(static_cast<size_t>(view.out_channels()), 0.0);
  if (!place.exists) return bias;
  const Tensor& t = *constant_input(editor.graph(), editor.node(place.node), place.input);
  for (size_t c = 0; c < bias.size(); ++c) bias[c] = t.data<float>()[t.numel() == 1 ? 0 : c];
  return bias;
}

bool write_bias(GraphEditor& editor, const WeightView& view, const BiasPlace& place,
                const std::vector<double>& bias) {
  const Graph& graph = editor.graph();
  const Node& node = editor.node(place.node);
  Dims dims{view.out_channels()};
  std::string name = node.name + ".bias";
  if (place.exists) name = graph.value(node.inputs[place.input]).name;
  if (node.is("Add")) dims = constant_input(graph, node, place.input)->dims();
  std::optional<Tensor> t = from_doubles(DType::kFloat32, dims, bias);
  if (!t) return false;
  editor.set_constant(place.node, place.input, std::move(*t), name);
  return true;
}

std::string quoted_node(const Node& node) { return "node '" + node.name + "'"; }

}  // namespace octet::repair
