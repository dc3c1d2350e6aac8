#include <algorithm>
#include <cmath>
#include <string_view>

#include "interp/interpreter.h"
#include "passes/constant_values.h"
#include "passes/graph_editor.h"
#include "passes/operator_traits.h"
#include "passes/rewrites.h"
#include "passes/shape_values.h"

namespace octet {
namespace {

constexpr double kMostWork = 4294967296.0;  // multiply-adds of one node; the reference operators do some 1e8 a second

// Operators whose output stays within a small multiple of their inputs; the others are folded only when their output
// shape is known beforehand, so that a hostile file cannot make us allocate.
bool is_bounded(const Node& node) {
  constexpr std::string_view kBounded[] = {
      "Constant", "Identity", "Cast",  "Reshape", "Transpose", "Squeeze",    "Unsqueeze", "Flatten",   "Slice",
      "Concat",   "Split",    "Shape", "Size",    "Neg",       "Sqrt",       "Relu",      "Floor",     "Ceil",
      "Exp",      "Log",      "Abs",   "Not",     "NonZero",   "ReduceProd", "ReduceSum", "ReduceMean"};
  return node.domain.empty() &&
         std::find(std::begin(kBounded), std::end(kBounded), node.op_type) != std::end(kBounded);
}

bool is_matrix_product(const Node& node) {
  return node.is("MatMul") || node.is("Gemm") || node.is("Conv") || node.is("ConvTranspose") ||
         node.is("MatMulInteger") || node.is("ConvInteger") || node.is("Einsum");
}

bool has_constant_inputs_only(const Graph& graph, const Node& node) {
  bool any = false;
  for (ValueId in : node.inputs) {
    if (in == kNoValue) continue;
    if (!graph.is_constant(in)) return false;
    any = true;
  }
  return any || node.is("Constant");
}

int64_t size_limit(const Graph& graph, const Node& node, const PassOptions& options) {
  int64_t input_bytes = 0;
  for (ValueId in : node.inputs)
    if (in != kNoValue) input_bytes += graph.value(in).constant->nbytes();
  return std::max(options.fold_limit_bytes, 4 * input_bytes);
}

// Bytes of all outputs by their inferred shapes; nullopt when one is not known.
std::optional<int64_t> inferred_bytes(const Graph& graph, const Node& node) {
  int64_t total = 0;
  for (ValueId out : node.outputs) {
    if (out == kNoValue) continue;
    const Value& value = graph.value(out);
    if (!value.shape || !is_static(*value.shape)) return std::nullopt;
    const Result<int64_t> count = checked_numel(to_dims(*value.shape));
    if (!count.is_ok() || *count > (int64_t{1} << 48)) return std::nullopt;
    total += *count * static_cast<int64_t>(std::max<size_t>(dtype_size(value.dtype), 1));
  }
  return total;
}

// The square root of the three sizes' product is m * n * k for a matrix product, and about right for a convolution.
double work(const Graph& graph, const Node& node, int64_t output_bytes) {
  double product = static_cast<double>(std::max<int64_t>(output_bytes, 1));
  for (size_t i = 0; i < 2 && i < node.inputs.size(); ++i)
    if (node.has_input(i)) product *= static_cast<double>(graph.value(node.inputs[i]).constant->numel());
  return std::sqrt(product);
}

bool is_affordable(const Graph& graph, const Node& node, const PassOptions& options) {
  const std::optional<int64_t> bytes = inferred_bytes(graph, node);
  if (!bytes) return is_bounded(node);
  if (*bytes > size_limit(graph, node, options)) return false;
  return !is_matrix_product(node) || work(graph, node, *bytes) <= kMostWork;
}

bool may_fold(const GraphEditor& editor, const Node& node, const PassOptions& options) {
  if (!node.domain.empty() || is_random(node) || node.outputs.empty()) return false;
  if (is_quantize_or_dequantize(node) && !options.fold_quantized_weights) return false;
  return std::none_of(node.outputs.begin(), node.outputs.end(),
                      [&](ValueId out) { return out != kNoValue && editor.is_output(out); });
}

bool fold_computed(GraphEditor& editor, size_t index, const PassOptions& options) {
  const Graph& graph = editor.graph();
  const Node& node = editor.node(index);
  if (!has_constant_inputs_only(graph, node) || !is_affordable(graph, node, options)) return false;
  std::vector<const Tensor*> inputs;
  for (ValueId in : node.inputs) inputs.push_back(constant_of(graph, in));
  // A node that cannot be computed stays; whoever runs the graph reports it with its name.
  Result<std::vector<Tensor>> results = run_node(node, graph.opset, std::move(inputs));
  if (!results.is_ok() || results->size() < node.outputs.size()) return false;
  int64_t bytes = 0;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue && !(*results)[i].defined()) return false;
    bytes += (*results)[i].nbytes();
  }
  if (bytes > size_limit(graph, node, options)) return false;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoValue) editor.fold_output(node.outputs[i], std::move((*results)[i]));
  return true;
}

bool fold_traced(GraphEditor& editor, size_t index, const std::vector<std::optional<ShapeValue>>& traced) {
  const Node& node = editor.node(index);
  if (node.outputs.size() != 1 || node.outputs[0] == kNoValue) return false;
  const std::optional<ShapeValue>& value = traced[static_cast<size_t>(node.outputs[0])];
  if (!value || !is_static(value->dims)) return false;
  const Dims dims = value->is_scalar ? Dims{} : Dims{static_cast<int64_t>(value->dims.size())};
  editor.fold_output(node.outputs[0], Tensor::from<int64_t>(dims, to_dims(value->dims)));
  return true;
}

// Size of a value whose shape is static.
bool fold_size(GraphEditor& editor, size_t index) {
  const Node& node = editor.node(index);
  if (!node.is("Size") || !node.has_input(0) || node.outputs.size() != 1) return false;
  const std::optional<Shape>& shape = editor.graph().value(node.inputs[0]).shape;
  if (!shape || !is_static(*shape)) return false;
  const Result<int64_t> count = checked_numel(to_dims(*shape));
  if (!count.is_ok()) return false;
  editor.fold_output(node.outputs[0], Tensor::scalar<int64_t>(*count));
  return true;
}

}  // namespace

Result<int> fold_constants(Graph& graph, const PassOptions& options) {
  const std::vector<std::optional<ShapeValue>> traced = trace_shape_values(graph);
  GraphEditor editor(graph);
  int rewrites = 0;
  for (size_t i = 0; i < editor.node_count(); ++i) {
    if (!may_fold(editor, editor.node(i), options)) continue;
    if (!fold_traced(editor, i, traced) && !fold_size(editor, i) && !fold_computed(editor, i, options)) continue;
    editor.remove(i);
    ++rewrites;
  }
  OCTET_RETURN_IF_ERROR(editor.finish());
  return rewrites;
}

}  // namespace octet
