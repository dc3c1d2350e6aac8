#include "graph/infer/quantize.h"

#include "graph/onnx_dtype.h"

namespace octet {
namespace {

// A single number may be written as a scalar or as a vector of one; ONNX's own tests mix the two.
bool same_parameter_shape(const Shape& a, const Shape& b) {
  const auto is_one = [](const Shape& s) { return s.empty() || (s.size() == 1 && unify(s[0], Dim::of(1)).is_ok()); };
  if (is_one(a) && is_one(b)) return true;
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = unify(a[i], b[i]).is_ok();
  return same;
}

// The types that DequantizeLinear takes: up to 16 bits, FP8, and the sums of products.
bool may_hold_codes(DType dtype) {
  const bool real = dtype == DType::kFloat16 || dtype == DType::kBFloat16 || dtype == DType::kBool;
  return dtype == DType::kInt32 || (dtype_size(dtype) <= 2 && !real);
}

// The scale is one number, a vector along `axis`, or (block_size > 0) a tensor with one number per block.
Status check_scale(const OpInference& op) {
  const Shape* x = op.shape(0);
  const Shape* scale = op.shape(1);
  if (op.shape(2) != nullptr && scale != nullptr && !same_parameter_shape(*scale, *op.shape(2)))
    return invalid_argument("scale and zero point must have the same shape");
  if (x == nullptr || scale == nullptr || scale->empty()) return Status::ok();
  const int64_t block = op.node.attr_int("block_size", 0);
  if (block < 0) return invalid_argument("attribute 'block_size' is negative");
  if (block > 0) {
    if (scale->size() != x->size()) return invalid_argument("a blocked scale must have the rank of the input");
    return normalize_axis(op.node.attr_int("axis", 1), x->size()).status();
  }
  if (scale->size() != 1)
    return invalid_argument("the scale must be one number or a vector, but its shape is " + shape_to_string(*scale));
  if ((*scale)[0] == Dim::of(1)) return Status::ok();  // per tensor
  OCTET_ASSIGN(const size_t axis, normalize_axis(op.node.attr_int("axis", 1), x->size()));
  if (unify((*scale)[0], (*x)[axis]).is_ok()) return Status::ok();
  return invalid_argument("the scale has " + shape_to_string(*scale) + " entries, but axis " + std::to_string(axis) +
                          " of the input has size " + shape_to_string({(*x)[axis]}));
}

}  // namespace

// Output type: that of the zero point, else attribute output_dtype (opset 21), else uint8.
Status infer_quantize(OpInference& op) {
  OCTET_RETURN_IF_ERROR(check_scale(op));
  const int64_t wanted = op.node.attr_int("output_dtype", 0);
  const DType asked = dtype_from_onnx(wanted);
  if (wanted != 0 && asked == DType::kUndefined)
    return unsupported("attribute 'output_dtype' asks for ONNX type " + std::to_string(wanted));
  DType dtype = op.has(2) ? op.dtype(2) : wanted != 0 ? asked : DType::kUint8;
  if (op.has(2) && wanted != 0 && dtype != DType::kUndefined && dtype != asked)
    return invalid_argument(std::string("attribute 'output_dtype' asks for ") + dtype_name(asked) +
                            ", but the zero point is " + dtype_name(dtype));
  if (dtype == DType::kUndefined) dtype = asked;
  op.set(0, dtype, shape_of(op, 0));
  return Status::ok();
}

Status infer_dequantize(OpInference& op) {
  OCTET_RETURN_IF_ERROR(check_scale(op));
  const DType codes = op.dtype(0);
  if (codes != DType::kUndefined && !may_hold_codes(codes))
    return invalid_argument(std::string("the input must hold codes, but it is ") + dtype_name(codes));
  const DType zero_point = op.dtype(2);
  if (zero_point != DType::kUndefined && op.dtype(0) != DType::kUndefined && zero_point != op.dtype(0))
    return invalid_argument(std::string("the input is ") + dtype_name(op.dtype(0)) + ", but its zero point is " +
                            dtype_name(zero_point));
  op.set(0, op.dtype(1), shape_of(op, 0));
  return Status::ok();
}

Status infer_dynamic_quantize(OpInference& op) {
  op.set(0, DType::kUint8, shape_of(op, 0));
  op.set(1, DType::kFloat32, Shape{});
  op.set(2, DType::kUint8, Shape{});
  return Status::ok();
}

}  // namespace octet
