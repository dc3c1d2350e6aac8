// Geometry of sliding windows, for convolutions and pools with 1, 2 or 3 spatial axes.
#pragma once

#include <algorithm>
#include <array>
#include <string>

#include "kernels/ref/ref_op.h"

namespace octet::nn {

// One spatial axis: output position o sees the inputs o * stride - pad_begin + k * dilation, k in [0, kernel).
// In a transposed convolution `in` and `out` keep their meaning and the roles in that formula change places.
struct WindowAxis {
  int64_t in = 1;
  int64_t out = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;

  int64_t extent() const { return (kernel - 1) * dilation + 1; }
};

// Depth, height, width; missing leading axes have size 1.
struct Window {
  std::array<WindowAxis, 3> axes;
  int rank = 0;  // how many of the axes, counted from the last, the tensors really have

  int64_t in_size() const { return axes[0].in * axes[1].in * axes[2].in; }
  int64_t out_size() const { return axes[0].out * axes[1].out * axes[2].out; }
  int64_t kernel_size() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  // {batch, channels, spatial output sizes...}
  Dims dst_dims(int64_t batch, int64_t channels) const;
};

// Reads strides, dilations, pads, auto_pad (and ceil_mode for pools) of Conv, *Pool and their kin and computes output
// sizes as ONNX states them; windows that would start in the end padding do not exist.
// src: {N, C, spatial...}; kernel: spatial sizes of the window.
Result<Window> conv_window(const Node& node, const Dims& src, const Dims& kernel, bool ceil_mode = false);
// The same for ConvTranspose with output_padding and output_shape.
Result<Window> conv_transpose_window(const Node& node, const Dims& src, const Dims& kernel);

// Ceiling of a / b for b > 0 and any a.
constexpr int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

// Half-open interval.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

// The i in [0, count) with 0 <= i * step + offset < limit.
inline Range steps_inside(int64_t count, int64_t step, int64_t offset, int64_t limit) {
  const int64_t begin = std::clamp<int64_t>(ceil_div(-offset, step), 0, count);
  return {begin, std::clamp<int64_t>(ceil_div(limit - offset, step), begin, count)};
}

}  // namespace octet::nn
