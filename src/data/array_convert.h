// Element type conversion of sample arrays.
#pragma once

#include <cstdint>
#include <functional>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

// Same values in another type. Integer and bool sources fit every type that can hold their values, floats fit floats;
// a value that the target cannot hold, and float to integer, is kInvalidArgument. float16 rounds to nearest even.
Result<Tensor> convert_array(const Tensor& src, DType dtype);

// dst[i] = map(src[i], i) computed in double, then stored as `dtype`: floats rounded to nearest even, integers
// rounded to nearest even and clamped. `src` must not be a 64-bit integer beyond 2^53 for exact results.
Result<Tensor> map_array(const Tensor& src, DType dtype, const std::function<double(double, int64_t)>& map);

// One value as `dtype` into dst, rounded and clamped as above; false for a type without a conversion.
bool store_as(double value, DType dtype, void* dst);

}  // namespace octet
