// Walks one row-major output together with operands of any stride: broadcasting, transposing and slicing in one loop.
#pragma once

#include <cstdint>
#include <vector>

#include "octet/tensor.h"

namespace octet {

// The common shape of two operands by NumPy's rules; kInvalidArgument names both shapes when there is none.
Result<Dims> broadcast_dims(const Dims& a, const Dims& b);
// Strides that read a row-major tensor of shape `from` as if it had shape `to`: 0 where a dimension is repeated.
// Requires broadcast_dims(from, to) == to.
Dims broadcast_strides(const Dims& from, const Dims& to);

// dims of the output, and per operand one stride (in elements) for each of them.
struct StridedLoop {
  Dims dims;
  std::vector<Dims> strides;  // [operand][dimension]
};

// Drops dimensions of size 1 and merges neighbours that every operand walks evenly; at least one dimension stays.
StridedLoop make_loop(const Dims& dims, const std::vector<Dims>& strides);
StridedLoop broadcast_loop(const Dims& dims, const std::vector<const Tensor*>& operands);

// Calls row(done, offsets) for each run of loop.dims.back() outputs: `done` outputs came before, offsets[k] is where
// operand k starts. Never calls when a dimension is 0.
template <class Row>
void for_each_row(const StridedLoop& loop, Row&& row) {
  for (int64_t d : loop.dims)
    if (d <= 0) return;
  std::vector<int64_t> index(loop.dims.size(), 0);
  std::vector<int64_t> offsets(loop.strides.size(), 0);
  for (int64_t done = 0;; done += loop.dims.back()) {
    row(done, offsets.data());
    size_t d = loop.dims.size() - 1;
    for (; d > 0; --d) {
      const size_t dim = d - 1;
      if (++index[dim] < loop.dims[dim]) {
        for (size_t k = 0; k < offsets.size(); ++k) offsets[k] += loop.strides[k][dim];
        break;
      }
      for (size_t k = 0; k < offsets.size(); ++k) offsets[k] -= loop.strides[k][dim] * (loop.dims[dim] - 1);
      index[dim] = 0;
    }
    if (d == 0) return;
  }
}

// dst (row-major, of shape dims) = src walked with `strides`.
template <class T>
void strided_copy(T* dst, const T* src, const Dims& dims, const Dims& strides) {
  const StridedLoop loop = make_loop(dims, {strides});
  const int64_t width = loop.dims.back();
  const int64_t step = loop.strides[0].back();
  for_each_row(loop, [&](int64_t done, const int64_t* offsets) {
    T* to = dst + done;
    const T* from = src + offsets[0];
    if (step == 1) {
      for (int64_t i = 0; i < width; ++i) to[i] = from[i];
    } else {
      for (int64_t i = 0; i < width; ++i) to[i] = from[i * step];
    }
  });
}

// out[i] = f(a[i], b[i]) with broadcasting. T: type of both operands, R: of the result.
template <class T, class R, class F>
Result<Tensor> map_binary(const Tensor& a, const Tensor& b, F f) {
  OCTET_ASSIGN(const Dims dims, broadcast_dims(a.dims(), b.dims()));
  OCTET_ASSIGN(Tensor out, Tensor::create(dtype_of<R>(), dims));
  if (out.numel() == 0) return out;
  const StridedLoop loop = broadcast_loop(dims, {&a, &b});
  const int64_t width = loop.dims.back();
  const int64_t step_a = loop.strides[0].back();
  const int64_t step_b = loop.strides[1].back();
  for_each_row(loop, [&](int64_t done, const int64_t* offsets) {
    R* to = out.data<R>() + done;
    const T* x = a.data<T>() + offsets[0];
    const T* y = b.data<T>() + offsets[1];
    if (step_a == 1 && step_b == 1) {
      for (int64_t i = 0; i < width; ++i) to[i] = f(x[i], y[i]);
    } else if (step_a == 1 && step_b == 0) {
      for (int64_t i = 0; i < width; ++i) to[i] = f(x[i], *y);
    } else {
      for (int64_t i = 0; i < width; ++i) to[i] = f(x[i * step_a], y[i * step_b]);
    }
  });
  return out;
}

// out[i] = f(x[i])
template <class T, class R, class F>
Result<Tensor> map_unary(const Tensor& x, F f) {
  OCTET_ASSIGN(Tensor out, Tensor::create(dtype_of<R>(), x.dims()));
  const T* src = x.data<T>();
  R* dst = out.data<R>();
  for (int64_t i = 0; i < x.numel(); ++i) dst[i] = f(src[i]);
  return out;
}

}  // namespace octet
