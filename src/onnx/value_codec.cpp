#include "onnx/value_codec.h"

namespace octet {
namespace {

using ShapeProto = onnx::TensorShapeProto;

Dim decode_dim(const ShapeProto::Dimension& proto) {
  if (proto.has_dim_value()) return proto.dim_value() >= 0 ? Dim::of(proto.dim_value()) : Dim::unknown();
  if (proto.has_dim_param() && !proto.dim_param().empty()) return Dim::named(proto.dim_param());
  return Dim::unknown();
}

void encode_dim(const Dim& dim, ShapeProto::Dimension& proto) {
  if (dim.is_static()) {
    if (!proto.has_dim_value() || proto.dim_value() != dim.coefficient) proto.set_dim_value(dim.coefficient);
    return;
  }
  if (!dim.is_known() || proto.has_dim_param()) return;  // the file knows more, or has its own name for it
  proto.set_dim_param(dim.coefficient == 1 ? dim.symbol : std::to_string(dim.coefficient) + "*" + dim.symbol);
}

void encode_shape(const Shape& shape, onnx::TypeProto::Tensor& type) {
  const bool same_rank = type.has_shape() && static_cast<size_t>(type.shape().dim_size()) == shape.size();
  if (!same_rank) type.clear_shape();
  ShapeProto& proto = *type.mutable_shape();
  for (size_t i = 0; i < shape.size(); ++i)
    encode_dim(shape[i], same_rank ? *proto.mutable_dim(static_cast<int>(i)) : *proto.add_dim());
}

}  // namespace

Result<ValueType> decode_value_type(const onnx::ValueInfoProto& proto) {
  ValueType type;
  if (!proto.has_type() || proto.type().value_case() == onnx::TypeProto::VALUE_NOT_SET) return type;
  if (!proto.type().has_tensor_type())
    return unsupported("value " + in_quotes(proto.name()) +
                       " is a sequence, map, optional or sparse tensor; only "
                       "dense tensors are supported");
  const onnx::TypeProto::Tensor& tensor = proto.type().tensor_type();
  type.dtype = dtype_from_onnx(tensor.elem_type());
  if (type.dtype == DType::kUndefined && tensor.elem_type() != 0)
    return unsupported("value " + in_quotes(proto.name()) + " is a tensor of " +
                       unsupported_type_name(tensor.elem_type()) + ", which is not supported");
  if (!tensor.has_shape()) return type;
  if (static_cast<size_t>(tensor.shape().dim_size()) > kMaxDimensions)
    return data_corrupt("value " + in_quotes(proto.name()) + " has " + std::to_string(tensor.shape().dim_size()) +
                        " dimensions, more than " + std::to_string(kMaxDimensions));
  type.shape.emplace();
  for (const auto& dim : tensor.shape().dim()) type.shape->push_back(decode_dim(dim));
  return type;
}

void encode_value_type(const Value& value, onnx::ValueInfoProto& proto) {
  if (value.dtype == DType::kUndefined && !value.shape) return;
  onnx::TypeProto::Tensor& type = *proto.mutable_type()->mutable_tensor_type();
  if (value.dtype != DType::kUndefined) type.set_elem_type(static_cast<int32_t>(dtype_to_onnx(value.dtype)));
  if (value.shape) encode_shape(*value.shape, type);
}

}  // namespace octet
