#include "kernels/ref/nn_window.h"

#include "kernels/ref/nn_common.h"

namespace octet::nn {
namespace {

// Keeps every product and sum of geometry far from the end of int64.
constexpr int64_t kMaxGeometry = int64_t{1} << 30;

struct WindowAttributes {
  Dims strides;
  Dims dilations;
  Dims pads;
  std::string auto_pad;
};

Result<Dims> read_ints(const Node& node, const std::string& key, size_t count, int64_t fallback, int64_t least) {
  Dims values = node.attr_ints(key);
  if (values.empty()) values.assign(count, fallback);
  if (values.size() != count)
    return invalid_argument("attribute " + key + " has " + std::to_string(values.size()) + " numbers, expected " +
                            std::to_string(count));
  for (int64_t v : values)
    if (v < least || v > kMaxGeometry)
      return invalid_argument("attribute " + key + " = " + dims_to_string(values) + " must lie between " +
                              std::to_string(least) + " and " + std::to_string(kMaxGeometry));
  return values;
}

Result<WindowAttributes> read_attributes(const Node& node, size_t rank) {
  WindowAttributes a;
  OCTET_ASSIGN(a.strides, read_ints(node, "strides", rank, 1, 1));
  OCTET_ASSIGN(a.dilations, read_ints(node, "dilations", rank, 1, 1));
  OCTET_ASSIGN(a.pads, read_ints(node, "pads", 2 * rank, 0, 0));
  a.auto_pad = node.attr_string("auto_pad", "NOTSET");
  if (a.auto_pad != "NOTSET" && a.auto_pad != "VALID" && a.auto_pad != "SAME_UPPER" && a.auto_pad != "SAME_LOWER")
    return invalid_argument("auto_pad '" + a.auto_pad + "' is not one of NOTSET, VALID, SAME_UPPER, SAME_LOWER");
  return a;
}

// Everything of the window but pads and output sizes, with all numbers in their bounds.
Result<Window> start_window(const WindowAttributes& a, const Dims& src, const Dims& kernel) {
  const size_t rank = kernel.size();
  Window window;
  window.rank = static_cast<int>(rank);
  for (size_t i = 0; i < rank; ++i) {
    WindowAxis& axis = window.axes[3 - rank + i];
    if (kernel[i] < 1 || kernel[i] > kMaxGeometry)
      return invalid_argument("kernel shape " + dims_to_string(kernel) + " must be at least 1 on every axis");
    if (src[i + 2] > kMaxGeometry)
      return resource_limit("input shape " + dims_to_string(src) + " is too large for a sliding window");
    axis = {.in = src[i + 2], .kernel = kernel[i], .stride = a.strides[i], .dilation = a.dilations[i]};
  }
  return window;
}

Status check_rank(const Dims& src, const Dims& kernel) {
  if (src.size() < 3 || src.size() > 5)
    return unsupported("input of shape " + dims_to_string(src) + " must have 1, 2 or 3 spatial axes after N and C");
  if (kernel.size() + 2 != src.size())
    return invalid_argument("kernel shape " + dims_to_string(kernel) + " does not fit an input of shape " +
                            dims_to_string(src));
  return Status::ok();
}

// SAME_UPPER puts the odd element at the end, everything else at the beginning.
void distribute_padding(int64_t total, bool upper, WindowAxis& axis) {
  axis.pad_begin = upper ? total / 2 : total - total / 2;
  axis.pad_end = total - axis.pad_begin;
}

Status place_window(const WindowAttributes& a, size_t i, size_t rank, bool ceil_mode, WindowAxis& axis) {
  if (a.auto_pad.starts_with("SAME")) {
    axis.out = ceil_div(axis.in, axis.stride);
    const int64_t total = std::max<int64_t>(0, (axis.out - 1) * axis.stride + axis.extent() - axis.in);
    distribute_padding(total, a.auto_pad == "SAME_UPPER", axis);
    return Status::ok();
  }
  if (a.auto_pad == "NOTSET") {
    axis.pad_begin = a.pads[i];
    axis.pad_end = a.pads[i + rank];
  }
  const int64_t room = axis.in + axis.pad_begin + axis.pad_end - axis.extent();
  // With ceil_mode a last, partial window counts too, unless it would start in the end padding.
  axis.out = (ceil_mode ? ceil_div(room, axis.stride) : room < 0 ? -1 : room / axis.stride) + 1;
  if (axis.out > 1 && ceil_mode && (axis.out - 1) * axis.stride >= axis.in + axis.pad_begin) --axis.out;
  if (axis.out >= 1) return Status::ok();
  return invalid_argument("the window spans " + std::to_string(axis.extent()) + " elements of spatial axis " +
                          std::to_string(i) + ", but the padded input has only " +
                          std::to_string(room + axis.extent()));
}

Status place_transposed(const WindowAttributes& a, size_t i, size_t rank, int64_t output_padding, int64_t wanted,
                        WindowAxis& axis) {
  const int64_t full = axis.stride * (axis.in - 1) + output_padding + axis.extent();
  const bool same = a.auto_pad.starts_with("SAME");
  if (wanted < 0 && same) wanted = axis.in * axis.stride;
  if (wanted >= 0) {
    axis.out = wanted;
    distribute_padding(std::max<int64_t>(0, full - wanted), a.auto_pad == "SAME_UPPER", axis);
    return Status::ok();
  }
  if (a.auto_pad == "NOTSET") {
    axis.pad_begin = a.pads[i];
    axis.pad_end = a.pads[i + rank];
  }
  axis.out = full - axis.pad_begin - axis.pad_end;
  if (axis.out < 1)
    return invalid_argument("pads take " + std::to_string(axis.pad_begin + axis.pad_end) + " of the " +
                            std::to_string(full) + " output elements of spatial axis " + std::to_string(i) +
                            " and leave none");
  return Status::ok();
}

}  // namespace

Dims Window::dst_dims(int64_t batch, int64_t channels) const {
  Dims dims{batch, channels};
  for (int i = 3 - rank; i < 3; ++i) dims.push_back(axes[static_cast<size_t>(i)].out);
  return dims;
}

namespace {

// Sizes of whole planes must fit in 64 bits before anybody multiplies them.
Result<Window> checked(const Window& window) {
  for (int64_t WindowAxis::*size : {&WindowAxis::in, &WindowAxis::out, &WindowAxis::kernel}) {
    Dims dims;
    for (const WindowAxis& axis : window.axes) dims.push_back(axis.*size);
    OCTET_RETURN_IF_ERROR(checked_numel(dims).status());
  }
  return window;
}

}  // namespace

Result<Window> conv_window(const Node& node, const Dims& src, const Dims& kernel, bool ceil_mode) {
  OCTET_RETURN_IF_ERROR(check_rank(src, kernel));
  const size_t rank = kernel.size();
  OCTET_ASSIGN(const WindowAttributes a, read_attributes(node, rank));
  OCTET_ASSIGN(Window window, start_window(a, src, kernel));
  for (size_t i = 0; i < rank; ++i)
    OCTET_RETURN_IF_ERROR(place_window(a, i, rank, ceil_mode, window.axes[3 - rank + i]));
  return checked(window);
}

Result<Window> conv_transpose_window(const Node& node, const Dims& src, const Dims& kernel) {
  OCTET_RETURN_IF_ERROR(check_rank(src, kernel));
  const size_t rank = kernel.size();
  OCTET_ASSIGN(const WindowAttributes a, read_attributes(node, rank));
  OCTET_ASSIGN(const Dims output_padding, read_ints(node, "output_padding", rank, 0, 0));
  OCTET_ASSIGN(Dims wanted, read_ints(node, "output_shape", rank, -1, -1));
  OCTET_ASSIGN(Window window, start_window(a, src, kernel));
  for (size_t i = 0; i < rank; ++i)
    OCTET_RETURN_IF_ERROR(place_transposed(a, i, rank, output_padding[i], wanted[i], window.axes[3 - rank + i]));
  return checked(window);
}

}  // namespace octet::nn
