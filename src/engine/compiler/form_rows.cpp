// Units on row-major codes: what transformers are made of.
#include <algorithm>
#include <cmath>

#include "engine/compiler/former.h"
#include "interp/interpreter.h"
#include "kernels/cpu/matmul_ops.h"
#include "kernels/cpu/row_ops.h"

namespace octet::engine {
namespace {

// A constant, or what DequantizeLinear makes of one.
std::optional<Tensor> constant_of(const Graph& graph, const GraphIndex& index, ValueId id) {
  if (graph.is_constant(id)) return *graph.value(id).constant;
  const int64_t producer = id == kNoValue ? -1 : index.producer(id);
  if (producer < 0 || !graph.nodes[static_cast<size_t>(producer)].is("DequantizeLinear")) return std::nullopt;
  const Node& dq = graph.nodes[static_cast<size_t>(producer)];
  std::vector<const Tensor*> inputs;
  for (ValueId in : dq.inputs) {
    if (in != kNoValue && !graph.is_constant(in)) return std::nullopt;
    inputs.push_back(in == kNoValue ? nullptr : &*graph.value(in).constant);
  }
  Result<std::vector<Tensor>> made = run_node(dq, graph.opset, inputs);
  return made.is_ok() && !made->empty() ? std::optional((*made)[0]) : std::nullopt;
}

// A constant of float32 that lies along the last dimension of `length`.
std::optional<std::vector<float>> along_rows(const Graph& graph, const GraphIndex& index, const Node& node,
                                             size_t input, int64_t length) {
  const std::optional<Tensor> found =
      node.has_input(input) ? constant_of(graph, index, node.inputs[input]) : std::nullopt;
  if (!found) return std::nullopt;
  const Tensor& t = *found;
  if (t.dtype() != DType::kFloat32 || t.rank() == 0 || t.dim(-1) != length || t.numel() != length)
    return std::nullopt;
  return std::vector<float>(t.data<float>(), t.data<float>() + length);
}

bool is_last_axis(const Node& node, const Dims& dims) {
  const int64_t axis = node.attr_int("axis", -1);
  return axis == -1 || axis == static_cast<int64_t>(dims.size()) - 1;
}

}  // namespace

CodeId Former::as_rows(CodeId code) {
  const Code from = units_.codes[static_cast<size_t>(code)];
  if (!from.image()) return code;
  const auto known = rows_of_.find(code);
  if (known != rows_of_.end()) return known->second;
  Unit unit{.kind = UnitKind::kToRows, .inputs = {code}};
  return rows_of_[code] = add_unit(std::move(unit), from.name + "_rows", from.params, from.dims);
}

CodeId Former::as_image(CodeId code) {
  if (code == kNoCode) return code;
  const Code from = units_.codes[static_cast<size_t>(code)];
  if (from.dims.size() != 4 || from.image()) return code;
  const auto known = image_of_.find(code);
  if (known != image_of_.end()) return known->second;
  Unit unit{.kind = UnitKind::kToImage, .inputs = {code}};
  return image_of_[code] = add_unit(std::move(unit), from.name + "_image", from.params, from.dims);
}

// Whether a unit leaves a result of rank 4 in ONNX's order.
bool Former::makes_rows(const Unit& unit) const {
  switch (unit.kind) {
    case UnitKind::kToRows:
    case UnitKind::kSoftmax:
    case UnitKind::kLayerNorm:
    case UnitKind::kTranspose:
    case UnitKind::kMatMul: return true;
    case UnitKind::kTurnView: return units_.codes[static_cast<size_t>(unit.inputs[0])].image();
    case UnitKind::kConv:
    case UnitKind::kTable:
    case UnitKind::kBinary: return !units_.codes[static_cast<size_t>(unit.inputs[0])].image();
    default: return false;
  }
}

std::optional<std::pair<CodeId, std::vector<float>>> Former::real_numbers(ValueId value) {
  std::vector<float> real(256);
  if (const CodeId code = coded(value); code != kNoCode) {
    const CodeParams& params = units_.codes[static_cast<size_t>(code)].params;
    for (int q = 0; q < 256; ++q) real[static_cast<size_t>(q)] = dequantize_value(q, params.scale, params.zero);
    return std::pair(as_rows(code), std::move(real));
  }
  const auto origin = origins_.find(value);
  if (origin == origins_.end()) return std::nullopt;
  const float* values = origin->second.values.data<float>();
  std::copy_n(values, 256, real.begin());
  return std::pair(as_rows(origin->second.root), std::move(real));
}

std::optional<Unit> Former::softmax_unit(ValueId value, const CodeParams& params) {
  size_t n = 0;
  const Node* nd = producer(value, &n);
  if (nd == nullptr || !nd->is("Softmax") || !sole_reader(value) || graph_.opset < 13) return std::nullopt;
  const std::optional<Dims> dims = image_dims(graph_, value);
  if (!dims || dims->size() < 2) return std::nullopt;
  if (!is_last_axis(*nd, *dims)) return refuse(n, "Softmax along another than the last dimension"), std::nullopt;
  auto from = real_numbers(nd->inputs[0]);
  if (!from) return refuse(n, "its input is not quantized"), std::nullopt;
  std::vector<float>& real = from->second;
  const bool usable = std::is_sorted(real.begin(), real.end()) &&
                      std::all_of(real.begin(), real.end(), [](float v) { return std::isfinite(v); });
  if (!usable) return refuse(n, "a greater code does not stand for more"), std::nullopt;
  Unit unit{.kind = UnitKind::kSoftmax, .inputs = {from->first}, .nodes = {n}};
  if (const auto origin = origins_.find(nd->inputs[0]); origin != origins_.end() && coded(nd->inputs[0]) == kNoCode)
    for (size_t before : nodes_of(origin->second)) unit.nodes.push_back(before);
  std::sort(unit.nodes.begin(), unit.nodes.end());
  unit.softmax.real = std::move(real);
  unit.softmax.grid = {params.zero, 0, params.top()};
  return unit;
}

std::optional<Unit> Former::layer_norm_unit(ValueId value, const CodeParams& params) {
  size_t n = 0;
  const Node* nd = producer(value, &n);
  if (nd == nullptr || !nd->is("LayerNormalization") || !sole_reader(value)) return std::nullopt;
  const std::optional<Dims> dims = image_dims(graph_, value);
  if (!dims || dims->size() < 2 || value != nd->outputs[0]) return std::nullopt;
  for (size_t o = 1; o < nd->outputs.size(); ++o)
    if (nd->outputs[o] != kNoValue && (!index_.uses(nd->outputs[o]).empty() || graph_.is_output(nd->outputs[o])))
      return refuse(n, "somebody reads its mean or deviation"), std::nullopt;
  if (!is_last_axis(*nd, *dims)) return refuse(n, "it normalizes more than the last dimension"), std::nullopt;
  const CodeId src = coded(nd->inputs[0]);
  if (src == kNoCode) return refuse(n, "its input is not quantized"), std::nullopt;
  std::optional<std::vector<float>> weight = along_rows(graph_, index_, *nd, 1, dims->back()), bias;
  if (nd->has_input(2)) bias = along_rows(graph_, index_, *nd, 2, dims->back());
  const float epsilon = nd->attr_float("epsilon", 1e-5f);
  const auto finite = [](const std::vector<float>& list) {
    return std::all_of(list.begin(), list.end(), [](float v) { return std::isfinite(v); });
  };
  const bool usable = weight && (bias || !nd->has_input(2)) && finite(*weight) && (!bias || finite(*bias)) &&
                      std::isfinite(epsilon) && epsilon >= 0;
  if (!usable) return refuse(n, "its scale and bias are not constants along the last dimension"), std::nullopt;
  auto from = real_numbers(nd->inputs[0]);
  Unit unit{.kind = UnitKind::kLayerNorm, .inputs = {from->first}, .nodes = {n}};
  unit.norm.real = std::move(from->second);
  unit.norm.weight = std::move(*weight);
  if (bias) unit.norm.bias = std::move(*bias);
  unit.norm.epsilon = epsilon;
  unit.norm.grid = {params.zero, 0, params.top()};
  return unit;
}

std::optional<Unit> Former::product_unit(ValueId value, const std::optional<CodeParams>& params) {
  size_t n = 0;
  const Node* nd = producer(value, &n);
  if (nd == nullptr || !nd->is("MatMul") || (params && !sole_reader(value))) return std::nullopt;
  CodeId a = coded(nd->inputs[0]), b = coded(nd->inputs[1]);
  if (a == kNoCode || b == kNoCode || graph_.is_constant(nd->inputs[0]) || graph_.is_constant(nd->inputs[1]))
    return std::nullopt;
  const auto no = [&](const char* why) { return refuse(n, why), std::nullopt; };
  if (options_.keep_float.count(nd->name) != 0) return no("kept in float");
  const Dims left = units_.codes[static_cast<size_t>(a)].dims, right = units_.codes[static_cast<size_t>(b)].dims;
  const size_t rank = left.size();
  if (rank < 3 || right.size() != rank || !std::equal(left.begin(), left.end() - 2, right.begin()))
    return no("matrices of different numbers");
  if (left[rank - 1] != right[rank - 2]) return no("the shapes do not fit");
  if (left[rank - 1] > cpu::kMostTerms) return no("its sums could leave 32 bits");
  a = as_rows(a);
  b = as_rows(b);
  const CodeParams &pa = units_.codes[static_cast<size_t>(a)].params,
                   &pb = units_.codes[static_cast<size_t>(b)].params;
  Unit unit{.kind = UnitKind::kMatMul, .inputs = {a, b}, .nodes = {n}};
  unit.product.scale = pa.scale * pb.scale;
  unit.product.to_float = !params;
  if (params) {
    unit.product.scale = unit.product.scale / params->scale;
    unit.product.grid = {params->zero, 0, params->top()};
  }
  if (!std::isfinite(unit.product.scale)) return no("its scales are too far apart for float32");
  return unit;
}

// A product of two activations that somebody reads in float32.
void Former::note_float_product(ValueId out) {
  if (units_.float_conv.count(out) != 0) return;
  std::optional<Unit> unit = product_unit(out, std::nullopt);
  if (!unit || !image_dims(graph_, out)) return;
  unit->float_output = out;
  units_.float_conv[out] = static_cast<int>(units_.units.size());
  units_.units.push_back(std::move(*unit));
}

bool Former::move_transpose(size_t n, CodeId src) {
  const Node& nd = node(n);
  const std::optional<Dims> out = image_dims(graph_, nd.outputs[0]);
  const Code code = units_.codes[static_cast<size_t>(src)];
  const size_t rank = code.dims.size();
  if (!out || out->size() != rank || rank < 2 || rank > static_cast<size_t>(cpu::kMostAxes)) return false;
  std::vector<int64_t> perm = nd.attr_ints("perm");
  if (perm.empty())
    for (size_t d = 0; d < rank; ++d) perm.push_back(static_cast<int64_t>(rank - 1 - d));
  if (perm.size() != rank || perm[0] != 0) return refuse(n, "it moves the batch"), false;
  for (size_t d = 0; d < rank; ++d)
    if ((*out)[d] != code.dims[static_cast<size_t>(perm[d])]) return false;
  // An image's own bytes, seen in their order. Fewer than four channels have gaps between pixels.
  const bool from_image = code.image() && code.dims[1] >= 4 && perm == std::vector<int64_t>{0, 2, 3, 1};
  const bool to_image = !code.image() && rank == 4 && (*out)[1] >= 4 && perm == std::vector<int64_t>{0, 3, 1, 2};
  if (from_image || to_image) {
    add_move(Unit{.kind = UnitKind::kTurnView, .inputs = {src}}, n, 0, src, *out);
    return true;
  }
  Unit unit{.kind = UnitKind::kTranspose, .inputs = {as_rows(src)}};
  unit.transpose.perm.assign(perm.begin(), perm.end());
  add_move(std::move(unit), n, 0, src, *out);
  return true;
}

}  // namespace octet::engine
