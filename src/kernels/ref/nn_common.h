// Shared by the nn_* reference operators. They compute in float64, where products of two float32 numbers and sums of
// int8 products are exact, and round once at the end: a reference must be the more exact one.
#pragma once

#include <string>
#include <vector>

#include "kernels/ref/loops.h"
#include "kernels/ref/support.h"

namespace octet::nn {

// float32, float64, float16 and bfloat16: the types that the floating operators take.
bool is_real(DType dtype);
// kInvalidArgument unless input `i` is present and is_real.
Status require_real(const OpArgs& args, size_t i);
// kInvalidArgument unless `t` has exactly the shape `dims`; `what` names it in the sentence.
Status require_shape(const Tensor& t, const Dims& dims, const std::string& what);

// The elements of a floating or integer tensor as float64. 64-bit integers beyond 2^53 are rounded.
Result<Tensor> to_float64(const Tensor& t);
// Inverse: rounds to nearest even for the floating types; integers are truncated towards zero and clamped.
Result<Tensor> from_float64(const Tensor& t, DType dtype);
// A float64 tensor of zeros.
Result<Tensor> zeros(Dims dims);

// kResourceLimit when the product of the factors exceeds what a reference operator may spend on one node.
Status check_work(const Dims& factors);
// Element strides that read a tensor of shape `from` as if it had shape `to`; kInvalidArgument when it does not
// broadcast to that shape.
Result<Dims> strides_within(const Dims& from, const Dims& to);
// Calls f(flat index in `dims`, offset by `strides`) for every element in row-major order.
template <class F>
void for_each_offset(const Dims& dims, const Dims& strides, F f) {
  const StridedLoop loop = make_loop(dims, {strides});
  const int64_t step = loop.strides[0].back();
  for_each_row(loop, [&](int64_t done, const int64_t* offsets) {
    for (int64_t i = 0; i < loop.dims.back(); ++i) f(done + i, offsets[0] + i * step);
  });
}

// Drops the optional outputs that the node does not name.
OpResult as_asked(const OpArgs& args, std::vector<Tensor> outputs);

// Wraps the usual end of an operator: one float64 result, rounded to `dtype`.
OpResult single(const Tensor& float64_result, DType dtype);

}  // namespace octet::nn
