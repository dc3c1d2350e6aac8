#include <algorithm>

#include "passes/constant_values.h"
#include "passes/graph_editor.h"
#include "passes/rewrites.h"

namespace octet {
namespace {

bool all_equal(const std::vector<int64_t>& values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == wanted; });
}

// Both shapes are known to the last dimension, symbols included, and equal.
bool keeps_shape(const Graph& graph, const Node& node) {
  const std::optional<Shape>& in = graph.value(node.inputs[0]).shape;
  const std::optional<Shape>& out = graph.value(node.outputs[0]).shape;
  if (!in || !out || *in != *out) return false;
  return std::all_of(in->begin(), in->end(), [](const Dim& d) { return d.is_known(); });
}

bool is_idle_dropout(const Graph& graph, const Node& node) {
  if (!node.is("Dropout") || node.attr_int("is_test", 1) == 0) return false;
  if (!node.has_input(2)) return true;  // training_mode: false by default
  const std::optional<std::vector<int64_t>> training = integer_input(graph, node, 2);
  return training && training->size() == 1 && training->front() == 0;
}

bool is_idle_cast(const Graph& graph, const Node& node) {
  if (!node.is("Cast") && !node.is("CastLike")) return false;
  const DType from = graph.value(node.inputs[0]).dtype;
  return from != DType::kUndefined && from == graph.value(node.outputs[0]).dtype;
}

// Operators that only rename elements: with the same shape they do nothing.
bool is_idle_reshape(const Graph& graph, const Node& node) {
  const bool reshapes = node.is("Reshape") || node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze") ||
                        node.is("Expand") || node.is("Tile");
  return reshapes && keeps_shape(graph, node);
}

// perm of a Transpose; nullopt when it is the default and the rank is not known.
std::optional<std::vector<int64_t>> permutation(const Graph& graph, const Node& node) {
  std::vector<int64_t> perm = node.attr_ints("perm");
  if (!perm.empty()) return perm;
  const std::optional<Shape>& shape = graph.value(node.inputs[0]).shape;
  if (!shape) return std::nullopt;
  for (size_t i = shape->size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  return perm;
}

bool is_idle_transpose(const Graph& graph, const Node& node) {
  if (!node.is("Transpose")) return false;
  const std::optional<std::vector<int64_t>> perm = permutation(graph, node);
  if (!perm) return false;
  for (size_t i = 0; i < perm->size(); ++i)
    if ((*perm)[i] != static_cast<int64_t>(i)) return false;
  return true;
}

// With unit steps, an unchanged shape means that nothing was cut.
bool is_idle_slice(const Graph& graph, const Node& node) {
  if (!node.is("Slice") || !keeps_shape(graph, node)) return false;
  if (!node.has_input(4)) return true;
  const std::optional<std::vector<int64_t>> steps = integer_input(graph, node, 4);
  return steps && all_equal(*steps, 1);
}

bool is_idle_pad(const Graph& graph, const Node& node) {
  if (!node.is("Pad")) return false;
  if (node.attributes.count("pads") != 0) return all_equal(node.attr_ints("pads"), 0);
  const std::optional<std::vector<int64_t>> pads = integer_input(graph, node, 1);
  return pads && all_equal(*pads, 0);
}

bool is_single(const Node& node) {
  const bool variadic = node.is("Concat") || node.is("Sum") || node.is("Max") || node.is("Min") || node.is("Mean");
  return variadic && node.inputs.size() == 1;
}

bool all_ones(const Tensor& tensor) {
  const std::optional<std::vector<double>> values = to_doubles(tensor);
  return values && std::all_of(values->begin(), values->end(), [](double v) { return v == 1.0; });
}

// By scales of exactly 1, or by sizes that are the input's own.
bool is_idle_resize(const Graph& graph, const Node& node) {
  if ((!node.is("Resize") && !node.is("Upsample")) || !keeps_shape(graph, node)) return false;
  if (node.attr_string("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize") return false;
  if (node.attr_string("keep_aspect_ratio_policy", "stretch") != "stretch") return false;
  const bool scales_second = node.is("Upsample") || graph.opset < 11;
  if (scales_second && node.inputs.size() < 2) {
    const std::vector<float> scales = node.attr_floats("scales");  // Upsample before opset 9
    return !scales.empty() && std::all_of(scales.begin(), scales.end(), [](float s) { return s == 1.0F; });
  }
  const Tensor* scales = constant_input(graph, node, scales_second ? 1 : 2);
  if (scales != nullptr && scales->numel() > 0) return all_ones(*scales);
  return !scales_second && node.has_input(3);
}

bool is_idle_pool(const Node& node) {
  if (!node.is("AveragePool") && !node.is("MaxPool")) return false;
  const std::vector<int64_t> kernel = node.attr_ints("kernel_shape");
  return !kernel.empty() && all_equal(kernel, 1) && all_equal(node.attr_ints("strides"), 1) &&
         all_equal(node.attr_ints("pads"), 0);
}

// x * 1, x / 1, x - 0: exact for every x (x + 0 would turn -0 into 0). `input` is where x stands.
bool is_idle_arithmetic(const Graph& graph, const Node& node, size_t& input) {
  if (node.inputs.size() != 2) return false;
  const bool first_constant = graph.is_constant(node.inputs[0]);
  if (first_constant && !node.is("Mul")) return false;
  input = first_constant ? 1 : 0;
  const std::optional<double> c = scalar_against(graph, node.inputs[1 - input], node.inputs[input]);
  if (!c) return false;
  if (node.is("Mul") || node.is("Div")) return *c == 1.0;
  return node.is("Sub") && *c == 0.0;
}

bool is_idle(const Graph& graph, const Node& node, size_t& input) {
  input = 0;
  return node.is("Identity") || is_idle_dropout(graph, node) || is_idle_cast(graph, node) ||
         is_idle_reshape(graph, node) || is_idle_transpose(graph, node) || is_idle_slice(graph, node) ||
         is_idle_pad(graph, node) || is_single(node) || is_idle_resize(graph, node) || is_idle_pool(node) ||
         is_idle_arithmetic(graph, node, input);
}

bool has_one_wanted_output(const GraphEditor& editor, const Node& node) {
  if (node.outputs.empty() || node.outputs[0] == kNoValue || !node.has_input(0)) return false;
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    const ValueId id = node.outputs[i];
    if (id != kNoValue && (editor.use_count(id) != 0 || editor.is_output(id))) return false;
  }
  return true;
}

// The value that a Transpose of a Transpose gives back, if the second undoes the first.
ValueId before_transposes(const GraphEditor& editor, const Node& second) {
  if (!second.is("Transpose") || editor.producer(second.inputs[0]) < 0) return kNoValue;
  const Node& first = editor.node(static_cast<size_t>(editor.producer(second.inputs[0])));
  if (!first.is("Transpose") || !first.has_input(0)) return kNoValue;
  const auto p = permutation(editor.graph(), first);
  const auto q = permutation(editor.graph(), second);
  if (!p || !q || p->size() != q->size()) return kNoValue;
  for (size_t i = 0; i < q->size(); ++i) {
    const int64_t via = (*q)[i];
    if (via < 0 || via >= static_cast<int64_t>(p->size()) ||
        (*p)[static_cast<size_t>(via)] != static_cast<int64_t>(i))
      return kNoValue;
  }
  return first.inputs[0];
}

bool remove_one(GraphEditor& editor, size_t index) {
  const Node& node = editor.node(index);
  if (!node.domain.empty() || !has_one_wanted_output(editor, node)) return false;
  size_t input = 0;
  ValueId source = kNoValue;
  if (is_idle(editor.graph(), node, input)) source = node.inputs[input];
  else source = before_transposes(editor, node);
  if (source == kNoValue || !editor.can_substitute(node.outputs[0], source)) return false;
  editor.substitute(node.outputs[0], source);
  editor.remove(index);
  return true;
}

}  // namespace

Result<int> remove_identity(Graph& graph, const PassOptions&) {
  GraphEditor editor(graph);
  int rewrites = 0;
  for (size_t i = 0; i < editor.node_count(); ++i) rewrites += remove_one(editor, i) ? 1 : 0;
  OCTET_RETURN_IF_ERROR(editor.finish());
  return rewrites;
}

}  // namespace octet
