// Sliding windows over the spatial axes of an [N, C, D1, ..., Dn] tensor, as Conv and the pools define them.
#pragma once

#include <vector>

#include "graph/infer/op_inference.h"

namespace octet {

struct Window {
  std::vector<int64_t> kernel, strides, dilations;  // one per spatial axis, all positive
  std::vector<int64_t> pads;                        // begins, then ends; none negative
  std::string auto_pad;                             // NOTSET, VALID, SAME_UPPER or SAME_LOWER
  bool ceil_mode = false;

  size_t axes() const { return kernel.size(); }
  int64_t extent(size_t axis) const;  // of the dilated kernel
};

// Reads and checks the attributes. `kernel` (of the weights) must agree with kernel_shape when both are given.
Result<Window> read_window(const Node& node, size_t spatial_axes, const std::vector<int64_t>& kernel);

// Output size along one spatial axis. kInvalidArgument when the window is larger than the padded input.
Result<Dim> window_output(const Window& window, size_t axis, const Dim& input, SymbolTable& symbols);

}  // namespace octet
