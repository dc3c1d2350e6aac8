#include "engine/compiler/qdq.h"

#include <cmath>

#include "interp/interpreter.h"

namespace octet::engine {
namespace {

std::optional<std::vector<float>> constant_floats(const Graph& graph, ValueId id) {
  if (!graph.is_constant(id)) return std::nullopt;
  const Tensor& t = *graph.value(id).constant;
  if (t.dtype() != DType::kFloat32) return std::nullopt;
  return std::vector<float>(t.data<float>(), t.data<float>() + t.numel());
}

bool usable(const std::vector<float>& scales) {
  for (float s : scales)
    if (!std::isfinite(s) || !(s > 0)) return false;
  return !scales.empty();
}

// The constant that a DQ node reads: an initializer, or QuantizeLinear of one (as training exports have it).
std::optional<Tensor> constant_codes(const Graph& graph, const GraphIndex& index, ValueId id) {
  if (graph.is_constant(id)) return *graph.value(id).constant;
  const int64_t producer = id == kNoValue ? -1 : index.producer(id);
  if (producer < 0) return std::nullopt;
  const Node& q = graph.nodes[static_cast<size_t>(producer)];
  if (!q.is("QuantizeLinear")) return std::nullopt;
  std::vector<const Tensor*> inputs;
  for (ValueId in : q.inputs) {
    if (in != kNoValue && !graph.is_constant(in)) return std::nullopt;
    inputs.push_back(in == kNoValue ? nullptr : &*graph.value(in).constant);
  }
  Result<std::vector<Tensor>> made = run_node(q, graph.opset, inputs);
  if (!made.is_ok() || made->empty()) return std::nullopt;
  return (*made)[0];
}

const Node* dequantize_of(const Graph& graph, const GraphIndex& index, ValueId value) {
  const int64_t producer = value == kNoValue ? -1 : index.producer(value);
  if (producer < 0) return nullptr;
  const Node& node = graph.nodes[static_cast<size_t>(producer)];
  return node.is("DequantizeLinear") ? &node : nullptr;
}

}  // namespace

std::optional<CodeParams> code_params(const Graph& graph, const Node& node, std::string* why) {
  const std::optional<std::vector<float>> scale = constant_floats(graph, node.inputs[1]);
  if (!scale || !usable(*scale)) return *why = "the scale is not a positive float32 constant", std::nullopt;
  if (scale->size() != 1) return *why = "the activation is quantized per channel", std::nullopt;
  CodeParams params{DType::kUint8, (*scale)[0], 0};
  if (node.has_input(2)) {
    if (!graph.is_constant(node.inputs[2])) return *why = "the zero point is not a constant", std::nullopt;
    const Tensor& zero = *graph.value(node.inputs[2]).constant;
    params.dtype = zero.dtype();
    if (params.dtype == DType::kInt8 || params.dtype == DType::kUint8) {
      const Result<std::vector<int64_t>> z = to_int64s(zero);
      if (!z.is_ok() || z->size() != 1) return *why = "the activation is quantized per channel", std::nullopt;
      params.shift = params.dtype == DType::kInt8 ? 128 : 0;
      params.zero = static_cast<int32_t>((*z)[0]) + params.shift;
    }
  } else if (node.is("DequantizeLinear")) {
    params.dtype = graph.value(node.inputs[0]).dtype;
    params.zero = params.shift = params.dtype == DType::kInt8 ? 128 : 0;
  } else if (node.attr_int("output_dtype", 0) != 0) {
    return *why = "the type is given by output_dtype", std::nullopt;
  }
  if (params.dtype != DType::kInt8 && params.dtype != DType::kUint8)
    return *why = std::string("activations of type ") + dtype_name(params.dtype) + " run in float", std::nullopt;
  return params;
}

std::optional<WeightCodes> weight_codes(const Graph& graph, const GraphIndex& index, ValueId value, std::string* why) {
  const Node* dq = dequantize_of(graph, index, value);
  if (dq == nullptr) return *why = "the weights are not quantized", std::nullopt;
  const std::optional<Tensor> codes = constant_codes(graph, index, dq->inputs[0]);
  if (!codes) return *why = "the weights are not constant", std::nullopt;
  const std::optional<std::vector<float>> scale = constant_floats(graph, dq->inputs[1]);
  if (!scale || !usable(*scale)) return *why = "the weight scale is not a positive float32 constant", std::nullopt;
  if (dq->attr_int("block_size", 0) != 0) return *why = "the weights are quantized in groups", std::nullopt;
  const Result<std::vector<int64_t>> q = to_int64s(*codes);
  if (!q.is_ok() || dtype_size(codes->dtype()) != 1)
    return *why = std::string("weights of type ") + dtype_name(codes->dtype()), std::nullopt;
  std::vector<int64_t> zeros(scale->size(), 0);
  if (dq->has_input(2)) {
    const Result<std::vector<int64_t>> z =
        graph.is_constant(dq->inputs[2]) ? to_int64s(*graph.value(dq->inputs[2]).constant) : to_int64s(Tensor());
    if (!z.is_ok() || z->size() != zeros.size()) return *why = "the weight zero point is not usable", std::nullopt;
    zeros = *z;
  }
  WeightCodes out{codes->dims(), std::vector<int8_t>(q->size()), *scale, -1};
  int64_t inner = 1, count = 1;
  if (scale->size() > 1) {
    const int rank = codes->rank();
    int64_t axis = dq->attr_int("axis", 1);
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank || codes->dim(static_cast<int>(axis)) != static_cast<int64_t>(scale->size()))
      return *why = "the weight scales do not fit the weights", std::nullopt;
    out.axis = static_cast<int>(axis);
    count = codes->dim(out.axis);
    for (int d = out.axis + 1; d < rank; ++d) inner *= codes->dim(d);
  }
  for (size_t i = 0; i < q->size(); ++i) {
    const size_t channel = static_cast<size_t>(static_cast<int64_t>(i) / inner % count);
    const int64_t w = (*q)[i] - zeros[channel];
    if (w < -128 || w > 127) return *why = "weights minus their zero point need more than 8 bits", std::nullopt;
    out.codes[i] = static_cast<int8_t>(w);
  }
  return out;
}

std::optional<BiasValues> bias_values(const Graph& graph, const GraphIndex& index, ValueId value,
                                      const std::vector<float>& accumulator_scale, std::string* why) {
  BiasValues out;
  if (const std::optional<std::vector<float>> real = constant_floats(graph, value)) {
    out.real = *real;
    return out;
  }
  const Node* dq = dequantize_of(graph, index, value);
  const std::optional<Tensor> codes = dq ? constant_codes(graph, index, dq->inputs[0]) : std::nullopt;
  const std::optional<std::vector<float>> scale = dq ? constant_floats(graph, dq->inputs[1]) : std::nullopt;
  if (!codes || !scale || !usable(*scale)) return *why = "the bias is not a constant", std::nullopt;
  const Result<std::vector<int64_t>> q = to_int64s(*codes);
  bool zero_point = false;
  if (dq->has_input(2)) {
    const Result<std::vector<int64_t>> z =
        graph.is_constant(dq->inputs[2]) ? to_int64s(*graph.value(dq->inputs[2]).constant) : to_int64s(Tensor());
    if (!z.is_ok()) return *why = "the bias has no constant zero point", std::nullopt;
    for (int64_t v : *z) zero_point = zero_point || v != 0;
  }
  if (!q.is_ok() || zero_point || (scale->size() != 1 && scale->size() != q->size()))
    return *why = "the bias is quantized in a form that is not supported", std::nullopt;
  bool matches = codes->dtype() == DType::kInt32;
  for (size_t c = 0; c < q->size(); ++c) {
    const float s = (*scale)[scale->size() == 1 ? 0 : c];
    const float a = accumulator_scale[accumulator_scale.size() == 1 ? 0 : c];
    matches = matches && std::abs(s - a) <= 1e-5f * a;
    out.codes.push_back(static_cast<int32_t>((*q)[c]));
    out.real.push_back(static_cast<float>((*q)[c]) * s);
  }
  if (matches)
    out.real.clear();
  else
    out.codes.clear();
  return out;
}

}  // namespace octet::engine
