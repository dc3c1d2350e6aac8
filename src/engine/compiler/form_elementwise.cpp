// Units of table, addition, product, average and concatenation.
#include <algorithm>
#include <cmath>
#include <set>

#include "arith/quantize.h"
#include "engine/compiler/former.h"

namespace octet::engine {
namespace {

// Bounds that an activation leaves of a grid, when it is a clipping one.
void clip_grid(const Activation& act, const CodeParams& params, cpu::Grid& grid) {
  if (!act.clips) return;
  grid.lo = quantize_value(act.lo, params.scale, params.zero, 0, params.top());
  grid.hi = quantize_value(act.hi, params.scale, params.zero, 0, params.top());
}

CodeTable requantize_table(const CodeParams& from, const CodeParams& to) {
  CodeTable table;
  for (int i = 0; i < 256; ++i)
    table[static_cast<size_t>(i)] = static_cast<uint8_t>(
        quantize_value(dequantize_value(i, from.scale, from.zero), to.scale, to.zero, 0, to.top()));
  return table;
}

}  // namespace

// All nodes between the root code and the value.
std::vector<size_t> Former::nodes_of(const Origin& origin) const {
  std::set<size_t> nodes;
  std::set<ValueId> seen;
  std::vector<const Origin*> stack{&origin};
  while (!stack.empty()) {
    const Origin& o = *stack.back();
    stack.pop_back();
    nodes.insert(o.node);
    if (o.table_unit >= 0) {
      const std::vector<size_t>& before = units_.units[static_cast<size_t>(o.table_unit)].nodes;
      nodes.insert(before.begin(), before.end());
    }
    for (ValueId id : o.from)
      if (seen.insert(id).second) stack.push_back(&origins_.at(id));
  }
  return {nodes.begin(), nodes.end()};
}

std::optional<Unit> Former::table_unit(const Origin& origin, const CodeParams& params) {
  Unit unit{.kind = UnitKind::kTable, .inputs = {origin.root}, .nodes = nodes_of(origin)};
  CodeTable table;
  for (int i = 0; i < 256; ++i)
    table[static_cast<size_t>(i)] = static_cast<uint8_t>(
        quantize_value(origin.values.data<float>()[i], params.scale, params.zero, 0, params.top()));
  unit.table = table;
  return unit;
}

CodeId Former::requantized(CodeId code, const CodeParams& params, size_t n) {
  const Code from = units_.codes[static_cast<size_t>(code)];
  if (from.params == params) return code;
  Unit unit{.kind = UnitKind::kTable, .inputs = {code}, .nodes = {n}};
  unit.table = requantize_table(from.params, params);
  return add_unit(std::move(unit), from.name + "_rescaled", params, from.dims);
}

std::optional<Unit> Former::binary_unit(ValueId value, CodeParams& params) {
  size_t n = 0;
  const Node* nd = producer(value, &n);
  if (nd == nullptr || !sole_reader(value)) return std::nullopt;
  Activation act;
  std::vector<size_t> nodes;
  const bool binary = nd->is("Add") || nd->is("Mul");
  if (!binary) {
    const std::optional<Activation> a = activation_of(graph_, *nd);
    if (!a || !a->clips || !sole_reader(nd->inputs[0])) return std::nullopt;
    act = *a;
    nodes.push_back(n);
    nd = producer(nd->inputs[0], &n);
    if (nd == nullptr || !(nd->is("Add") || nd->is("Mul"))) return std::nullopt;
  }
  nodes.insert(nodes.begin(), n);
  CodeId a = coded(nd->inputs[0]), b = coded(nd->inputs[1]);
  if (a == kNoCode && b == kNoCode) return std::nullopt;
  if (a == kNoCode || b == kNoCode) return row_unit(*nd, std::move(nodes), act, params);
  if (units_.codes[static_cast<size_t>(a)].plain != units_.codes[static_cast<size_t>(b)].plain)
    a = as_image(a), b = as_image(b);
  const Code *ca = &units_.codes[static_cast<size_t>(a)], *cb = &units_.codes[static_cast<size_t>(b)];
  Unit unit{.kind = UnitKind::kBinary, .nodes = nodes};
  BinaryOp& op = unit.binary;
  op.multiply = nd->is("Mul");
  if (ca->dims != cb->dims) {
    if (!op.multiply || !ca->image() || !cb->image()) return refuse(n, "operands of different shapes"), std::nullopt;
    if (ca->dims[2] == 1 && ca->dims[3] == 1) std::swap(a, b), std::swap(ca, cb);
    if (cb->dims != Dims{ca->dims[0], ca->dims[1], 1, 1})
      return refuse(n, "operands of different shapes"), std::nullopt;
    op.b_per_image = true;
  }
  unit.inputs = {a, b};
  if (act.clips) params = params.for_values_from(act.lo);
  op.grid = {params.zero, 0, params.top()};
  clip_grid(act, params, op.grid);
  if (op.multiply) {
    op.a_scale = ca->params.scale * cb->params.scale / params.scale;
  } else {
    op.a_scale = ca->params.scale / params.scale;
    op.b_scale = cb->params.scale / params.scale;
  }
  if (!std::isfinite(op.a_scale) || !std::isfinite(op.b_scale))
    return refuse(n, "its scales are too far apart for float32"), std::nullopt;
  return unit;
}

// Addition of, or product with, constant codes that are one number, or one for each channel or element of a row.
std::optional<Unit> Former::row_unit(const Node& nd, std::vector<size_t> nodes, const Activation& act,
                                     CodeParams& params) {
  const size_t side = coded(nd.inputs[0]) == kNoCode ? 1 : 0;
  const CodeId a = coded(nd.inputs[side]);
  const Code& code = units_.codes[static_cast<size_t>(a)];
  const Node* dq = producer(nd.inputs[1 - side]);
  if (dq == nullptr || !dq->is("DequantizeLinear") || !graph_.is_constant(dq->inputs[0])) return std::nullopt;
  std::string why;
  const std::optional<CodeParams> constant = code_params(graph_, *dq, &why);
  const Tensor& t = *graph_.value(dq->inputs[0]).constant;
  const Result<std::vector<int64_t>> codes = to_int64s(t);
  if (!constant || !codes.is_ok() || t.dtype() != constant->dtype || code.dims.size() < 2) return std::nullopt;
  const int64_t length = code.channels();
  const int behind = code.image() ? 3 : 1;  // dimensions from the channel on
  const bool one = t.numel() == 1 && t.rank() <= static_cast<int>(code.dims.size());
  const bool along = t.numel() == length && t.rank() >= behind && t.rank() <= static_cast<int>(code.dims.size()) &&
                     t.dim(-behind) == length;
  if (!one && !along) return std::nullopt;
  Unit unit{.kind = UnitKind::kBinary, .inputs = {a}, .nodes = std::move(nodes)};
  BinaryOp& op = unit.binary;
  op.multiply = nd.is("Mul");
  for (int64_t i = 0; i < length; ++i)
    op.row.push_back(static_cast<uint8_t>((*codes)[one ? 0 : static_cast<size_t>(i)] + constant->shift));
  op.row_zero = constant->zero;
  if (act.clips) params = params.for_values_from(act.lo);
  op.grid = {params.zero, 0, params.top()};
  clip_grid(act, params, op.grid);
  op.a_scale = op.multiply ? code.params.scale * constant->scale / params.scale : code.params.scale / params.scale;
  op.b_scale = op.multiply ? 1 : constant->scale / params.scale;
  if (!std::isfinite(op.a_scale) || !std::isfinite(op.b_scale)) return std::nullopt;
  return unit;
}

std::optional<Unit> Former::average_unit(ValueId value, const CodeParams& params) {
  size_t n = 0;
  const Node* nd = producer(value, &n);
  if (nd == nullptr || !sole_reader(value)) return std::nullopt;
  const bool global = nd->is("GlobalAveragePool");
  bool mean = false;
  if (nd->is("ReduceMean")) {
    std::vector<int64_t> axes =
        nd->has_input(1) ? constant_ints(*nd, 1).value_or(std::vector<int64_t>{}) : nd->attr_ints("axes");
    for (int64_t& a : axes) a = a < 0 ? a + 4 : a;
    std::sort(axes.begin(), axes.end());
    mean = axes == std::vector<int64_t>{2, 3};
  }
  if (!global && !mean && !nd->is("AveragePool")) return std::nullopt;
  const CodeId src = as_image(coded(nd->inputs[0]));
  const std::optional<Dims> out = image_dims(graph_, value);
  if (src == kNoCode || !out) return std::nullopt;
  const Code& code = units_.codes[static_cast<size_t>(src)];
  if (!code.image() || (out->size() != 4 && out->size() != 2)) return std::nullopt;
  Unit unit{.kind = UnitKind::kPool, .inputs = {src}, .nodes = {n}};
  PoolOp& op = unit.pool;
  op.average = true;
  op.scale = code.params.scale / params.scale;
  op.grid = {params.zero, 0, params.top()};
  if (global || mean) {
    op.kh = code.dims[2];
    op.kw = code.dims[3];
    if (out->size() != 4 && code.dims[0] * code.dims[1] != (*out)[0] * (*out)[1]) return std::nullopt;
    return unit;
  }
  if (nd->attr_ints("kernel_shape").size() != 2 || nd->attr_string("auto_pad", "NOTSET") != "NOTSET")
    return std::nullopt;
  const std::vector<int64_t> kernel = nd->attr_ints("kernel_shape"), strides = nd->attr_ints("strides", {1, 1}),
                             pads = nd->attr_ints("pads", {0, 0, 0, 0}),
                             dilations = nd->attr_ints("dilations", {1, 1});
  if (nd->attr_int("ceil_mode", 0) != 0) return refuse(n, "ceil_mode"), std::nullopt;
  op.count_pad = nd->attr_int("count_include_pad", 0) != 0;
  op.kh = kernel[0], op.kw = kernel[1];
  op.stride_h = strides[0], op.stride_w = strides[1];
  op.pad_top = pads[0], op.pad_left = pads[1];
  op.dilation_h = dilations[0], op.dilation_w = dilations[1];
  return unit;
}

// Concatenation along channels of codes with any parameters: each is brought to the output's first.
std::optional<Unit> Former::concat_unit(ValueId value, const CodeParams& params) {
  size_t n = 0;
  const Node* nd = producer(value, &n);
  if (nd == nullptr || !nd->is("Concat") || !sole_reader(value)) return std::nullopt;
  const std::optional<Dims> dims = image_dims(graph_, value);
  const int64_t axis = nd->attr_int("axis", 0);
  if (!dims || dims->size() != 4 || (axis != 1 && axis != -3)) return std::nullopt;
  for (ValueId in : nd->inputs)
    if (coded(in) == kNoCode || units_.codes[static_cast<size_t>(coded(in))].dims.size() != 4) return std::nullopt;
  Unit unit{.kind = UnitKind::kConcat};
  for (ValueId in : nd->inputs) unit.inputs.push_back(requantized(as_image(coded(in)), params, n));
  unit.nodes = {n};
  return unit;
}

}  // namespace octet::engine
