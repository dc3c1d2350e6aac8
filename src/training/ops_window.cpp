// Pooling and local response normalization.
#include <limits>

#include "kernels/ref/nn_window.h"
#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;
using nn::Window;
using nn::WindowAxis;

std::vector<WindowAxis> window_axes(const Call& c) {
  const Window w = need(nn::conv_window(c.node, dims_of(c.in(0)), c.node.attr_ints("kernel_shape"),
                                        c.node.attr_int("ceil_mode", 0) != 0));
  return {w.axes.begin() + (3 - w.rank), w.axes.end()};
}

template <int64_t WindowAxis::*Field>
std::vector<int64_t> each(const std::vector<WindowAxis>& axes) {
  std::vector<int64_t> values;
  for (const WindowAxis& a : axes) values.push_back(a.*Field);
  return values;
}

// How much of the end the last window reaches beyond the input; negative: the input's end is not read.
int64_t needed_end(const WindowAxis& a) { return (a.out - 1) * a.stride + a.extent() - a.in - a.pad_begin; }

// LibTorch's own padding covers at most half a window and the same on both ends.
bool pads_natively(const std::vector<WindowAxis>& axes) {
  for (const WindowAxis& a : axes)
    if (a.pad_begin < 0 || 2 * a.pad_begin > a.kernel || needed_end(a) > a.pad_begin ||
        (a.in + 2 * a.pad_begin - a.extent()) / a.stride + 1 != a.out)
      return false;
  return true;
}

at::Tensor padded(const at::Tensor& x, const std::vector<WindowAxis>& axes, double value) {
  std::vector<int64_t> pads;
  for (size_t i = axes.size(); i-- > 0;) pads.insert(pads.end(), {axes[i].pad_begin, needed_end(axes[i])});
  return at::constant_pad_nd(x, pads, value);
}

at::Tensor max_pool_values(const at::Tensor& x, const std::vector<WindowAxis>& axes) {
  const bool native = pads_natively(axes);
  const at::Tensor src = native ? x : padded(x, axes, -std::numeric_limits<double>::infinity());
  const std::vector<int64_t> kernel = each<&WindowAxis::kernel>(axes), stride = each<&WindowAxis::stride>(axes),
                             dilation = each<&WindowAxis::dilation>(axes);
  const std::vector<int64_t> pad = native ? each<&WindowAxis::pad_begin>(axes) : std::vector<int64_t>(axes.size(), 0);
  switch (axes.size()) {
    case 1: return at::max_pool1d(src, kernel, stride, pad, dilation);
    case 2: return at::max_pool2d(src, kernel, stride, pad, dilation);
    default: return at::max_pool3d(src, kernel, stride, pad, dilation);
  }
}

Tensors max_pool(const Call& c) {
  Tensors outputs = {max_pool_values(c.in(0), window_axes(c))};
  if (c.wants(1)) outputs.push_back(run_reference(c)[1]);  // indices have no gradient
  return outputs;
}

// For each output position of one axis: how many elements of its window count.
at::Tensor counts(const WindowAxis& a, bool include_pad) {
  std::vector<double> n(static_cast<size_t>(a.out), 0);
  const int64_t from = include_pad ? -a.pad_begin : 0, to = a.in + (include_pad ? a.pad_end : 0);
  for (int64_t o = 0; o < a.out; ++o)
    for (int64_t k = 0; k < a.kernel; ++k) {
      const int64_t at = o * a.stride - a.pad_begin + k * a.dilation;
      if (at >= from && at < to) ++n[static_cast<size_t>(o)];
    }
  return at::tensor(n);
}

// Sums over windows: LibTorch's average times the size of the window, or a convolution with ones where it is dilated.
at::Tensor window_sums(const at::Tensor& src, const std::vector<WindowAxis>& axes) {
  const std::vector<int64_t> kernel = each<&WindowAxis::kernel>(axes), stride = each<&WindowAxis::stride>(axes),
                             dilation = each<&WindowAxis::dilation>(axes), none(axes.size(), 0);
  double size = 1;
  bool dilated = false;
  for (const WindowAxis& a : axes) {
    size *= static_cast<double>(a.kernel);
    dilated = dilated || a.dilation != 1;
  }
  if (dilated) {
    std::vector<int64_t> shape = {src.size(1), 1};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    return at::convolution(src, at::ones(shape, src.options()), {}, stride, none, dilation, false, none, src.size(1));
  }
  switch (axes.size()) {
    case 1: return at::avg_pool1d(src, kernel, stride, none) * size;
    case 2: return at::avg_pool2d(src, kernel, stride, none) * size;
    default: return at::avg_pool3d(src, kernel, stride, none) * size;
  }
}

Tensors average_pool(const Call& c) {
  const at::Tensor& x = c.in(0);
  const std::vector<WindowAxis> axes = window_axes(c);
  const bool include_pad = c.node.attr_int("count_include_pad", 0) != 0;
  bool plain = axes.size() == 2 && pads_natively(axes);
  for (const WindowAxis& a : axes) plain = plain && a.dilation == 1 && a.pad_begin == a.pad_end;
  if (plain)
    return {at::avg_pool2d(x, each<&WindowAxis::kernel>(axes), each<&WindowAxis::stride>(axes),
                           each<&WindowAxis::pad_begin>(axes), false, include_pad)};
  at::Tensor y = window_sums(padded(x, axes, 0), axes);
  for (size_t i = 0; i < axes.size(); ++i) {
    std::vector<int64_t> view(axes.size() + 2, 1);
    view[i + 2] = axes[i].out;
    y = y / counts(axes[i], include_pad).to(y.device(), y.scalar_type()).reshape(view);
  }
  return {y};
}

std::vector<int64_t> spatial_axes(const Call& c) {
  if (c.in(0).dim() < 3) fail(invalid_argument("the input has no spatial axes"));
  std::vector<int64_t> axes;
  for (int64_t d = 2; d < c.in(0).dim(); ++d) axes.push_back(d);
  return axes;
}

Tensors global_average_pool(const Call& c) { return {at::mean(c.in(0), spatial_axes(c), true)}; }
Tensors global_max_pool(const Call& c) { return {at::amax(c.in(0), spatial_axes(c), true)}; }

// y = x / (bias + alpha / size * sum of x^2 over `size` neighbouring channels) ^ beta
Tensors lrn(const Call& c) {
  const at::Tensor& x = c.in(0);
  const int64_t size = c.node.attr_int("size", 0);
  if (size < 1 || size > (int64_t{1} << 20) || x.dim() < 2)
    fail(invalid_argument("LRN needs a size of at least 1 and an input with channels"));
  const double alpha = static_cast<double>(c.node.attr_float("alpha", 1e-4F)) / static_cast<double>(size);
  std::vector<int64_t> pads(static_cast<size_t>(2 * (x.dim() - 2)), 0);
  pads.insert(pads.end(), {(size - 1) / 2, size / 2});
  const at::Tensor squares = at::constant_pad_nd(x * x, pads).unfold(1, size, 1).sum(-1);
  return {x / at::pow(squares * alpha + static_cast<double>(c.node.attr_float("bias", 1.0F)),
                      static_cast<double>(c.node.attr_float("beta", 0.75F)))};
}

constexpr TorchOpEntry kOps[] = {
    {"AveragePool", average_pool},
    {"GlobalAveragePool", global_average_pool},
    {"GlobalMaxPool", global_max_pool},
    {"LRN", lrn},
    {"MaxPool", max_pool},
};

}  // namespace

std::span<const TorchOpEntry> window_ops() { return kOps; }

}  // namespace octet::training
