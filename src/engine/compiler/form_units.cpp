#include <algorithm>

#include "arith/quantize.h"
#include "engine/compiler/former.h"
#include "interp/interpreter.h"

namespace octet::engine {

std::optional<Dims> image_dims(const Graph& graph, ValueId id) {
  const std::optional<Shape>& shape = graph.value(id).shape;
  if (!shape) return std::nullopt;
  Dims dims;
  for (size_t i = 0; i < shape->size(); ++i) {
    const Dim& d = (*shape)[i];
    if (!d.is_known() || d.coefficient == 0 || (!d.symbol.empty() && i != 0)) return std::nullopt;
    dims.push_back(d.coefficient);
  }
  return dims;
}

Units form_units(const Graph& graph, const CompileOptions& options) { return Former(graph, options).run(); }

Units Former::run() {
  if (!options_.integers) return std::move(units_);
  graph_inputs();
  for (size_t n = 0; n < graph_.nodes.size(); ++n) visit(n);
  note_float_results();
  return std::move(units_);
}

void Former::graph_inputs() {
  for (ValueId id : graph_.inputs) {
    const Value& value = graph_.value(id);
    if (value.dtype != DType::kInt8 && value.dtype != DType::kUint8) continue;
    const std::optional<Dims> dims = image_dims(graph_, id);
    if (!dims) continue;
    // Scale and zero point come from the DequantizeLinear that reads it.
    for (const GraphIndex::Use& use : index_.uses(id)) {
      std::string why;
      const std::optional<CodeParams> params =
          node(use.node).is("DequantizeLinear") ? code_params(graph_, node(use.node), &why) : std::nullopt;
      if (!params || params->dtype != value.dtype) continue;
      Unit unit{.kind = UnitKind::kInput, .float_input = id};
      units_.code_of[id] = add_unit(std::move(unit), value.name + "_codes", *params, *dims);
      break;
    }
  }
}

void Former::visit(size_t n) {
  const Node& nd = node(n);
  if (nd.is("QuantizeLinear")) return visit_quantize(n);
  if (nd.is("DequantizeLinear")) return visit_dequantize(n);
  if (is_elementwise(nd)) trace_elementwise(n);
  visit_move(n);
}

// Graph outputs and weighted operators that no unit took.
void Former::note_float_results() {
  std::vector<bool> taken(graph_.nodes.size(), false);
  for (const Unit& unit : units_.units)
    if (unit.kind == UnitKind::kConv || unit.kind == UnitKind::kMatMul)
      for (size_t n : unit.nodes) taken[n] = true;
  for (ValueId id : graph_.outputs) note_float_conv(id);
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    const Node& nd = node(n);
    if (!taken[n] && (nd.is("Conv") || nd.is("Gemm") || nd.is("MatMul")) && !graph_.is_output(nd.outputs[0]))
      note_float_conv(nd.outputs[0]);
    if (!taken[n] && nd.is("MatMul")) note_float_product(nd.outputs[0]);
  }
}

void Former::visit_dequantize(size_t n) {
  const Node& nd = node(n);
  const auto it = units_.code_of.find(nd.inputs[0]);
  if (it == units_.code_of.end()) return;
  std::string why;
  const std::optional<CodeParams> params = code_params(graph_, nd, &why);
  const Code& code = units_.codes[static_cast<size_t>(it->second)];
  if (!params || !params->same_numbers(code.params))
    return refuse(n, params ? "its scale differs from the quantizer's" : why);
  units_.coded[nd.outputs[0]] = it->second;

  Tensor values(DType::kFloat32, {256});
  CodeId root = it->second;
  const Unit& maker = units_.units[static_cast<size_t>(code.unit)];
  const bool from_table = maker.kind == UnitKind::kTable && maker.table;
  if (from_table) root = maker.inputs[0];
  for (int i = 0; i < 256; ++i) {
    const int q = from_table ? (*maker.table)[static_cast<size_t>(i)] : i;
    values.data<float>()[i] = dequantize_value(q, code.params.scale, code.params.zero);
  }
  origins_[nd.outputs[0]] = {root, std::move(values), n, {}, from_table ? code.unit : -1};
}

// Follows an elementwise node whose inputs all come from the same root code (or are single constants).
void Former::trace_elementwise(size_t n) {
  const Node& nd = node(n);
  const Origin* origin = nullptr;
  std::vector<Tensor> held;
  held.reserve(nd.inputs.size());
  std::vector<ValueId> from;
  for (ValueId id : nd.inputs) {
    if (id == kNoValue) {
      held.emplace_back();
    } else if (graph_.is_constant(id)) {
      const Tensor& t = *graph_.value(id).constant;
      if (t.numel() != 1) return;
      held.push_back(t.reshaped({}));
    } else {
      const auto it = origins_.find(id);
      if (it == origins_.end() || (origin != nullptr && origin->root != it->second.root)) return;
      if (origin != nullptr && graph_.value(id).shape != graph_.value(nd.inputs[0]).shape) return;
      origin = &it->second;
      from.push_back(id);
      held.push_back(it->second.values);
    }
  }
  const std::optional<Dims> dims = image_dims(graph_, nd.outputs[0]);
  if (origin == nullptr || !dims || *dims != units_.codes[static_cast<size_t>(origin->root)].dims) return;
  std::vector<const Tensor*> inputs;
  for (const Tensor& t : held) inputs.push_back(t.defined() ? &t : nullptr);
  Result<std::vector<Tensor>> made = run_node(nd, graph_.opset, inputs);
  if (!made.is_ok() || (*made)[0].numel() != 256 || (*made)[0].dtype() != DType::kFloat32) return;
  const CodeId root = origin->root;
  origins_[nd.outputs[0]] = {root, (*made)[0], n, std::move(from), -1};
}

void Former::visit_quantize(size_t n) {
  const Node& nd = node(n);
  const ValueId value = nd.inputs[0];
  const ValueId out = nd.outputs[0];
  std::string why;
  const std::optional<CodeParams> params = code_params(graph_, nd, &why);
  if (!params) return refuse(n, why);
  const std::optional<Dims> dims = image_dims(graph_, out);
  if (!dims || graph_.is_constant(value)) return;

  const CodeId same = coded(value);
  if (same != kNoCode && units_.codes[static_cast<size_t>(same)].params.same_numbers(*params)) {
    units_.code_of[out] = same;  // Q of DQ with equal parameters
    return;
  }
  std::optional<Unit> unit;
  const auto origin = origins_.find(value);
  if (origin != origins_.end()) {
    unit = table_unit(origin->second, *params);
  } else if (same != kNoCode) {
    units_.code_of[out] = requantized(same, *params, n);
    return;
  }
  CodeParams form = *params;  // or without the offset, where a unit can tell that no code is negative
  if (!unit)
    if (const std::optional<WeightedMatch> match = match_weighted(value)) {
      if (match->activation.clips) form = form.for_values_from(match->activation.lo);
      unit = weighted_unit(*match, form);
      if (!unit) form = *params;
    }
  if (!unit) unit = binary_unit(value, form);
  if (!unit) unit = average_unit(value, *params);
  if (!unit) unit = concat_unit(value, *params);
  if (!unit) unit = product_unit(value, *params);
  if (!unit) unit = softmax_unit(value, *params);
  if (!unit) unit = layer_norm_unit(value, *params);
  if (!unit) {
    const DType dtype = graph_.value(value).dtype;
    if (dtype != DType::kFloat32) return refuse(n, std::string("it quantizes ") + dtype_name(dtype));
    unit = Unit{.kind = UnitKind::kQuantize, .float_input = value};
  }
  unit->nodes.push_back(n);
  units_.code_of[out] = add_unit(std::move(*unit), graph_.value(out).name, form, *dims);
}

const Node* Former::producer(ValueId id, size_t* n) const {
  const int64_t p = id == kNoValue ? -1 : index_.producer(id);
  if (p < 0) return nullptr;
  if (n != nullptr) *n = static_cast<size_t>(p);
  return &graph_.nodes[static_cast<size_t>(p)];
}

CodeId Former::coded(ValueId id) const {
  const auto it = units_.coded.find(id);
  return it == units_.coded.end() ? kNoCode : it->second;
}

std::optional<std::vector<int64_t>> Former::constant_ints(const Node& nd, size_t input) const {
  if (!nd.has_input(input) || !graph_.is_constant(nd.inputs[input])) return std::nullopt;
  Result<std::vector<int64_t>> ints = to_int64s(*graph_.value(nd.inputs[input]).constant);
  return ints.is_ok() ? std::optional(std::move(*ints)) : std::nullopt;
}

CodeId Former::add_code(const std::string& name, const CodeParams& params, Dims dims) {
  units_.codes.push_back({name, params, {params.zero, 0, params.top()}, std::move(dims), -1});
  return static_cast<CodeId>(units_.codes.size() - 1);
}

CodeId Former::add_unit(Unit unit, const std::string& name, const CodeParams& params, Dims dims) {
  const CodeId code = add_code(name, params, std::move(dims));
  Code& c = units_.codes.back();
  c.unit = static_cast<int>(units_.units.size());
  c.plain = c.dims.size() == 4 && makes_rows(unit);
  const bool makes_codes = unit.kind == UnitKind::kSoftmax || unit.kind == UnitKind::kLayerNorm ||
                           unit.kind == UnitKind::kMatMul;  // anywhere on the grid
  if (unit.table) {
    c.grid.lo = *std::min_element(unit.table->begin(), unit.table->end());
    c.grid.hi = *std::max_element(unit.table->begin(), unit.table->end());
  } else if (unit.kind == UnitKind::kConv) {
    c.grid = unit.store.first;
  } else if (unit.kind == UnitKind::kBinary) {
    c.grid = unit.binary.grid;
  } else if (!makes_codes && !unit.inputs.empty() &&
             (unit.kind != UnitKind::kPool || !unit.pool.average || unit.only_pads)) {
    c.grid.lo = 255;
    c.grid.hi = 0;
    for (CodeId in : unit.inputs) {
      c.grid.lo = std::min(c.grid.lo, units_.codes[static_cast<size_t>(in)].grid.lo);
      c.grid.hi = std::max(c.grid.hi, units_.codes[static_cast<size_t>(in)].grid.hi);
    }
    if (unit.kind == UnitKind::kPadding || unit.only_pads) {
      c.grid.lo = std::min(c.grid.lo, params.zero);
      c.grid.hi = std::max(c.grid.hi, params.zero);
    }
  }
  unit.output = code;
  units_.units.push_back(std::move(unit));
  return code;
}

}  // namespace octet::engine
