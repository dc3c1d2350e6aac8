#include "graph/onnx_dtype.h"

namespace octet {
namespace {

// onnx.proto, enum TensorProto.DataType.
constexpr struct {
  int64_t onnx;
  DType dtype;
} kTypes[] = {
    {1, DType::kFloat32},   {2, DType::kUint8},       {3, DType::kInt8},        {4, DType::kUint16},
    {5, DType::kInt16},     {6, DType::kInt32},       {7, DType::kInt64},       {9, DType::kBool},
    {10, DType::kFloat16},  {11, DType::kFloat64},    {12, DType::kUint32},     {13, DType::kUint64},
    {16, DType::kBFloat16}, {17, DType::kFloat8E4M3}, {19, DType::kFloat8E5M2}, {21, DType::kUint4},
    {22, DType::kInt4},
};

}  // namespace

DType dtype_from_onnx(int64_t onnx_type) {
  for (const auto& row : kTypes)
    if (row.onnx == onnx_type) return row.dtype;
  return DType::kUndefined;
}

int64_t dtype_to_onnx(DType dtype) {
  for (const auto& row : kTypes)
    if (row.dtype == dtype) return row.onnx;
  return 0;
}

}  // namespace octet
