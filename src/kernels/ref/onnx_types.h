// Element types as node attributes give them (Cast's `to`, EyeLike's `dtype`, QuantizeLinear's `output_dtype`).
#pragma once

#include <cstdint>

#include "octet/tensor.h"

namespace octet {

// From the number in ONNX's TensorProto.DataType; kUnsupported for strings, complex numbers and unknown numbers.
Result<DType> element_type(int64_t onnx_number);

}  // namespace octet
