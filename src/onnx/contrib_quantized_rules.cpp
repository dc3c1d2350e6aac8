// Quantized operators: QLinear... and QGemm. All compute Quantize(f(Dequantize(inputs))).
// Source: ONNX Runtime, docs/ContribOperators.md.
#include <algorithm>

#include "onnx/contrib_rules.h"

namespace octet {
namespace {

using enum AttrType;

constexpr AttrInfo kAveragePool[] = {{"auto_pad", kString},       {"ceil_mode", kInt},     {"channels_last", kInt},
                                     {"count_include_pad", kInt}, {"kernel_shape", kInts}, {"pads", kInts},
                                     {"strides", kInts}};
constexpr AttrInfo kChannelsLast[] = {{"channels_last", kInt}};
constexpr AttrInfo kAxis[] = {{"axis", kInt}};
constexpr AttrInfo kAlpha[] = {{"alpha", kFloat}};
constexpr AttrInfo kSoftmax[] = {{"axis", kInt}, {"opset", kInt}};
constexpr AttrInfo kReduce[] = {{"axes", kInts}, {"keepdims", kInt}};
constexpr AttrInfo kGemm[] = {{"alpha", kFloat}, {"transA", kInt}, {"transB", kInt}};

// Where a node has a tensor of codes, or -1 for the result, its scale and its zero point.
struct Place {
  int codes;
  size_t scale;
  size_t zero;
};

ValueId input(const Node& node, size_t i) { return node.has_input(i) ? node.inputs[i] : kNoValue; }

// False only where the file says so; what it leaves open, shape inference and the operators check.
bool may_be_one_number(const Graph& graph, ValueId id) {
  const std::optional<Shape>& shape = graph.value(id).shape;
  return !shape || shape->empty() || (shape->size() == 1 && (!(*shape)[0].is_static() || (*shape)[0] == Dim::of(1)));
}

Status check_scale_and_zero(const Graph& graph, const Node& node, const Place& place, bool per_tensor) {
  const Value& scale = graph.value(node.inputs[place.scale]);
  if (scale.dtype != DType::kUndefined && scale.dtype != DType::kFloat32)
    return unsupported("the scale '" + scale.name + "' must be float32, but it is " + dtype_name(scale.dtype));
  const ValueId zero = input(node, place.zero);
  const DType zero_type = zero == kNoValue ? DType::kUndefined : graph.value(zero).dtype;
  if (zero_type != DType::kUndefined && zero_type != DType::kUint8 && zero_type != DType::kInt8)
    return unsupported("the zero point '" + graph.value(zero).name + "' must be int8 or uint8, but it is " +
                       dtype_name(zero_type));
  if (place.codes >= 0) {
    const Value& codes = graph.value(node.inputs[static_cast<size_t>(place.codes)]);
    if (codes.dtype != DType::kUndefined && codes.dtype != DType::kUint8 && codes.dtype != DType::kInt8)
      return unsupported("'" + codes.name + "' must be int8 or uint8, but it is " + dtype_name(codes.dtype));
    if (codes.dtype != DType::kUndefined && zero_type != DType::kUndefined && codes.dtype != zero_type)
      return data_corrupt("'" + codes.name + "' is " + dtype_name(codes.dtype) + ", but its zero point is " +
                          dtype_name(zero_type));
  }
  for (const ValueId id : {node.inputs[place.scale], zero})
    if (per_tensor && id != kNoValue && !may_be_one_number(graph, id))
      return data_corrupt("'" + graph.value(id).name + "' must be one number, but its shape is " +
                          shape_to_string(*graph.value(id).shape));
  return Status::ok();
}

// The real numbers of `codes`. With `axis` >= 0 the scale may have one entry for each index there.
Result<ValueId> dequantized(UpgradeContext& context, const Node& node, const std::string& what, const Place& place,
                            ValueId codes, int64_t axis = -1) {
  OCTET_RETURN_IF_ERROR(check_scale_and_zero(context.graph, node, place, axis < 0));
  std::vector<ValueId> inputs{codes, node.inputs[place.scale]};
  if (const ValueId zero = input(node, place.zero); zero != kNoValue) inputs.push_back(zero);
  Attributes attributes;
  if (axis >= 0 && !may_be_one_number(context.graph, inputs[1])) attributes["axis"] = axis;
  return put_before(context, node, what + "_dequantize", "DequantizeLinear", std::move(inputs),
                    std::move(attributes));
}

Result<ValueId> dequantized(UpgradeContext& context, const Node& node, const std::string& what, const Place& place) {
  return dequantized(context, node, what, place, node.inputs[static_cast<size_t>(place.codes)]);
}

// The result has the type of its zero point; where that is left out, the type of `like`.
Status quantize_result(UpgradeContext& context, Node& node, const std::vector<ValueId>& in, const Place& place,
                       const Place& like) {
  const auto at = [&](size_t i) { return i < in.size() ? in[i] : kNoValue; };
  ValueId zero = at(place.zero);
  if (zero == kNoValue) {
    const ValueId codes = in[static_cast<size_t>(like.codes)], zero_like = at(like.zero);
    DType dtype = zero_like == kNoValue ? DType::kUndefined : context.graph.value(zero_like).dtype;
    if (dtype == DType::kUndefined) {
      context.invalidate();
      dtype = context.dtype_of(codes);
    }
    if (dtype != DType::kInt8 && dtype != DType::kUint8)
      return unsupported("it has no zero point for its result, and the type of '" + context.graph.value(codes).name +
                         "' is not known to be int8 or uint8");
    zero = context.graph.add_constant(node.name + "_zero",
                                      dtype == DType::kInt8 ? Tensor::scalar<int8_t>(0) : Tensor::scalar<uint8_t>(0));
  }
  put_after(context, node, "quantize", "QuantizeLinear", {in[place.scale], zero});
  return Status::ok();
}

constexpr Place kUnary{0, 1, 2};
constexpr Place kUnaryResult{-1, 3, 4};

// X, x_scale, x_zero_point, y_scale, y_zero_point -> op_type(X)
Status unary(UpgradeContext& context, Node& node, const char* op_type) {
  OCTET_RETURN_IF_ERROR(check_scale_and_zero(context.graph, node, kUnaryResult, true));
  OCTET_ASSIGN(const ValueId x, dequantized(context, node, "x", kUnary));
  const std::vector<ValueId> in = std::move(node.inputs);
  node.op_type = op_type;
  node.inputs = {x};
  return quantize_result(context, node, in, kUnaryResult, kUnary);
}

Status sigmoid(UpgradeContext& context, Node& node) { return unary(context, node, "Sigmoid"); }
Status leaky_relu(UpgradeContext& context, Node& node) { return unary(context, node, "LeakyRelu"); }

// Codes move from channels last to ONNX's order and back around a pooling operator.
Status pooling(UpgradeContext& context, Node& node, const char* op_type) {
  const bool channels_last = node.attr_int("channels_last", 0) != 0;
  node.attributes.erase("channels_last");
  if (!channels_last) return unary(context, node, op_type);
  OCTET_ASSIGN(const int64_t rank, rank_of(context, node.inputs[0], "channels_last"));
  if (rank < 3) return data_corrupt("it pools over " + std::to_string(rank) + " dimensions; there must be 3 or more");
  std::vector<int64_t> to_first{0, rank - 1}, to_last{0};
  for (int64_t d = 1; d + 1 < rank; ++d) to_first.push_back(d), to_last.push_back(d + 1);
  to_last.push_back(1);
  node.inputs[0] = put_before(context, node, "channels_first", "Transpose", {node.inputs[0]}, {{"perm", to_first}});
  OCTET_RETURN_IF_ERROR(unary(context, node, op_type));
  put_after(context, node, "channels_last", "Transpose", {}, {{"perm", to_last}});
  return Status::ok();
}

Status average_pool(UpgradeContext& context, Node& node) {
  if (node.attributes.count("kernel_shape") == 0) return data_corrupt("it has no kernel_shape");
  return pooling(context, node, "AveragePool");
}

Status global_average_pool(UpgradeContext& context, Node& node) {
  return pooling(context, node, "GlobalAveragePool");
}

// `axes` is an attribute before opset 18 and an input since.
Status reduce_mean(UpgradeContext& context, Node& node) {
  const std::vector<int64_t> axes = node.attr_ints("axes");
  OCTET_RETURN_IF_ERROR(unary(context, node, "ReduceMean"));
  if (context.graph.opset < 18) return Status::ok();
  return attr_to_input(context, node, "axes", 1);
}

// The operator states whose opset's Softmax it is: before 13, all dimensions from `axis` on were one row. It agrees
// with the network's own opset, or it works along the last dimension, where both definitions are the same.
Status softmax(UpgradeContext& context, Node& node) {
  const int64_t opset = node.attr_int("opset", 0);
  if (opset < 1) return data_corrupt("it does not say which opset's Softmax it is");
  const int64_t axis = node.attr_int("axis", opset < 13 ? 1 : -1);
  node.attributes = {{"axis", axis}};
  if ((opset < 13) != (context.graph.opset < 13) && axis != -1) {
    OCTET_ASSIGN(const int64_t rank, rank_of(context, node.inputs[0], "Softmax of another opset"));
    if (axis != rank - 1)
      return unsupported("it is the Softmax of opset " + std::to_string(opset) + " along axis " +
                         std::to_string(axis) + " in a network of opset " + std::to_string(context.graph.opset) +
                         "; bring the network to the opset that it was quantized in");
  }
  return unary(context, node, "Softmax");
}

Status binary(UpgradeContext& context, Node& node, const char* op_type) {
  constexpr Place kA{0, 1, 2}, kB{3, 4, 5}, kResult{-1, 6, 7};
  OCTET_RETURN_IF_ERROR(check_scale_and_zero(context.graph, node, kResult, true));
  OCTET_ASSIGN(const ValueId a, dequantized(context, node, "a", kA));
  OCTET_ASSIGN(const ValueId b, dequantized(context, node, "b", kB));
  const std::vector<ValueId> in = std::move(node.inputs);
  node.op_type = op_type;
  node.inputs = {a, b};
  return quantize_result(context, node, in, kResult, kA);
}

Status add(UpgradeContext& context, Node& node) { return binary(context, node, "Add"); }
Status mul(UpgradeContext& context, Node& node) { return binary(context, node, "Mul"); }

// y_scale, y_zero_point, then codes, scale and zero point of each part.
Status concat(UpgradeContext& context, Node& node) {
  constexpr Place kResult{-1, 0, 1};
  if (node.attributes.count("axis") == 0) return data_corrupt("it has no axis");
  if ((node.inputs.size() - 2) % 3 != 0)
    return data_corrupt("it has " + std::to_string(node.inputs.size()) +
                        " inputs; there must be two for the result and three for each part");
  OCTET_RETURN_IF_ERROR(check_scale_and_zero(context.graph, node, kResult, true));
  std::vector<ValueId> parts;
  for (size_t i = 2; i < node.inputs.size(); i += 3) {
    const Place place{static_cast<int>(i), i + 1, i + 2};
    OCTET_ASSIGN(const ValueId part, dequantized(context, node, "x" + std::to_string((i - 2) / 3), place));
    parts.push_back(part);
  }
  const std::vector<ValueId> in = std::move(node.inputs);
  node.op_type = "Concat";
  node.inputs = std::move(parts);
  return quantize_result(context, node, in, kResult, {2, 3, 4});
}

// condition, X, x_scale, x_zero_point, Y, y_scale, y_zero_point, z_scale, z_zero_point
Status where(UpgradeContext& context, Node& node) {
  constexpr Place kX{1, 2, 3}, kY{4, 5, 6}, kResult{-1, 7, 8};
  OCTET_RETURN_IF_ERROR(check_scale_and_zero(context.graph, node, kResult, true));
  OCTET_ASSIGN(const ValueId x, dequantized(context, node, "x", kX));
  OCTET_ASSIGN(const ValueId y, dequantized(context, node, "y", kY));
  const std::vector<ValueId> in = std::move(node.inputs);
  node.op_type = "Where";
  node.inputs = {in[0], x, y};
  return quantize_result(context, node, in, kResult, kX);
}

// alpha * b_scale as a constant in place of the attribute, which Gemm's integer forms in most engines do not know.
void fold_alpha(UpgradeContext& context, Node& node) {
  const float alpha = node.attr_float("alpha", 1);
  const std::optional<Tensor>& scale = context.graph.value(node.inputs[4]).constant;
  if (alpha == 1 || !(alpha > 0) || !scale || scale->dtype() != DType::kFloat32) return;
  Tensor scaled = scale->clone();
  for (int64_t i = 0; i < scaled.numel(); ++i) scaled.data<float>()[i] *= alpha;
  node.inputs[4] = context.graph.add_constant(node.name + "_b_scale", std::move(scaled));
  node.attributes.erase("alpha");
}

// a_scale * b_scale: what one step of the int32 bias is worth.
ValueId bias_scale(UpgradeContext& context, const Node& node) {
  const Value &a = context.graph.value(node.inputs[1]), &b = context.graph.value(node.inputs[4]);
  const bool known = a.constant && b.constant && a.constant->dtype() == DType::kFloat32 &&
                     b.constant->dtype() == DType::kFloat32 && a.constant->numel() == 1;
  if (!known) return put_before(context, node, "bias_scale", "Mul", {node.inputs[1], node.inputs[4]});
  const Tensor& steps = *b.constant;
  Tensor product(DType::kFloat32, steps.numel() == 1 ? Dims{} : steps.dims());
  for (int64_t i = 0; i < steps.numel(); ++i)
    product.data<float>()[i] = *a.constant->data<float>() * steps.data<float>()[i];
  return context.graph.add_constant(node.name + "_bias_scale", std::move(product));
}

// C is int32 codes of scale a_scale * b_scale that are added before alpha applies, so that it is Gemm's beta, too.
Status qgemm(UpgradeContext& context, Node& node) {
  constexpr Place kA{0, 1, 2}, kB{3, 4, 5}, kResult{-1, 7, 8};
  const Graph& graph = context.graph;
  const bool coded = node.has_input(7);
  if (!coded && node.has_input(8)) return data_corrupt("it has a zero point, but no scale for its result");
  if (coded) OCTET_RETURN_IF_ERROR(check_scale_and_zero(graph, node, kResult, true));
  const int64_t axis = node.attr_int("transB", 0) != 0 ? 0 : 1;
  fold_alpha(context, node);
  OCTET_ASSIGN(const ValueId a, dequantized(context, node, "a", kA));
  OCTET_ASSIGN(const ValueId b, dequantized(context, node, "b", kB, node.inputs[3], axis));
  std::vector<ValueId> operands{a, b};
  if (node.has_input(6)) {
    const Value& c = graph.value(node.inputs[6]);
    if (c.dtype != DType::kUndefined && c.dtype != DType::kInt32)
      return unsupported("the bias '" + c.name + "' must be int32, but it is " + dtype_name(c.dtype));
    const ValueId codes = node.inputs[6], scale = bias_scale(context, node);
    Attributes attributes;
    if (!may_be_one_number(graph, scale)) {
      if (!graph.value(codes).shape || graph.value(codes).shape->empty())
        return unsupported("the shape of the bias must be known and have the output's columns");
      attributes["axis"] = static_cast<int64_t>(graph.value(codes).shape->size()) - 1;
    }
    operands.push_back(
        put_before(context, node, "c_dequantize", "DequantizeLinear", {codes, scale}, std::move(attributes)));
  }
  const std::vector<ValueId> in = std::move(node.inputs);
  node.op_type = "Gemm";
  node.inputs = std::move(operands);
  if (node.attr_float("alpha", 1) != 1) node.attributes["beta"] = node.attr_float("alpha", 1);
  return coded ? quantize_result(context, node, in, kResult, kA) : Status::ok();
}

constexpr uint32_t inputs(std::initializer_list<int> optional) {
  uint32_t bits = 0;
  for (int i : optional) bits |= uint32_t{1} << i;
  return bits;
}

constexpr ContribRule kRules[] = {
    {{"QGemm", 6, 9, 1, 1, kGemm}, inputs({6, 7, 8}), qgemm},
    {{"QLinearAdd", 7, 8, 1, 1, {}}, inputs({2, 5, 7}), add},
    {{"QLinearAveragePool", 4, 5, 1, 1, kAveragePool}, inputs({2, 4}), average_pool},
    {{"QLinearConcat", 5, -1, 1, 1, kAxis}, 0, concat},
    {{"QLinearGlobalAveragePool", 5, 5, 1, 1, kChannelsLast}, 0, global_average_pool},
    {{"QLinearLeakyRelu", 4, 5, 1, 1, kAlpha}, inputs({2, 4}), leaky_relu},
    {{"QLinearMul", 7, 8, 1, 1, {}}, inputs({2, 5, 7}), mul},
    {{"QLinearReduceMean", 4, 5, 1, 1, kReduce}, inputs({2, 4}), reduce_mean},
    {{"QLinearSigmoid", 4, 5, 1, 1, {}}, inputs({2, 4}), sigmoid},
    {{"QLinearSoftmax", 5, 5, 1, 1, kSoftmax}, inputs({2}), softmax},
    {{"QLinearWhere", 9, 9, 1, 1, {}}, 0, where},
};

}  // namespace

std::span<const ContribRule> quantized_contrib_rules() { return kRules; }

}  // namespace octet
