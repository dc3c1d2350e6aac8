// What all reference operators share: argument checks, axes, type dispatch and the detour of 16-bit floats.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/ref/ref_op.h"

namespace octet {

using OpResult = Result<std::vector<Tensor>>;

// The only output of most operators.
OpResult one(Result<Tensor> tensor);

// The first `count` inputs are present.
Status need_inputs(const OpArgs& args, size_t count);
// All inputs that are present have the type of the first one.
Status need_same_dtype(const OpArgs& args);
Status unsupported_dtype(DType dtype);
// An element type as attributes give it (Cast's `to`, EyeLike's `dtype`); kUnsupported for those Octet does not hold.
Result<DType> element_type(int64_t onnx_number);

// An axis in [-rank, rank) made non-negative.
Result<int64_t> normalize_axis(int64_t axis, int64_t rank);
// The same for a list without duplicates; sorted.
Result<std::vector<int64_t>> normalize_axes(const std::vector<int64_t>& axes, int64_t rank);
// The elements of an integer input of rank 0 or 1.
Result<std::vector<int64_t>> int_list_input(const OpArgs& args, size_t i);
// The only element of an integer input.
Result<int64_t> int_scalar_input(const OpArgs& args, size_t i);
// An integer list that older opsets give as attribute and newer ones as input `i`; `found` says whether there was
// one.
Result<std::vector<int64_t>> int_list_of(const OpArgs& args, size_t i, const char* attribute, bool& found);

// Row-major strides in elements. Sound for any dims: they wrap instead of overflowing when the tensor is empty.
Dims row_major_strides(const Dims& dims);
// Product of dims[begin, end) of a tensor with at least one element.
int64_t product(const Dims& dims, size_t begin, size_t end);

bool is_half(DType dtype);  // float16 or bfloat16
// Runs `op` with all 16-bit float inputs widened to float32 and rounds its float32 outputs to `result`.
OpResult via_float32(const OpArgs& args, RefOp op, DType result);

// f.template operator()<T>() for the C++ type of `dtype`, over the float32, float64 and integer types of 8 to 64
// bits.
template <class F>
OpResult dispatch_numeric(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32: return f.template operator()<float>();
    case DType::kFloat64: return f.template operator()<double>();
    case DType::kInt8: return f.template operator()<int8_t>();
    case DType::kUint8: return f.template operator()<uint8_t>();
    case DType::kInt16: return f.template operator()<int16_t>();
    case DType::kUint16: return f.template operator()<uint16_t>();
    case DType::kInt32: return f.template operator()<int32_t>();
    case DType::kUint32: return f.template operator()<uint32_t>();
    case DType::kInt64: return f.template operator()<int64_t>();
    case DType::kUint64: return f.template operator()<uint64_t>();
    default: return unsupported_dtype(dtype);
  }
}

// For operators that only move elements: an unsigned integer of the element's size.
template <class F>
OpResult dispatch_size(DType dtype, F&& f) {
  switch (dtype_size(dtype)) {
    case 1: return f.template operator()<uint8_t>();
    case 2: return f.template operator()<uint16_t>();
    case 4: return f.template operator()<uint32_t>();
    case 8: return f.template operator()<uint64_t>();
    default: return unsupported_dtype(dtype);
  }
}

// Sums, differences and products of signed integers wrap around, as ONNX Runtime and NumPy do; C++ leaves them open.
template <class T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
template <class T>
T wrap_add(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
}
template <class T>
T wrap_sub(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
}
template <class T>
T wrap_mul(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
}

}  // namespace octet
