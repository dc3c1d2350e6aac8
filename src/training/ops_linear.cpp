// Convolutions and matrix products.
#include "kernels/ref/nn_window.h"
#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;
using nn::Window;
using nn::WindowAxis;

struct Geometry {
  std::vector<int64_t> stride, dilation, pad;  // per spatial axis; pad is the smaller one of both ends
  std::vector<int64_t> extra;                  // as constant_pad_nd takes them, last axis first; what is left
  bool has_extra = false;
};

std::vector<WindowAxis> axes_of(const Window& w) { return {w.axes.begin() + (3 - w.rank), w.axes.end()}; }

Dims kernel_of(const at::Tensor& weight) {
  if (weight.dim() < 3) fail(invalid_argument("a weight of " + std::to_string(weight.dim()) + " dimensions"));
  return {weight.sizes().begin() + 2, weight.sizes().end()};
}

// Equal padding goes to the convolution itself, the rest into a padded copy of the input.
Tensors conv(const Call& c) {
  const at::Tensor& w = c.in(1);
  const Window window = need(nn::conv_window(c.node, dims_of(c.in(0)), kernel_of(w)));
  const std::vector<WindowAxis> axes = axes_of(window);
  Geometry g;
  for (const WindowAxis& a : axes) {
    g.stride.push_back(a.stride);
    g.dilation.push_back(a.dilation);
    g.pad.push_back(std::max<int64_t>(0, std::min(a.pad_begin, a.pad_end)));
  }
  for (size_t i = axes.size(); i-- > 0;) {
    g.extra.insert(g.extra.end(), {axes[i].pad_begin - g.pad[i], axes[i].pad_end - g.pad[i]});
    g.has_extra = g.has_extra || axes[i].pad_begin != g.pad[i] || axes[i].pad_end != g.pad[i];
  }
  const at::Tensor x = g.has_extra ? at::constant_pad_nd(c.in(0), g.extra) : c.in(0);
  const std::vector<int64_t> none(axes.size(), 0);
  return {at::convolution(x, w, c.has(2) ? c.in(2) : at::Tensor(), g.stride, g.pad, g.dilation, false, none,
                          c.node.attr_int("group", 1))};
}

// The whole transposed convolution, then what pads and output_padding cut off or add. The bias comes last, because
// added rows have it, too.
Tensors conv_transpose(const Call& c) {
  const at::Tensor& w = c.in(1);
  const Window window = need(nn::conv_transpose_window(c.node, dims_of(c.in(0)), kernel_of(w)));
  const std::vector<WindowAxis> axes = axes_of(window);
  const std::vector<int64_t> none(axes.size(), 0);
  std::vector<int64_t> stride, dilation, crop;
  for (const WindowAxis& a : axes) {
    stride.push_back(a.stride);
    dilation.push_back(a.dilation);
  }
  bool cut = false;
  for (size_t i = axes.size(); i-- > 0;) {
    const int64_t full = (axes[i].in - 1) * axes[i].stride + axes[i].extent();
    crop.insert(crop.end(), {-axes[i].pad_begin, axes[i].out - full + axes[i].pad_begin});
    cut = cut || axes[i].pad_begin != 0 || axes[i].out != full;
  }
  at::Tensor y = at::convolution(c.in(0), w, {}, stride, none, dilation, true, none, c.node.attr_int("group", 1));
  if (cut) y = at::constant_pad_nd(y, crop);
  if (!c.has(2)) return {y};
  std::vector<int64_t> view(static_cast<size_t>(y.dim()), 1);
  view[1] = -1;
  return {y + c.in(2).reshape(view)};
}

Tensors mat_mul(const Call& c) { return {at::matmul(c.in(0), c.in(1))}; }

Tensors gemm(const Call& c) {
  const at::Tensor a = c.node.attr_int("transA", 0) != 0 ? c.in(0).t() : c.in(0);
  const at::Tensor b = c.node.attr_int("transB", 0) != 0 ? c.in(1).t() : c.in(1);
  const auto alpha = static_cast<double>(c.node.attr_float("alpha", 1.0F));
  if (c.has(2)) return {at::addmm(c.in(2), a, b, static_cast<double>(c.node.attr_float("beta", 1.0F)), alpha)};
  const at::Tensor y = at::mm(a, b);
  return {alpha == 1.0 ? y : y * alpha};
}

Tensors einsum(const Call& c) { return {at::einsum(c.node.attr_string("equation", ""), c.inputs)}; }

constexpr TorchOpEntry kOps[] = {
    {"Conv", conv}, {"ConvTranspose", conv_transpose}, {"Einsum", einsum}, {"Gemm", gemm}, {"MatMul", mat_mul},
};

}  // namespace

std::span<const TorchOpEntry> linear_ops() { return kOps; }

}  // namespace octet::training
