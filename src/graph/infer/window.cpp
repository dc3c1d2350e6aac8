#include "graph/infer/window.h"

#include "graph/infer/follow.h"

namespace octet {
namespace {

// Larger numbers describe no real network and would overflow the arithmetic below.
constexpr int64_t kLargest = int64_t{1} << 31;

Status check_list(const std::vector<int64_t>& list, const char* name, size_t count, int64_t least) {
  if (list.size() != count)
    return invalid_argument(std::string("attribute '") + name + "' has " + std::to_string(list.size()) +
                            " entries, but the tensor needs " + std::to_string(count));
  for (int64_t v : list)
    if (v < least || v > kLargest)
      return invalid_argument(std::string("attribute '") + name + "' has the entry " + std::to_string(v) +
                              ", which must be " + std::to_string(least) + " or more");
  return Status::ok();
}

std::vector<int64_t> list_or(const Node& node, const char* name, size_t count, int64_t fallback) {
  std::vector<int64_t> list = node.attr_ints(name);
  return list.empty() ? std::vector<int64_t>(count, fallback) : list;
}

}  // namespace

int64_t Window::extent(size_t axis) const { return (kernel[axis] - 1) * dilations[axis] + 1; }

Result<Window> read_window(const Node& node, size_t spatial_axes, const std::vector<int64_t>& kernel) {
  Window w;
  w.kernel = node.attr_ints("kernel_shape");
  if (w.kernel.empty()) w.kernel = kernel;
  if (!kernel.empty() && w.kernel != kernel)
    return invalid_argument("attribute 'kernel_shape' " + dims_to_string(w.kernel) + " differs from the weight's " +
                            dims_to_string(kernel));
  w.strides = list_or(node, "strides", spatial_axes, 1);
  w.dilations = list_or(node, "dilations", spatial_axes, 1);
  w.pads = list_or(node, "pads", 2 * spatial_axes, 0);
  w.ceil_mode = node.attr_int("ceil_mode", 0) != 0;
  w.auto_pad = node.attr_string("auto_pad", "NOTSET");
  OCTET_RETURN_IF_ERROR(check_list(w.kernel, "kernel_shape", spatial_axes, 1));
  OCTET_RETURN_IF_ERROR(check_list(w.strides, "strides", spatial_axes, 1));
  OCTET_RETURN_IF_ERROR(check_list(w.dilations, "dilations", spatial_axes, 1));
  OCTET_RETURN_IF_ERROR(check_list(w.pads, "pads", 2 * spatial_axes, 0));
  for (size_t i = 0; i < spatial_axes; ++i)
    if ((w.kernel[i] - 1) > kLargest / w.dilations[i]) return invalid_argument("the dilated kernel is too large");
  if (w.auto_pad.empty()) w.auto_pad = "NOTSET";
  if (w.auto_pad != "NOTSET" && w.auto_pad != "VALID" && w.auto_pad != "SAME_UPPER" && w.auto_pad != "SAME_LOWER")
    return invalid_argument("attribute 'auto_pad' is '" + w.auto_pad +
                            "', but must be NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  if (w.auto_pad != "NOTSET") w.pads.assign(2 * spatial_axes, 0);
  return w;
}

// ONNX Conv and MaxPool: floor or ceil((in + pads - extent) / stride) + 1; a last window that would start in the
// right padding is dropped.
Result<Dim> window_output(const Window& window, size_t axis, const Dim& input, SymbolTable& symbols) {
  const int64_t stride = window.strides[axis];
  const MaybeInt in = symbols.from_dim(input);
  if (window.auto_pad.starts_with("SAME")) return symbols.to_dim(symbols.ceil_div(in, stride));
  const int64_t begin = window.pads[axis];
  const int64_t end = window.pads[axis + window.axes()];
  const MaybeInt slack = sym_add(in, MaybeInt(SymInt(begin + end - window.extent(axis))));
  if (slack && slack->is_constant() && slack->constant() < 0)
    return invalid_argument(
        "the window of size " + std::to_string(window.extent(axis)) + " is larger than the padded input of size " +
        std::to_string(slack->constant() + window.extent(axis)) + " along spatial axis " + std::to_string(axis));
  MaybeInt steps = window.ceil_mode ? symbols.ceil_div(slack, stride) : symbols.floor_div(slack, stride);
  if (!window.ceil_mode || !steps) return symbols.to_dim(sym_add(steps, MaybeInt(SymInt(1))));
  if (in->is_constant() && steps->is_constant()) {
    const auto past =
        sign_of_difference(sym_mul(steps, MaybeInt(SymInt(stride))), sym_add(in, MaybeInt(SymInt(begin))));
    if (!past) return Dim::unknown();
    const bool starts_in_padding = steps->constant() > 0 && *past >= 0;
    return symbols.to_dim(starts_in_padding ? *steps : sym_add(steps, MaybeInt(SymInt(1))));
  }
  // The last window starts at most at in + begin + end - extent + stride - 1: inside the input if that is small
  // enough.
  if (end + stride > window.extent(axis)) return Dim::unknown();
  return symbols.to_dim(sym_add(steps, MaybeInt(SymInt(1))));
}

}  // namespace octet
