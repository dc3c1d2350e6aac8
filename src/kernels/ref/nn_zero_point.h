// Scales and zero points spread over a tensor, for the integer operators.
#pragma once

#include <string>

#include "kernels/ref/nn_common.h"

namespace octet::nn {

// Strides that read a parameter of shape `param` along a tensor of shape `dims`: one element, a vector along `axis`
// (-1: not allowed), or a tensor of the same rank that broadcasts. `what` names the parameter in the sentence.
Result<Dims> param_strides(const Dims& param, const Dims& dims, int axis, const std::string& what);

// t - zero_point as float64 for an int8 or uint8 tensor; a null zero point is 0.
Result<Tensor> subtract_zero_point(const Tensor& t, const Tensor* zero_point, int axis, const std::string& what);

// The int32 result of an integer operator; sums beyond 32 bits wrap around, as ONNX lets them.
OpResult wrap_to_int32(const Tensor& float64_sums);

}  // namespace octet::nn
