// Operators that only move codes: the result has the parameters of the source (Q/DQ propagation).
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "engine/compiler/former.h"
#include "interp/interpreter.h"

namespace octet::engine {

void Former::visit_move(size_t n) {
  const Node& nd = node(n);
  if (!nd.domain.empty() || nd.inputs.empty()) return;
  if (nd.is("Concat")) {
    move_concat(n);
    return;
  }
  const CodeId src = moved(nd.inputs[0]);
  if (src == kNoCode) return;
  const bool of_images = nd.is("MaxPool") || nd.is("GlobalMaxPool") || nd.is("Resize") || nd.is("Slice") ||
                         nd.is("Split") || nd.is("Pad");
  if (of_images) return move_image(n, as_image(src));
  if (nd.is("Transpose")) move_transpose(n, src);
  if (nd.is("Reshape") || nd.is("Flatten") || nd.is("Squeeze") || nd.is("Unsqueeze") || nd.is("Identity"))
    move_reshape(n, src);
}

void Former::move_image(size_t n, CodeId src) {
  const Node& nd = node(n);
  if (nd.is("MaxPool") || nd.is("GlobalMaxPool")) move_max_pool(n, src);
  if (nd.is("Resize")) move_resize(n, src);
  if (nd.is("Slice")) move_slice(n, src);
  if (nd.is("Split")) move_split(n, src);
  if (nd.is("Pad")) move_pad(n, src);
}

// QOperator files move the codes themselves, Q/DQ files the real numbers that they stand for.
CodeId Former::moved(ValueId id) const {
  if (const CodeId code = coded(id); code != kNoCode) return code;
  const auto it = units_.code_of.find(id);
  return it == units_.code_of.end() ? kNoCode : it->second;
}

CodeId& Former::move_result(ValueId out) {
  const DType dtype = graph_.value(out).dtype;
  return dtype == DType::kInt8 || dtype == DType::kUint8 ? units_.code_of[out] : units_.coded[out];
}

void Former::add_move(Unit unit, size_t n, size_t output, CodeId like, Dims dims) {
  const ValueId out = node(n).outputs[output];
  unit.nodes = {n};
  const CodeParams params = units_.codes[static_cast<size_t>(like)].params;
  move_result(out) = add_unit(std::move(unit), graph_.value(out).name, params, std::move(dims));
}

bool Former::move_max_pool(size_t n, CodeId src) {
  const Node& nd = node(n);
  const Code& code = units_.codes[static_cast<size_t>(src)];
  const std::optional<Dims> out = image_dims(graph_, nd.outputs[0]);
  if (!code.image() || !out || (nd.outputs.size() > 1 && nd.outputs[1] != kNoValue)) return false;
  Unit unit{.kind = UnitKind::kPool, .inputs = {src}};
  PoolOp& op = unit.pool;
  op.grid = code.grid;
  if (nd.is("GlobalMaxPool")) {
    op.kh = code.dims[2], op.kw = code.dims[3];
  } else {
    const std::vector<int64_t> kernel = nd.attr_ints("kernel_shape"), strides = nd.attr_ints("strides", {1, 1}),
                               pads = nd.attr_ints("pads", {0, 0, 0, 0}), dil = nd.attr_ints("dilations", {1, 1});
    if (nd.attr_string("auto_pad", "NOTSET") != "NOTSET") return refuse(n, "auto_pad"), false;
    op.kh = kernel[0], op.kw = kernel[1], op.stride_h = strides[0], op.stride_w = strides[1];
    op.pad_top = pads[0], op.pad_left = pads[1], op.dilation_h = dil[0], op.dilation_w = dil[1];
  }
  add_move(std::move(unit), n, 0, src, *out);
  return true;
}

bool Former::move_reshape(size_t n, CodeId src) {
  const Code& code = units_.codes[static_cast<size_t>(src)];
  const std::optional<Dims> out = image_dims(graph_, node(n).outputs[0]);
  if (!out || out->empty() || code.dims.empty()) return false;
  const auto product = [](const Dims& dims) {
    return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
  };
  if (product(*out) != product(code.dims)) return refuse(n, "it moves parts of the batch"), false;
  if (*out == code.dims) {
    move_result(node(n).outputs[0]) = src;
    return true;
  }
  const bool flat_source = !code.image() || (code.dims[0] == (*out)[0] && code.dims[2] == 1 && code.dims[3] == 1);
  const bool flat_result = out->size() != 4 || ((*out)[2] == 1 && (*out)[3] == 1);
  // Rank 4 with rows and columns stays in ONNX's order; who wants an image asks for it.
  const bool as_bytes = flat_source && flat_result;
  add_move(Unit{.kind = as_bytes ? UnitKind::kReshape : UnitKind::kToRows, .inputs = {src}}, n, 0, src, *out);
  return true;
}

bool Former::move_resize(size_t n, CodeId src) {
  const Node& nd = node(n);
  const Code& code = units_.codes[static_cast<size_t>(src)];
  const std::optional<Dims> out = image_dims(graph_, nd.outputs[0]);
  if (!code.image() || !out || out->size() != 4 || nd.attr_string("mode", "nearest") != "nearest") return false;
  if ((*out)[0] != code.dims[0] || (*out)[1] != code.dims[1]) return false;
  // Which source pixel each result pixel takes: the reference operator, asked with an image of row and column
  // numbers.
  Unit unit{.kind = UnitKind::kResize, .inputs = {src}};
  for (const bool rows : {true, false}) {
    const int64_t h = code.dims[2], w = code.dims[3];
    Tensor image(DType::kFloat32, {1, 1, h, w});
    for (int64_t i = 0; i < h * w; ++i) image.data<float>()[i] = static_cast<float>(rows ? i / w : i % w);
    std::vector<Tensor> held;
    for (size_t i = 0; i < nd.inputs.size(); ++i) {
      if (i == 0 || nd.inputs[i] == kNoValue) {
        held.emplace_back();
        continue;
      }
      if (!graph_.is_constant(nd.inputs[i])) return false;
      held.push_back(*graph_.value(nd.inputs[i]).constant);
      if (i == 3 && held[i].numel() == 4 && held[i].dtype() == DType::kInt64) {  // sizes: of one image, one channel
        held[i] = held[i].clone();
        held[i].data<int64_t>()[0] = held[i].data<int64_t>()[1] = 1;
      }
    }
    std::vector<const Tensor*> inputs;
    for (const Tensor& t : held) inputs.push_back(t.defined() ? &t : nullptr);
    inputs[0] = &image;
    Result<std::vector<Tensor>> made = run_node(nd, graph_.opset, inputs);
    if (!made.is_ok() || (*made)[0].dims() != Dims{1, 1, (*out)[2], (*out)[3]}) return false;
    const float* m = (*made)[0].data<float>();
    std::vector<int32_t>& list = rows ? unit.row_of : unit.column_of;
    for (int64_t i = 0; i < (*out)[rows ? 2 : 3]; ++i)
      list.push_back(static_cast<int32_t>(std::lround(m[rows ? i * (*out)[3] : i])));
  }
  add_move(std::move(unit), n, 0, src, *out);
  return true;
}

bool Former::move_slice(size_t n, CodeId src) {
  const Node& nd = node(n);
  const Code code = units_.codes[static_cast<size_t>(src)];
  const std::optional<Dims> out = image_dims(graph_, nd.outputs[0]);
  const auto starts = constant_ints(nd, 1), ends = constant_ints(nd, 2);
  if (!code.image() || !out || out->size() != 4 || !starts || !ends) return false;
  std::vector<int64_t> axes = constant_ints(nd, 3).value_or(std::vector<int64_t>{});
  std::vector<int64_t> steps = constant_ints(nd, 4).value_or(std::vector<int64_t>(starts->size(), 1));
  if ((nd.has_input(3) && axes.size() != starts->size()) || steps.size() != starts->size()) return false;
  int64_t start[4] = {0, 0, 0, 0}, step[4] = {1, 1, 1, 1};
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = axes.empty() ? static_cast<int64_t>(i) : axes[i];
    if (axis < 0) axis += 4;
    if (axis < 0 || axis > 3 || steps[i] < 1) return false;
    const int64_t size = code.dims[static_cast<size_t>(axis)];
    start[axis] = std::clamp<int64_t>((*starts)[i] < 0 ? (*starts)[i] + size : (*starts)[i], 0, size);
    step[axis] = steps[i];
  }
  if ((*out)[0] != code.dims[0] || start[0] != 0 || step[0] != 1 || step[1] != 1) return false;
  CodeId current = src;
  if ((*out)[1] != code.dims[1]) {
    Unit unit{.kind = UnitKind::kSlice, .inputs = {src}, .nodes = {n}};
    unit.first_channel = start[1];
    current = add_unit(std::move(unit), graph_.value(nd.outputs[0]).name + "_channels", code.params,
                       {code.dims[0], (*out)[1], code.dims[2], code.dims[3]});
  }
  Unit unit{.kind = UnitKind::kResize, .inputs = {current}};
  for (int64_t y = 0; y < (*out)[2]; ++y) unit.row_of.push_back(static_cast<int32_t>(start[2] + y * step[2]));
  for (int64_t x = 0; x < (*out)[3]; ++x) unit.column_of.push_back(static_cast<int32_t>(start[3] + x * step[3]));
  if ((!unit.row_of.empty() && unit.row_of.back() >= code.dims[2]) ||
      (!unit.column_of.empty() && unit.column_of.back() >= code.dims[3]))
    return false;
  if ((*out)[2] == code.dims[2] && (*out)[3] == code.dims[3]) {
    move_result(nd.outputs[0]) = current;
    return true;
  }
  add_move(std::move(unit), n, 0, src, *out);
  return true;
}

bool Former::move_split(size_t n, CodeId src) {
  const Node& nd = node(n);
  const Code code = units_.codes[static_cast<size_t>(src)];
  const int64_t axis = nd.attr_int("axis", 0);
  if (!code.image() || (axis != 1 && axis != -3)) return false;
  int64_t first = 0;
  for (size_t o = 0; o < nd.outputs.size(); ++o) {
    const std::optional<Dims> out = nd.outputs[o] == kNoValue ? std::nullopt : image_dims(graph_, nd.outputs[o]);
    if (!out || out->size() != 4) return false;
    Unit unit{.kind = UnitKind::kSlice, .inputs = {src}};
    unit.first_channel = first;
    first += (*out)[1];
    if (first > code.dims[1]) return false;
    add_move(std::move(unit), n, o, src, *out);
  }
  return true;
}

// What it puts around is the number 0, or the code that stands for it.
bool Former::pads_with_zero(const Node& nd, const Code& code) const {
  const bool real = coded(nd.inputs[0]) != kNoCode;
  const int32_t zero = code.params.zero - code.params.shift;
  if (!nd.has_input(2)) return real || zero == 0;
  if (!graph_.is_constant(nd.inputs[2])) return false;
  const Tensor& value = *graph_.value(nd.inputs[2]).constant;
  if (value.numel() != 1) return false;
  if (real) return value.dtype() == DType::kFloat32 && *value.data<float>() == 0;
  const Result<std::vector<int64_t>> number = to_int64s(value);
  return number.is_ok() && (*number)[0] == zero;
}

// Zeros around channels, or around pixels.
bool Former::move_pad(size_t n, CodeId src) {
  const Node& nd = node(n);
  const Code& code = units_.codes[static_cast<size_t>(src)];
  const std::optional<Dims> out = image_dims(graph_, nd.outputs[0]);
  const auto pads = constant_ints(nd, 1);
  if (!code.image() || !out || out->size() != 4 || !pads || pads->size() != 8) return false;
  if (nd.attr_string("mode", "constant") != "constant" || nd.has_input(3) || !pads_with_zero(nd, code)) return false;
  const auto pad = [&](size_t axis) { return (*pads)[axis] != 0 || (*pads)[axis + 4] != 0; };
  const bool negative = std::any_of(pads->begin(), pads->end(), [](int64_t p) { return p < 0; });
  const bool channels = pad(1), pixels = pad(2) || pad(3);
  if (negative || pad(0) || channels == pixels) return false;
  Unit unit{.kind = channels ? UnitKind::kPadding : UnitKind::kPool, .inputs = {src}};
  unit.first_channel = (*pads)[1];
  if (pixels) {
    unit.only_pads = unit.pool.average = true;
    unit.pool.pad_top = (*pads)[2], unit.pool.pad_left = (*pads)[3];
    unit.pool.grid = {code.params.zero, 0, code.params.top()};
  }
  add_move(std::move(unit), n, 0, src, *out);
  return true;
}

bool Former::move_concat(size_t n) {
  const Node& nd = node(n);
  const std::optional<Dims> out = image_dims(graph_, nd.outputs[0]);
  const int64_t axis = nd.attr_int("axis", 0);
  if (!out || out->size() != 4 || (axis != 1 && axis != -3)) return false;
  Unit unit{.kind = UnitKind::kConcat};
  bool offsets_differ = false;
  for (ValueId in : nd.inputs) {
    const CodeId code = as_image(moved(in));
    if (code == kNoCode || !units_.codes[static_cast<size_t>(code)].image()) return false;
    const CodeParams &own = units_.codes[static_cast<size_t>(code)].params,
                     &first = units_.codes[static_cast<size_t>(moved(nd.inputs[0]))].params;
    if (!own.same_numbers(first)) return false;
    offsets_differ = offsets_differ || own.shift != first.shift;
    unit.inputs.push_back(code);
  }
  if (offsets_differ)
    for (CodeId& code : unit.inputs)
      code = requantized(code, units_.codes[static_cast<size_t>(code)].params.shifted(), n);
  const CodeId like = unit.inputs[0];
  add_move(std::move(unit), n, 0, like, *out);
  return true;
}

}  // namespace octet::engine
