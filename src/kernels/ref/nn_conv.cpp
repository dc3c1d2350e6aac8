// Conv, ConvTranspose, ConvInteger.
#include "kernels/ref/nn_common.h"
#include "kernels/ref/nn_conv_core.h"
#include "kernels/ref/nn_zero_point.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace nn {
namespace {

Status check_kernel_attribute(const Node& node, const Dims& weight) {
  const Dims stated = node.attr_ints("kernel_shape");
  if (!stated.empty() && !std::equal(stated.begin(), stated.end(), weight.begin() + 2, weight.end()))
    return invalid_argument("kernel_shape " + dims_to_string(stated) + " contradicts the weight of shape " +
                            dims_to_string(weight));
  return Status::ok();
}

Status check_ranks_and_group(const Node& node, const Dims& src, const Dims& weight, int64_t group) {
  if (src.size() < 3 || weight.size() != src.size())
    return invalid_argument("input of shape " + dims_to_string(src) + " and weight of shape " +
                            dims_to_string(weight) + " must have the same rank, at least 3");
  if (group < 1) return invalid_argument("group is " + std::to_string(group) + ", expected at least 1");
  return check_kernel_attribute(node, weight);
}

// Which outputs (or, transposed, inputs) each kernel tap of one axis reaches, hoisted out of the channel loops.
using TapRanges = std::array<std::vector<Range>, 3>;

TapRanges forward_ranges(const Window& window) {
  TapRanges ranges;
  for (size_t a = 0; a < 3; ++a) {
    const WindowAxis& axis = window.axes[a];
    for (int64_t k = 0; k < axis.kernel; ++k)
      ranges[a].push_back(steps_inside(axis.out, axis.stride, k * axis.dilation - axis.pad_begin, axis.in));
  }
  return ranges;
}

TapRanges transposed_ranges(const Window& window) {
  TapRanges ranges;
  for (size_t a = 0; a < 3; ++a) {
    const WindowAxis& axis = window.axes[a];
    for (int64_t k = 0; k < axis.kernel; ++k)
      ranges[a].push_back(steps_inside(axis.in, axis.stride, k * axis.dilation - axis.pad_begin, axis.out));
  }
  return ranges;
}

// dst[i] += w * src[i * step]; the unit step apart so that the compiler vectorizes it.
void add_gathered(int64_t count, double w, const double* src, int64_t step, double* dst) {
  if (step == 1) {
    for (int64_t i = 0; i < count; ++i) dst[i] += w * src[i];
  } else {
    for (int64_t i = 0; i < count; ++i) dst[i] += w * src[i * step];
  }
}

// dst[i * step] += w * src[i]
void add_scattered(int64_t count, double w, const double* src, double* dst, int64_t step) {
  for (int64_t i = 0; i < count; ++i) dst[i * step] += w * src[i];
}

// Adds one input plane filtered by one kernel to one output plane.
void accumulate_plane(const Window& window, const TapRanges& taps, const double* src, const double* kernel,
                      double* dst) {
  const auto& [zd, zh, zw] = window.axes;
  for (int64_t kd = 0; kd < zd.kernel; ++kd)
    for (int64_t kh = 0; kh < zh.kernel; ++kh)
      for (int64_t kw = 0; kw < zw.kernel; ++kw) {
        const double w = *kernel++;
        const Range depth = taps[0][static_cast<size_t>(kd)];
        const Range rows = taps[1][static_cast<size_t>(kh)];
        const Range columns = taps[2][static_cast<size_t>(kw)];
        const int64_t first = columns.begin * zw.stride + kw * zw.dilation - zw.pad_begin;
        for (int64_t od = depth.begin; od < depth.end; ++od)
          for (int64_t oh = rows.begin; oh < rows.end; ++oh) {
            const int64_t id = od * zd.stride + kd * zd.dilation - zd.pad_begin;
            const int64_t ih = oh * zh.stride + kh * zh.dilation - zh.pad_begin;
            add_gathered(columns.end - columns.begin, w, src + (id * zh.in + ih) * zw.in + first, zw.stride,
                         dst + (od * zh.out + oh) * zw.out + columns.begin);
          }
      }
}

// The transposed counterpart: every input element is spread over the output by the kernel.
void spread_plane(const Window& window, const TapRanges& taps, const double* src, const double* kernel, double* dst) {
  const auto& [zd, zh, zw] = window.axes;
  for (int64_t kd = 0; kd < zd.kernel; ++kd)
    for (int64_t kh = 0; kh < zh.kernel; ++kh)
      for (int64_t kw = 0; kw < zw.kernel; ++kw) {
        const double w = *kernel++;
        const Range depth = taps[0][static_cast<size_t>(kd)];
        const Range rows = taps[1][static_cast<size_t>(kh)];
        const Range columns = taps[2][static_cast<size_t>(kw)];
        const int64_t first = columns.begin * zw.stride + kw * zw.dilation - zw.pad_begin;
        for (int64_t id = depth.begin; id < depth.end; ++id)
          for (int64_t ih = rows.begin; ih < rows.end; ++ih) {
            const int64_t od = id * zd.stride + kd * zd.dilation - zd.pad_begin;
            const int64_t oh = ih * zh.stride + kh * zh.dilation - zh.pad_begin;
            add_scattered(columns.end - columns.begin, w, src + (id * zh.in + ih) * zw.in + columns.begin,
                          dst + (od * zh.out + oh) * zw.out + first, zw.stride);
          }
      }
}

Status add_bias(const OpArgs& args, size_t i, int64_t channels, Tensor& dst) {
  if (!args.has(i)) return Status::ok();
  OCTET_RETURN_IF_ERROR(require_real(args, i));
  OCTET_RETURN_IF_ERROR(require_shape(args.in(i), {channels}, "the bias"));
  if (dst.numel() == 0) return Status::ok();
  OCTET_ASSIGN(const Tensor bias, to_float64(args.in(i)));
  const int64_t plane = product(dst.dims(), 2, dst.dims().size());
  double* out = dst.data<double>();
  for (int64_t n = 0; n < dst.dim(0); ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t k = 0; k < plane; ++k) *out++ += bias.data<double>()[c];
  return Status::ok();
}

Status require_conv_inputs(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  OCTET_RETURN_IF_ERROR(require_real(args, 0));
  if (args.in(1).dtype() != args.in(0).dtype())
    return invalid_argument(std::string("the weight is ") + dtype_name(args.in(1).dtype()) + " but the input is " +
                            dtype_name(args.in(0).dtype()));
  return Status::ok();
}

OpResult conv(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_conv_inputs(args));
  OCTET_ASSIGN(const ConvShape shape, conv_shape(args.node, args.in(0).dims(), args.in(1).dims()));
  OCTET_ASSIGN(const Tensor src, to_float64(args.in(0)));
  OCTET_ASSIGN(const Tensor weight, to_float64(args.in(1)));
  OCTET_ASSIGN(Tensor dst, convolve(shape, src, weight));
  OCTET_RETURN_IF_ERROR(add_bias(args, 2, shape.oc, dst));
  return single(dst, args.in(0).dtype());
}

// ONNX: w_zero_point is a scalar or one value per output channel.
OpResult conv_integer(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  OCTET_ASSIGN(const ConvShape shape, conv_shape(args.node, args.in(0).dims(), args.in(1).dims()));
  const Tensor* src_zero = args.has(2) ? &args.in(2) : nullptr;
  const Tensor* weight_zero = args.has(3) ? &args.in(3) : nullptr;
  OCTET_ASSIGN(const Tensor src, subtract_zero_point(args.in(0), src_zero, -1, "x_zero_point"));
  OCTET_ASSIGN(const Tensor weight, subtract_zero_point(args.in(1), weight_zero, 0, "w_zero_point"));
  OCTET_ASSIGN(const Tensor dst, convolve(shape, src, weight));
  return wrap_to_int32(dst);
}

struct TransposeShape {
  int64_t batch, ic, oc, group;
  Window window;
};

// weight {ic, oc / group, kernel...}
Result<TransposeShape> transpose_shape(const Node& node, const Dims& src, const Dims& weight) {
  const int64_t group = node.attr_int("group", 1);
  OCTET_RETURN_IF_ERROR(check_ranks_and_group(node, src, weight, group));
  if (weight[0] != src[1] || src[1] % group != 0)
    return invalid_argument("weight of shape " + dims_to_string(weight) + " does not fit " + std::to_string(src[1]) +
                            " input channels in " + std::to_string(group) + " groups");
  int64_t oc = 0;
  if (__builtin_mul_overflow(weight[1], group, &oc)) return invalid_argument("group is too large");
  OCTET_ASSIGN(const Window window, conv_transpose_window(node, src, {weight.begin() + 2, weight.end()}));
  return TransposeShape{src[0], src[1], oc, group, window};
}

// src {N, ic, spatial...}; zero-filled dst {N, oc, spatial...}; all float64 and not empty.
void convolve_transposed(const TransposeShape& shape, const Tensor& src, const Tensor& weight, Tensor& dst) {
  const Window& window = shape.window;
  const int64_t ic_group = shape.ic / shape.group;
  const int64_t oc_group = shape.oc / shape.group;
  const TapRanges taps = transposed_ranges(window);
  for (int64_t n = 0; n < shape.batch; ++n)
    for (int64_t o = 0; o < shape.oc; ++o)
      for (int64_t i = 0; i < ic_group; ++i) {
        const int64_t channel = o / oc_group * ic_group + i;
        spread_plane(window, taps, src.data<double>() + (n * shape.ic + channel) * window.in_size(),
                     weight.data<double>() + (channel * oc_group + o % oc_group) * window.kernel_size(),
                     dst.data<double>() + (n * shape.oc + o) * window.out_size());
      }
}

OpResult conv_transpose(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_conv_inputs(args));
  OCTET_ASSIGN(const TransposeShape shape, transpose_shape(args.node, args.in(0).dims(), args.in(1).dims()));
  const Window& window = shape.window;
  OCTET_RETURN_IF_ERROR(
      check_work({shape.batch, shape.ic, shape.oc / shape.group, window.in_size(), window.kernel_size()}));
  OCTET_ASSIGN(const Tensor src, to_float64(args.in(0)));
  OCTET_ASSIGN(const Tensor weight, to_float64(args.in(1)));
  OCTET_ASSIGN(Tensor dst, zeros(window.dst_dims(shape.batch, shape.oc)));
  if (src.numel() > 0 && weight.numel() > 0 && dst.numel() > 0) convolve_transposed(shape, src, weight, dst);
  OCTET_RETURN_IF_ERROR(add_bias(args, 2, shape.oc, dst));
  return single(dst, args.in(0).dtype());
}

constexpr RefOpEntry kOps[] = {{"Conv", conv}, {"ConvInteger", conv_integer}, {"ConvTranspose", conv_transpose}};

}  // namespace

Result<ConvShape> conv_shape(const Node& node, const Dims& src, const Dims& weight) {
  const int64_t group = node.attr_int("group", 1);
  OCTET_RETURN_IF_ERROR(check_ranks_and_group(node, src, weight, group));
  if (src[1] % group != 0 || weight[0] % group != 0 || weight[1] != src[1] / group)
    return invalid_argument("weight of shape " + dims_to_string(weight) + " does not fit " + std::to_string(src[1]) +
                            " input channels in " + std::to_string(group) + " groups");
  OCTET_ASSIGN(const Window window, conv_window(node, src, {weight.begin() + 2, weight.end()}));
  return ConvShape{src[0], src[1], weight[0], group, window};
}

Result<Tensor> convolve(const ConvShape& shape, const Tensor& src, const Tensor& weight) {
  const Window& window = shape.window;
  const int64_t ic_group = shape.ic / shape.group;
  OCTET_RETURN_IF_ERROR(check_work({shape.batch, shape.oc, ic_group, window.out_size(), window.kernel_size()}));
  OCTET_ASSIGN(Tensor dst, zeros(shape.dst_dims()));
  if (dst.numel() == 0 || weight.numel() == 0 || src.numel() == 0) return dst;
  const TapRanges taps = forward_ranges(window);
  for (int64_t n = 0; n < shape.batch; ++n)
    for (int64_t o = 0; o < shape.oc; ++o)
      for (int64_t i = 0; i < ic_group; ++i) {
        const int64_t channel = o / (shape.oc / shape.group) * ic_group + i;
        accumulate_plane(window, taps, src.data<double>() + (n * shape.ic + channel) * window.in_size(),
                         weight.data<double>() + (o * ic_group + i) * window.kernel_size(),
                         dst.data<double>() + (n * shape.oc + o) * window.out_size());
      }
  return dst;
}

}  // namespace nn

std::span<const RefOpEntry> nn_conv_ops() { return nn::kOps; }

}  // namespace octet
