// Tensor data in the typed fields of TensorProto; onnx.proto says which field carries which element type.
#include <algorithm>

#include "onnx/tensor_codec.h"

namespace octet {
namespace {

Status wrong_count(const Dims& dims, const char* field, int64_t expected, int64_t present) {
  return data_corrupt("shape " + dims_to_string(dims) + " needs " + std::to_string(expected) + " values in " + field +
                      ", but " + std::to_string(present) + " are there");
}

// Field and element have the same type.
template <class T, class Field>
Result<Tensor> copy_field(const Field& field, const char* field_name, DType dtype, const Dims& dims, int64_t count) {
  if (field.size() != count) return wrong_count(dims, field_name, count, field.size());
  OCTET_ASSIGN(Tensor tensor, Tensor::create(dtype, dims));
  std::transform(field.begin(), field.end(), tensor.data<T>(), [](auto v) { return static_cast<T>(v); });
  return tensor;
}

// Narrow elements in a wider field: bit patterns and signed values are both in use, so either range passes.
template <class T, class Field>
Result<Tensor> narrow_field(const Field& field, const char* field_name, DType dtype, const Dims& dims,
                            int64_t count) {
  constexpr int kBits = 8 * sizeof(T);
  for (auto v : field)
    if (static_cast<int64_t>(v) < -(int64_t{1} << (kBits - 1)) || static_cast<int64_t>(v) >= (int64_t{1} << kBits))
      return data_corrupt("value " + std::to_string(v) + " in " + field_name + " does not fit into " +
                          dtype_name(dtype));
  return copy_field<T>(field, field_name, dtype, dims, count);
}

// Each element of int32_data is one byte with two codes.
Result<Tensor> unpack_field(const google::protobuf::RepeatedField<int32_t>& field, DType dtype, const Dims& dims,
                            int64_t count) {
  OCTET_ASSIGN(const Tensor packed,
               narrow_field<uint8_t>(field, "int32_data", DType::kUint8, {field.size()}, field.size()));
  if (field.size() != packed_bytes(dtype, count))
    return wrong_count(dims, "int32_data", packed_bytes(dtype, count), field.size());
  OCTET_ASSIGN(Tensor tensor, Tensor::create(dtype, dims));
  unpack_int4(packed.data<uint8_t>(), count, dtype, tensor.data<uint8_t>());
  return tensor;
}

}  // namespace

Result<Tensor> decode_typed_fields(const onnx::TensorProto& proto, DType dtype, const Dims& dims, int64_t count) {
  switch (dtype) {
    case DType::kFloat32: return copy_field<float>(proto.float_data(), "float_data", dtype, dims, count);
    case DType::kFloat64: return copy_field<double>(proto.double_data(), "double_data", dtype, dims, count);
    case DType::kInt64: return copy_field<int64_t>(proto.int64_data(), "int64_data", dtype, dims, count);
    case DType::kUint64: return copy_field<uint64_t>(proto.uint64_data(), "uint64_data", dtype, dims, count);
    case DType::kUint32: return narrow_field<uint32_t>(proto.uint64_data(), "uint64_data", dtype, dims, count);
    case DType::kInt32: return copy_field<int32_t>(proto.int32_data(), "int32_data", dtype, dims, count);
    case DType::kInt4:
    case DType::kUint4: return unpack_field(proto.int32_data(), dtype, dims, count);
    case DType::kInt16:
    case DType::kUint16:
    case DType::kFloat16:
    case DType::kBFloat16: return narrow_field<uint16_t>(proto.int32_data(), "int32_data", dtype, dims, count);
    case DType::kInt8:
    case DType::kUint8:
    case DType::kBool:
    case DType::kFloat8E4M3:
    case DType::kFloat8E5M2: return narrow_field<uint8_t>(proto.int32_data(), "int32_data", dtype, dims, count);
    case DType::kUndefined: break;
  }
  return internal_error("a tensor without a type reached the decoder of typed fields");
}

}  // namespace octet
