// Operators that change shapes or copy elements to other places.
#include <algorithm>
#include <limits>

#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;

// Any operator that only moves elements: the reference moves their numbers. For the rare ones.
Tensors by_indices(const Call& c) {
  const at::Tensor from = source_indices(c);
  return {c.in(0).reshape({-1}).index_select(0, from.reshape({-1})).reshape(from.sizes())};
}

Tensors identity(const Call& c) { return {c.in(0)}; }

Tensors shape(const Call& c) {
  const int64_t rank = c.in(0).dim();
  const auto limit = [&](const char* name, int64_t fallback) {
    const int64_t at = c.node.attr_int(name, fallback);
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const int64_t start = limit("start", 0), end = std::max(start, limit("end", rank));
  const std::vector<int64_t> dims(c.in(0).sizes().begin() + start, c.in(0).sizes().begin() + end);
  return {at::tensor(dims, at::kLong)};
}

Tensors size(const Call& c) { return {at::scalar_tensor(c.in(0).numel(), at::kLong)}; }

Tensors reshape(const Call& c) {
  std::vector<int64_t> dims = c.ints(1);
  for (size_t d = 0; d < dims.size() && c.node.attr_int("allowzero", 0) == 0; ++d)
    if (dims[d] == 0 && static_cast<int64_t>(d) < c.in(0).dim()) dims[d] = c.in(0).size(static_cast<int64_t>(d));
  return {c.in(0).reshape(dims)};
}

Tensors flatten(const Call& c) {
  const int64_t rank = c.in(0).dim();
  int64_t axis = c.node.attr_int("axis", 1);
  if (axis < 0) axis += rank;
  int64_t rows = 1;
  for (int64_t d = 0; d < std::min(axis, rank); ++d) rows *= c.in(0).size(d);
  return {c.in(0).reshape({rows, rows == 0 ? 0 : c.in(0).numel() / rows})};
}

Tensors squeeze(const Call& c) {
  bool found = false;
  std::vector<int64_t> axes = c.ints(1, "axes", &found);
  for (int64_t& axis : axes) axis = wrap_axis(axis, c.in(0).dim());
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < c.in(0).dim(); ++d) {
    const bool named = found ? std::count(axes.begin(), axes.end(), d) != 0 : c.in(0).size(d) == 1;
    if (named && c.in(0).size(d) != 1)
      fail(invalid_argument("Squeeze of an axis of size " + std::to_string(c.in(0).size(d))));
    if (!named) dims.push_back(c.in(0).size(d));
  }
  return {c.in(0).reshape(dims)};
}

Tensors unsqueeze(const Call& c) {
  std::vector<int64_t> axes = c.ints(1, "axes");
  const auto rank = c.in(0).dim() + static_cast<int64_t>(axes.size());
  for (int64_t& axis : axes) axis = wrap_axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  at::Tensor x = c.in(0);
  for (int64_t axis : axes) x = x.unsqueeze(axis);
  return {x};
}

Tensors transpose(const Call& c) {
  std::vector<int64_t> perm = c.node.attr_ints("perm");
  if (perm.empty())
    for (int64_t d = c.in(0).dim(); d-- > 0;) perm.push_back(d);
  return {c.in(0).permute(perm)};
}

Tensors expand(const Call& c) {
  const std::vector<int64_t> wanted = c.ints(1);
  std::vector<int64_t> dims = dims_of(c.in(0));
  if (wanted.size() > dims.size()) dims.insert(dims.begin(), wanted.size() - dims.size(), 1);
  for (size_t i = 0; i < wanted.size(); ++i) {
    int64_t& d = dims[dims.size() - wanted.size() + i];
    if (d == 1) d = wanted[i];
  }
  return {c.in(0).expand(dims)};
}

Tensors tile(const Call& c) { return {c.in(0).repeat(c.ints(1))}; }

Tensors concat(const Call& c) { return {at::cat(c.inputs, c.axis(0, c.in(0).dim()))}; }

Tensors split(const Call& c) {
  const at::Tensor& x = c.in(0);
  const int64_t axis = c.axis(0, x.dim());
  bool found = false;
  std::vector<int64_t> sizes = c.ints(1, "split", &found);
  if (!found) {
    const auto parts = static_cast<int64_t>(c.node.outputs.size());
    const int64_t part = (x.size(axis) + parts - 1) / parts;
    for (int64_t i = 0, left = x.size(axis); i < parts; ++i, left -= sizes.back())
      sizes.push_back(std::min(part, left));
  }
  return at::split_with_sizes(x, sizes, axis);
}

// Inputs since opset 10, attributes before. Backward steps go by indices.
Tensors slice(const Call& c) {
  const std::vector<int64_t> starts = c.ints(1, "starts"), ends = c.ints(2, "ends");
  std::vector<int64_t> axes = c.ints(3, "axes"), steps = c.ints(4);
  if (axes.empty())
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    fail(invalid_argument("starts, ends, axes and steps have different lengths"));
  at::Tensor x = c.in(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    if (steps[i] < 1) return by_indices(c);
    const int64_t axis = wrap_axis(axes[i], x.dim());
    const int64_t size = x.size(axis);
    const auto position = [&](int64_t p) { return std::clamp<int64_t>(p < 0 ? p + size : p, 0, size); };
    const int64_t start = position(starts[i]);
    x = x.slice(axis, start, std::max(start, position(ends[i])), std::min(steps[i], std::max<int64_t>(size, 1)));
  }
  return {x};
}

Tensors pad(const Call& c) {
  if (c.node.attr_string("mode", "constant") != "constant") {
    Call without_value = c;  // which has the data's type, not that of indices
    if (c.inputs.size() > 2) without_value.inputs[2] = at::Tensor();
    return by_indices(without_value);
  }
  const int64_t rank = c.in(0).dim();
  const std::vector<int64_t> pads = c.ints(1, "pads");
  std::vector<int64_t> axes = c.ints(3);
  if (axes.empty())
    for (int64_t d = 0; d < rank; ++d) axes.push_back(d);
  if (pads.size() != 2 * axes.size()) fail(invalid_argument("Pad needs two numbers per axis"));
  std::vector<int64_t> from_last(static_cast<size_t>(2 * rank), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto at = static_cast<size_t>(2 * (rank - 1 - wrap_axis(axes[i], rank)));
    from_last[at] = pads[i];
    from_last[at + 1] = pads[i + axes.size()];
  }
  const double value = c.has(2) ? c.number(2) : static_cast<double>(c.node.attr_float("value", 0.0F));
  return {at::constant_pad_nd(c.in(0), from_last, value)};
}

int64_t block_size(const Call& c) {
  const int64_t b = c.node.attr_int("blocksize", 0);
  if (c.in(0).dim() != 4 || b < 1 || b > (int64_t{1} << 20))
    fail(invalid_argument("needs an input [n, c, h, w] and a blocksize of at least 1"));
  return b;
}

Tensors depth_to_space(const Call& c) {
  const int64_t b = block_size(c);
  const at::Tensor& x = c.in(0);
  const int64_t n = x.size(0), rest = x.size(1) / (b * b), h = x.size(2), w = x.size(3);
  const at::Tensor y = c.node.attr_string("mode", "DCR") == "DCR"
                           ? x.reshape({n, b, b, rest, h, w}).permute({0, 3, 4, 1, 5, 2})
                           : x.reshape({n, rest, b, b, h, w}).permute({0, 1, 4, 2, 5, 3});
  return {y.reshape({n, rest, h * b, w * b})};
}

Tensors space_to_depth(const Call& c) {
  const int64_t b = block_size(c);
  const at::Tensor& x = c.in(0);
  const int64_t n = x.size(0), ch = x.size(1), h = x.size(2), w = x.size(3);
  return {x.reshape({n, ch, h / b, b, w / b, b}).permute({0, 3, 5, 1, 2, 4}).reshape({n, ch * b * b, h / b, w / b})};
}

Tensors trilu(const Call& c) {
  const auto k = c.has(1) ? static_cast<int64_t>(c.ints(1).at(0)) : 0;
  return {c.node.attr_int("upper", 1) != 0 ? at::triu(c.in(0), k) : at::tril(c.in(0), k)};
}

constexpr TorchOpEntry kOps[] = {
    {"Concat", concat},
    {"DepthToSpace", depth_to_space},
    {"Expand", expand},
    {"Flatten", flatten},
    {"Identity", identity},
    {"Pad", pad},
    {"Reshape", reshape},
    {"Shape", shape},
    {"Size", size},
    {"Slice", slice},
    {"SpaceToDepth", space_to_depth},
    {"Split", split},
    {"Squeeze", squeeze},
    {"Tile", tile},
    {"Transpose", transpose},
    {"Trilu", trilu},
    {"Unsqueeze", unsqueeze},
};

}  // namespace

std::span<const TorchOpEntry> movement_ops() { return kOps; }

}  // namespace octet::training
