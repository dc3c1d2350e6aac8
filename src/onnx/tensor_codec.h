// TensorProto <-> Tensor.
#pragma once

#include "octet/tensor.h"
#include "onnx/external_data.h"
#include "onnx/schema.h"

namespace octet {

// Bytes that `count` elements take in a file: INT4 and UINT4 are packed two to a byte, low half first.
int64_t packed_bytes(DType dtype, int64_t count);

// Reads raw, typed or external data and frees the data fields of `proto` on the way. Nothing is allocated before the
// declared shape is known to match the bytes that are there. Errors come without the tensor's name.
Result<Tensor> decode_tensor(onnx::TensorProto& proto, ExternalReader& external);

// Sets dims, data_type and raw_data; name and everything else stay as they are.
void encode_tensor(const Tensor& tensor, onnx::TensorProto& proto);
// The bytes of raw_data, without a copy unless packing is needed (then they live in `scratch`).
std::string_view packed_view(const Tensor& tensor, std::string& scratch);

// The part of decode_tensor for float_data, int32_data, int64_data, double_data and uint64_data.
Result<Tensor> decode_typed_fields(const onnx::TensorProto& proto, DType dtype, const Dims& dims, int64_t count);
// Spreads packed 4-bit codes to one byte each, sign-extended for kInt4.
void unpack_int4(const uint8_t* packed, int64_t count, DType dtype, uint8_t* dst);

}  // namespace octet
