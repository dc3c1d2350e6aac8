// ONNX Slice and Split: parts of a tensor.
#include <algorithm>
#include <cstring>

#include "kernels/ref/loops.h"
#include "kernels/ref/op_lists.h"
#include "kernels/ref/support.h"

namespace octet {
namespace {

struct SliceSpec {
  std::vector<int64_t> starts, ends, axes, steps;
};

// Inputs since opset 10, attributes before.
Result<SliceSpec> slice_spec(const OpArgs& args) {
  SliceSpec spec;
  bool found = false;
  OCTET_ASSIGN(spec.starts, int_list_of(args, 1, "starts", found));
  OCTET_ASSIGN(spec.ends, int_list_of(args, 2, "ends", found));
  OCTET_ASSIGN(spec.axes, int_list_of(args, 3, "axes", found));
  if (!found)
    for (size_t i = 0; i < spec.starts.size(); ++i) spec.axes.push_back(static_cast<int64_t>(i));
  spec.steps.assign(spec.starts.size(), 1);
  if (args.has(4)) {
    OCTET_ASSIGN(spec.steps, int_list_input(args, 4));
  }
  const size_t n = spec.starts.size();
  if (spec.ends.size() != n || spec.axes.size() != n || spec.steps.size() != n)
    return invalid_argument("starts, ends, axes and steps have different lengths");
  return spec;
}

struct AxisSlice {
  int64_t start = 0, count = 0, step = 1;
};

// Positions from the end are negative; positions outside are clamped. Requires step != 0.
AxisSlice slice_axis(int64_t size, int64_t start, int64_t end, int64_t step) {
  if (size == 0) return {};
  step = std::clamp(step, -size, size);  // a longer step takes one element just the same
  if (start < 0) start += size;
  if (end < 0) end += size;
  const bool forward = step > 0;
  start = forward ? std::clamp<int64_t>(start, 0, size) : std::clamp<int64_t>(start, 0, size - 1);
  end = forward ? std::clamp<int64_t>(end, 0, size) : std::clamp<int64_t>(end, -1, size - 1);
  const int64_t span = forward ? end - start : start - end;
  const int64_t stride = forward ? step : -step;
  return {start, span <= 0 ? 0 : (span - 1) / stride + 1, step};
}

OpResult slice_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(const SliceSpec spec, slice_spec(args));
  OCTET_RETURN_IF_ERROR(normalize_axes(spec.axes, x.rank()).status());
  Dims dims = x.dims();
  Dims strides = row_major_strides(dims);
  int64_t base = 0;
  for (size_t i = 0; i < spec.axes.size(); ++i) {
    if (spec.steps[i] == 0) return invalid_argument("a step of Slice is 0");
    const auto axis = static_cast<size_t>(spec.axes[i] < 0 ? spec.axes[i] + x.rank() : spec.axes[i]);
    const AxisSlice part = slice_axis(dims[axis], spec.starts[i], spec.ends[i], spec.steps[i]);
    dims[axis] = part.count;
    if (x.numel() == 0) continue;
    base += part.count == 0 ? 0 : part.start * strides[axis];
    strides[axis] *= part.step;
  }
  OCTET_ASSIGN(Tensor out, Tensor::create(x.dtype(), dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  return dispatch_size(x.dtype(), [&]<class T>() -> OpResult {
    strided_copy(out.data<T>(), x.data<T>() + base, dims, strides);
    return std::vector<Tensor>{out};
  });
}

// Sizes are given (input since opset 13, attribute before), or the parts are equal with a smaller last one.
Result<std::vector<int64_t>> split_sizes(const OpArgs& args, int64_t size) {
  bool found = false;
  OCTET_ASSIGN(std::vector<int64_t> sizes, int_list_of(args, 1, "split", found));
  const auto outputs = static_cast<int64_t>(args.node.outputs.size());
  if (!found) {
    const int64_t parts = args.node.attr_int("num_outputs", outputs);
    if (parts < 1 || parts != outputs)
      return invalid_argument("num_outputs is " + std::to_string(parts) + " but the node has " +
                              std::to_string(outputs) + " outputs");
    const bool may_be_uneven = args.node.attributes.count("num_outputs") != 0;
    if (size % parts != 0 && !may_be_uneven)
      return invalid_argument("an axis of " + std::to_string(size) + " cannot be split into " +
                              std::to_string(parts) + " equal parts");
    const int64_t part = size / parts + (size % parts != 0 ? 1 : 0);
    for (int64_t i = 0, left = size; i < parts; ++i, left -= sizes.back()) sizes.push_back(std::min(part, left));
    return sizes;
  }
  int64_t left = size;
  for (int64_t s : sizes) left = s < 0 || s > left ? -1 : left - s;
  if (left != 0 || static_cast<int64_t>(sizes.size()) != outputs)
    return invalid_argument("split " + dims_to_string(sizes) + " does not cut an axis of " + std::to_string(size) +
                            " into " + std::to_string(outputs) + " outputs");
  return sizes;
}

OpResult split_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(const int64_t signed_axis, normalize_axis(args.node.attr_int("axis", 0), x.rank()));
  const auto axis = static_cast<size_t>(signed_axis);
  OCTET_ASSIGN(const std::vector<int64_t> sizes, split_sizes(args, x.dims()[axis]));
  std::vector<Tensor> outputs;
  int64_t before = 0;  // elements of this axis that earlier outputs took
  for (int64_t size : sizes) {
    Dims dims = x.dims();
    dims[axis] = size;
    OCTET_ASSIGN(Tensor out, Tensor::create(x.dtype(), dims));
    if (out.numel() != 0) {
      const int64_t outer = product(dims, 0, axis);
      const int64_t row = x.nbytes() / outer;
      const int64_t part = out.nbytes() / outer;
      const int64_t offset = before * (row / x.dims()[axis]);
      for (int64_t o = 0; o < outer; ++o)
        std::memcpy(out.data<char>() + o * part, x.data<char>() + o * row + offset, static_cast<size_t>(part));
    }
    before += size;
    outputs.push_back(std::move(out));
  }
  return outputs;
}

constexpr RefOpEntry kOps[] = {{"Slice", slice_op}, {"Split", split_op}};

}  // namespace

std::span<const RefOpEntry> data_movement_slice_ops() { return kOps; }

}  // namespace octet
