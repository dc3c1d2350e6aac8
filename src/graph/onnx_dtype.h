// ONNX's numbering of element types, as it stands in files and in attributes such as Cast's `to`.
#pragma once

#include <cstdint>

#include "octet/tensor.h"

namespace octet {

// TensorProto.DataType -> DType; kUndefined for types that Octet does not hold (strings, complex numbers, FNUZ
// floats).
DType dtype_from_onnx(int64_t onnx_type);
// Inverse; 0 (UNDEFINED) for kUndefined.
int64_t dtype_to_onnx(DType dtype);

}  // namespace octet
