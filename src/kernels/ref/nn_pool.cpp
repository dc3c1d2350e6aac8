// MaxPool, AveragePool and their global forms.
#include <limits>

#include "kernels/ref/nn_common.h"
#include "kernels/ref/nn_window.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace nn {
namespace {

// The taps of one output position along one axis: those inside the input, as input positions first + i * step.
struct Taps {
  int64_t first = 0;
  int64_t step = 1;
  int64_t count = 0;
  int64_t count_with_padding = 0;  // also those inside the explicit padding, but not what ceil_mode adds
};

Taps taps_at(const WindowAxis& axis, int64_t o) {
  const int64_t start = o * axis.stride - axis.pad_begin;
  const Range inside = steps_inside(axis.kernel, axis.dilation, start, axis.in);
  const Range padded =
      steps_inside(axis.kernel, axis.dilation, start + axis.pad_begin, axis.in + axis.pad_begin + axis.pad_end);
  return {start + inside.begin * axis.dilation, axis.dilation, inside.end - inside.begin, padded.end - padded.begin};
}

using WindowTaps = std::array<Taps, 3>;

// Calls f(output index within the plane, taps) for all output positions of one plane.
template <class F>
void for_each_position(const Window& window, F f) {
  int64_t index = 0;
  WindowTaps taps;
  for (int64_t d = 0; d < window.axes[0].out; ++d)
    for (int64_t h = 0; h < window.axes[1].out; ++h)
      for (int64_t w = 0; w < window.axes[2].out; ++w) {
        taps = {taps_at(window.axes[0], d), taps_at(window.axes[1], h), taps_at(window.axes[2], w)};
        f(index++, taps);
      }
}

// Calls f(d, h, w) for every input element under the window.
template <class F>
void for_each_tap(const WindowTaps& taps, F f) {
  for (int64_t d = 0; d < taps[0].count; ++d)
    for (int64_t h = 0; h < taps[1].count; ++h)
      for (int64_t w = 0; w < taps[2].count; ++w)
        f(taps[0].first + d * taps[0].step, taps[1].first + h * taps[1].step, taps[2].first + w * taps[2].step);
}

Result<Window> pool_window(const OpArgs& args) {
  const Dims kernel = args.node.attr_ints("kernel_shape");
  if (kernel.empty()) return invalid_argument("attribute kernel_shape is missing");
  OCTET_ASSIGN(const Window window,
               conv_window(args.node, args.in(0).dims(), kernel, args.node.attr_int("ceil_mode", 0) != 0));
  Dims work{args.in(0).dim(0), args.in(0).dim(1)};
  for (const WindowAxis& axis : window.axes) {
    work.push_back(axis.out);
    work.push_back(std::min(axis.kernel, std::max<int64_t>(axis.in, 1)));  // taps outside the input cost nothing
  }
  OCTET_RETURN_IF_ERROR(check_work(work));
  return window;
}

// Position within a plane in row-major order, or in column-major order when storage_order is 1.
int64_t plane_index(const Window& window, bool column_major, int64_t d, int64_t h, int64_t w) {
  const auto& [zd, zh, zw] = window.axes;
  if (!column_major) return (d * zh.in + h) * zw.in + w;
  return d + (h + w * zh.in) * zd.in;
}

Status require_pool_input(const OpArgs& args, bool bytes_too) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const DType dtype = args.in(0).dtype();
  if (bytes_too && (dtype == DType::kInt8 || dtype == DType::kUint8)) return Status::ok();
  return require_real(args, 0);
}

// A window that lies wholly in the padding gives the lowest value of the type and index 0; NaN never wins.
OpResult max_pool(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_pool_input(args, true));
  OCTET_ASSIGN(const Window window, pool_window(args));
  const Tensor& x = args.in(0);
  const bool column_major = args.node.attr_int("storage_order", 0) != 0;
  OCTET_ASSIGN(const Tensor src, to_float64(x));
  OCTET_ASSIGN(Tensor values, zeros(window.dst_dims(x.dim(0), x.dim(1))));
  OCTET_ASSIGN(Tensor indices, Tensor::create(DType::kInt64, values.dims()));
  const int64_t planes = values.numel() == 0 ? 0 : x.dim(0) * x.dim(1);
  for (int64_t p = 0; p < planes; ++p) {
    const double* plane = src.data<double>() + p * window.in_size();
    for_each_position(window, [&](int64_t i, const WindowTaps& taps) {
      double best = -std::numeric_limits<double>::infinity();
      int64_t where = 0;
      for_each_tap(taps, [&](int64_t d, int64_t h, int64_t w) {
        const double v = plane[plane_index(window, false, d, h, w)];
        if (!(v > best)) return;
        best = v;
        where = plane_index(window, column_major, d, h, w);
      });
      values.data<double>()[p * window.out_size() + i] = best;
      indices.data<int64_t>()[p * window.out_size() + i] = p * window.in_size() + where;
    });
  }
  OCTET_ASSIGN(Tensor rounded, from_float64(values, x.dtype()));
  return as_asked(args, {rounded, indices});
}

// Sum over the taps divided by how many count; 0 when none does.
double average_of(const Window& window, const double* plane, const WindowTaps& taps, bool include_pad) {
  double sum = 0;
  for_each_tap(taps, [&](int64_t d, int64_t h, int64_t w) { sum += plane[plane_index(window, false, d, h, w)]; });
  double count = 1;
  for (const Taps& t : taps) count *= static_cast<double>(include_pad ? t.count_with_padding : t.count);
  return count > 0 ? sum / count : 0.0;
}

OpResult average_pool(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_pool_input(args, false));
  OCTET_ASSIGN(const Window window, pool_window(args));
  const Tensor& x = args.in(0);
  const bool include_pad = args.node.attr_int("count_include_pad", 0) != 0;
  OCTET_ASSIGN(const Tensor src, to_float64(x));
  OCTET_ASSIGN(Tensor dst, zeros(window.dst_dims(x.dim(0), x.dim(1))));
  const int64_t planes = dst.numel() == 0 ? 0 : x.dim(0) * x.dim(1);
  for (int64_t p = 0; p < planes; ++p) {
    const double* plane = src.data<double>() + p * window.in_size();
    double* out = dst.data<double>() + p * window.out_size();
    for_each_position(
        window, [&](int64_t i, const WindowTaps& taps) { out[i] = average_of(window, plane, taps, include_pad); });
  }
  return single(dst, x.dtype());
}

// Any number of spatial axes; reduce(plane, size) gives one value per channel.
template <class F>
OpResult global_pool(const OpArgs& args, F reduce) {
  OCTET_RETURN_IF_ERROR(require_pool_input(args, false));
  const Tensor& x = args.in(0);
  if (x.rank() < 3) return invalid_argument("input of shape " + dims_to_string(x.dims()) + " has no spatial axes");
  Dims dims(x.dims().size(), 1);
  dims[0] = x.dim(0);
  dims[1] = x.dim(1);
  OCTET_ASSIGN(const Tensor src, to_float64(x));
  OCTET_ASSIGN(Tensor dst, zeros(dims));
  if (dst.numel() > 0 && x.numel() == 0) return invalid_argument("the spatial axes of the input are empty");
  const int64_t size = dst.numel() == 0 ? 0 : x.numel() / dst.numel();
  for (int64_t p = 0; p < dst.numel(); ++p) dst.data<double>()[p] = reduce(src.data<double>() + p * size, size);
  return single(dst, x.dtype());
}

OpResult global_average_pool(const OpArgs& args) {
  return global_pool(args, [](const double* plane, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += plane[i];
    return sum / static_cast<double>(size);
  });
}

OpResult global_max_pool(const OpArgs& args) {
  return global_pool(args, [](const double* plane, int64_t size) { return *std::max_element(plane, plane + size); });
}

constexpr RefOpEntry kOps[] = {
    {"AveragePool", average_pool},
    {"GlobalAveragePool", global_average_pool},
    {"GlobalMaxPool", global_max_pool},
    {"MaxPool", max_pool},
};

}  // namespace
}  // namespace nn

std::span<const RefOpEntry> nn_pool_ops() { return nn::kOps; }

}  // namespace octet
