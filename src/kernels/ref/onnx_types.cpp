#include "kernels/ref/onnx_types.h"

namespace octet {

Result<DType> element_type(int64_t onnx_number) {
  switch (onnx_number) {
    case 1: return DType::kFloat32;
    case 2: return DType::kUint8;
    case 3: return DType::kInt8;
    case 4: return DType::kUint16;
    case 5: return DType::kInt16;
    case 6: return DType::kInt32;
    case 7: return DType::kInt64;
    case 9: return DType::kBool;
    case 10: return DType::kFloat16;
    case 11: return DType::kFloat64;
    case 12: return DType::kUint32;
    case 13: return DType::kUint64;
    case 16: return DType::kBFloat16;
    case 17: return DType::kFloat8E4M3;
    case 19: return DType::kFloat8E5M2;
    case 21: return DType::kUint4;
    case 22: return DType::kInt4;
    default: return unsupported("element type number " + std::to_string(onnx_number) + " is not supported");
  }
}

}  // namespace octet
