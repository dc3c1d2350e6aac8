// The convolution loops that Conv, ConvInteger and QLinearConv share.
#pragma once

#include "kernels/ref/nn_window.h"

namespace octet::nn {

struct ConvShape {
  int64_t batch = 0;
  int64_t ic = 0;
  int64_t oc = 0;
  int64_t group = 1;
  Window window;
  Dims dst_dims() const { return window.dst_dims(batch, oc); }
};

// src {N, ic, spatial...}, weight {oc, ic / group, kernel...}; checks attributes and shapes against each other.
Result<ConvShape> conv_shape(const Node& node, const Dims& src, const Dims& weight);

// float64 src and weight of those shapes, without bias; the result is float64 {N, oc, spatial...}. Padding is zero.
Result<Tensor> convolve(const ConvShape& shape, const Tensor& src, const Tensor& weight);

}  // namespace octet::nn
