#include "onnx/tensor_codec.h"

#include <bit>
#include <cstring>

namespace octet {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian and copied as it is");

bool is_int4(DType dtype) { return dtype == DType::kInt4 || dtype == DType::kUint4; }

Status wrong_size(const Dims& dims, DType dtype, int64_t expected, int64_t present) {
  return data_corrupt("shape " + dims_to_string(dims) + " of " + dtype_name(dtype) + " needs " +
                      std::to_string(expected) + " bytes, but " + std::to_string(present) + " are there");
}

// Any byte but 0 and 1 in a bool is undefined behaviour for whoever reads it as one.
void normalize_bools(Tensor& tensor) {
  auto* bytes = tensor.data<uint8_t>();
  for (int64_t i = 0; i < tensor.numel(); ++i) bytes[i] = bytes[i] != 0;
}

Result<Tensor> decode_raw(const std::string& raw, DType dtype, const Dims& dims, int64_t count) {
  const int64_t expected = packed_bytes(dtype, count);
  if (expected != static_cast<int64_t>(raw.size()))
    return wrong_size(dims, dtype, expected, static_cast<int64_t>(raw.size()));
  OCTET_ASSIGN(Tensor tensor, Tensor::create(dtype, dims));
  if (is_int4(dtype)) unpack_int4(reinterpret_cast<const uint8_t*>(raw.data()), count, dtype, tensor.data<uint8_t>());
  else if (!raw.empty()) std::memcpy(tensor.raw(), raw.data(), raw.size());
  return tensor;
}

Result<Tensor> decode_external(const onnx::TensorProto& proto, DType dtype, const Dims& dims, int64_t count,
                               ExternalReader& external) {
  const int64_t bytes = packed_bytes(dtype, count);
  OCTET_RETURN_IF_ERROR(external.open(proto, bytes));
  OCTET_ASSIGN(Tensor tensor, Tensor::create(dtype, dims));
  if (is_int4(dtype)) {
    std::string packed(static_cast<size_t>(bytes), '\0');
    OCTET_RETURN_IF_ERROR(external.read(packed.data()));
    unpack_int4(reinterpret_cast<const uint8_t*>(packed.data()), count, dtype, tensor.data<uint8_t>());
  } else {
    OCTET_RETURN_IF_ERROR(external.read(tensor.raw()));
  }
  return tensor;
}

void free_data(onnx::TensorProto& proto) {
  delete proto.release_raw_data();
  proto.clear_float_data();
  proto.clear_int32_data();
  proto.clear_int64_data();
  proto.clear_double_data();
  proto.clear_uint64_data();
}

}  // namespace

int64_t packed_bytes(DType dtype, int64_t count) {
  return is_int4(dtype) ? count / 2 + count % 2 : count * static_cast<int64_t>(dtype_size(dtype));
}

void unpack_int4(const uint8_t* packed, int64_t count, DType dtype, uint8_t* dst) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t nibble = (i % 2 == 0 ? packed[i / 2] : packed[i / 2] >> 4) & 0xF;
    dst[i] = dtype == DType::kInt4 && nibble >= 8 ? static_cast<uint8_t>(nibble | 0xF0) : nibble;
  }
}

Result<Tensor> decode_tensor(onnx::TensorProto& proto, ExternalReader& external) {
  const DType dtype = dtype_from_onnx(proto.data_type());
  if (dtype == DType::kUndefined)
    return unsupported("tensors of " + unsupported_type_name(proto.data_type()) + " are not supported");
  if (proto.has_segment()) return unsupported("tensors stored in segments are not supported");
  if (static_cast<size_t>(proto.dims_size()) > kMaxDimensions)
    return data_corrupt("it has " + std::to_string(proto.dims_size()) + " dimensions, more than " +
                        std::to_string(kMaxDimensions));
  const Dims dims(proto.dims().begin(), proto.dims().end());
  Result<int64_t> count = checked_numel(dims);
  if (!count) return data_corrupt(count.status().message());
  if (*count > INT64_MAX / 8) return resource_limit("shape " + dims_to_string(dims) + " is too large");

  Result<Tensor> tensor = proto.data_location() == onnx::TensorProto::EXTERNAL
                              ? decode_external(proto, dtype, dims, *count, external)
                          : proto.has_raw_data() ? decode_raw(proto.raw_data(), dtype, dims, *count)
                                                 : decode_typed_fields(proto, dtype, dims, *count);
  free_data(proto);
  if (tensor && dtype == DType::kBool) normalize_bools(*tensor);
  return tensor;
}

std::string_view packed_view(const Tensor& tensor, std::string& scratch) {
  if (!is_int4(tensor.dtype())) return {tensor.data<char>(), static_cast<size_t>(tensor.nbytes())};
  scratch.assign(static_cast<size_t>(packed_bytes(tensor.dtype(), tensor.numel())), '\0');
  const auto* src = tensor.data<uint8_t>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const int code = (src[i] & 0xF) << (i % 2 == 0 ? 0 : 4);
    char& byte = scratch[static_cast<size_t>(i / 2)];
    byte = static_cast<char>(byte | code);
  }
  return scratch;
}

void encode_tensor(const Tensor& tensor, onnx::TensorProto& proto) {
  proto.set_data_type(static_cast<int32_t>(dtype_to_onnx(tensor.dtype())));
  proto.clear_dims();
  for (int64_t d : tensor.dims()) proto.add_dims(d);
  std::string scratch;
  const std::string_view bytes = packed_view(tensor, scratch);
  proto.set_raw_data(bytes.data(), bytes.size());
}

}  // namespace octet
