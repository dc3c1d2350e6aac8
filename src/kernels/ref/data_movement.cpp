// Operators that copy elements to other places without looking at them: Transpose, Concat, Expand, Tile, and the
// exchange of depth and space.
#include <cstring>

#include "kernels/ref/loops.h"
#include "kernels/ref/op_lists.h"
#include "kernels/ref/support.h"

namespace octet {
namespace {

// A new row-major tensor of shape `dims`, read from x with `strides`, and then given the shape `out_dims`.
OpResult gather_strided(const Tensor& x, const Dims& dims, const Dims& strides, const Dims& out_dims) {
  OCTET_ASSIGN(Tensor out, Tensor::create(x.dtype(), out_dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  return dispatch_size(x.dtype(), [&]<class T>() -> OpResult {
    strided_copy(out.data<T>(), x.data<T>(), dims, strides);
    return std::vector<Tensor>{out};
  });
}

// x seen with shape `view`, its dimensions in the order `perm`, then reshaped to `out_dims`.
OpResult permute(const Tensor& x, const Dims& view, const std::vector<int64_t>& perm, const Dims& out_dims) {
  const Dims strides = row_major_strides(view);
  Dims dims, out_strides;
  for (int64_t p : perm) {
    dims.push_back(view[static_cast<size_t>(p)]);
    out_strides.push_back(strides[static_cast<size_t>(p)]);
  }
  return gather_strided(x, dims, out_strides, out_dims);
}

OpResult transpose_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  std::vector<int64_t> perm = args.node.attr_ints("perm");
  if (args.node.attributes.count("perm") == 0)
    for (int d = x.rank() - 1; d >= 0; --d) perm.push_back(d);
  OCTET_ASSIGN(const std::vector<int64_t> sorted, normalize_axes(perm, x.rank()));
  if (sorted.size() != x.dims().size())
    return invalid_argument("perm " + dims_to_string(perm) + " does not name each axis of " +
                            dims_to_string(x.dims()) + " once");
  Dims out_dims;
  for (int64_t& p : perm) {
    if (p < 0) p += x.rank();
    out_dims.push_back(x.dims()[static_cast<size_t>(p)]);
  }
  return permute(x, x.dims(), perm, out_dims);
}

// The common shape but for `axis`, whose sizes add up.
Result<Dims> concat_dims(const OpArgs& args, size_t axis) {
  Dims dims = args.in(0).dims();
  for (size_t i = 1; i < args.inputs.size(); ++i) {
    const Dims& other = args.in(i).dims();
    bool fits = other.size() == dims.size();
    for (size_t d = 0; fits && d < dims.size(); ++d) fits = d == axis || other[d] == dims[d];
    if (!fits || __builtin_add_overflow(dims[axis], other[axis], &dims[axis]))
      return invalid_argument("input " + std::to_string(i) + " of shape " + dims_to_string(other) +
                              " cannot be joined with shape " + dims_to_string(args.in(0).dims()) + " along axis " +
                              std::to_string(axis));
  }
  return dims;
}

OpResult concat_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, std::max<size_t>(1, args.inputs.size())));
  OCTET_RETURN_IF_ERROR(need_same_dtype(args));
  OCTET_ASSIGN(const int64_t signed_axis, normalize_axis(args.node.attr_int("axis", 0), args.in(0).rank()));
  const auto axis = static_cast<size_t>(signed_axis);
  OCTET_ASSIGN(const Dims dims, concat_dims(args, axis));
  OCTET_ASSIGN(Tensor out, Tensor::create(args.in(0).dtype(), dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  const int64_t outer = product(dims, 0, axis);
  const int64_t row = out.nbytes() / outer;
  int64_t done = 0;
  for (const Tensor* t : args.inputs) {
    const int64_t part = t->nbytes() / outer;
    for (int64_t o = 0; part != 0 && o < outer; ++o)
      std::memcpy(out.data<char>() + o * row + done, t->data<char>() + o * part, static_cast<size_t>(part));
    done += part;
  }
  return std::vector<Tensor>{out};
}

OpResult expand_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(const Dims wanted, int_list_input(args, 1));
  OCTET_ASSIGN(const Dims dims, broadcast_dims(x.dims(), wanted));
  return gather_strided(x, dims, broadcast_strides(x.dims(), dims), dims);
}

// Each dimension d becomes [repeats, d], where the repeats have stride 0.
OpResult tile_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(const std::vector<int64_t> repeats, int_list_input(args, 1));
  if (repeats.size() != x.dims().size())
    return invalid_argument("repeats " + dims_to_string(repeats) + " does not have one number for each axis of " +
                            dims_to_string(x.dims()));
  const Dims strides = row_major_strides(x.dims());
  Dims dims, walk, out_dims(repeats.size());
  for (size_t d = 0; d < repeats.size(); ++d) {
    if (repeats[d] < 0 || __builtin_mul_overflow(repeats[d], x.dims()[d], &out_dims[d]))
      return invalid_argument("repeats " + dims_to_string(repeats) + " gives an impossible shape");
    dims.insert(dims.end(), {repeats[d], x.dims()[d]});
    walk.insert(walk.end(), {0, strides[d]});
  }
  return gather_strided(x, dims, walk, out_dims);
}

// The block size and a check that x is [n, c, h, w].
Result<int64_t> block_size(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const int64_t block = args.node.attr_int("blocksize", 0);
  if (args.in(0).rank() != 4)
    return invalid_argument("the input must be [n, c, h, w] but is " + dims_to_string(args.in(0).dims()));
  constexpr int64_t kMost = int64_t{1} << 30;  // its square still fits
  if (block < 1 || block > kMost) return invalid_argument("blocksize " + std::to_string(block) + " is not possible");
  return block;
}

OpResult depth_to_space_op(const OpArgs& args) {
  OCTET_ASSIGN(const int64_t b, block_size(args));
  const Tensor& x = args.in(0);
  const std::string mode = args.node.attr_string("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") return unsupported("mode '" + mode + "' is not known; use 'DCR' or 'CRD'");
  const int64_t n = x.dim(0), c = x.dim(1), h = x.dim(2), w = x.dim(3);
  Dims out_dims = {n, c / (b * b), h, w};
  if (c % (b * b) != 0 || __builtin_mul_overflow(h, b, &out_dims[2]) || __builtin_mul_overflow(w, b, &out_dims[3]))
    return invalid_argument("shape " + dims_to_string(x.dims()) + " cannot be split into blocks of " +
                            std::to_string(b));
  const int64_t rest = c / (b * b);
  if (mode == "DCR") return permute(x, {n, b, b, rest, h, w}, {0, 3, 4, 1, 5, 2}, out_dims);
  return permute(x, {n, rest, b, b, h, w}, {0, 1, 4, 2, 5, 3}, out_dims);
}

OpResult space_to_depth_op(const OpArgs& args) {
  OCTET_ASSIGN(const int64_t b, block_size(args));
  const Tensor& x = args.in(0);
  const int64_t n = x.dim(0), c = x.dim(1), h = x.dim(2), w = x.dim(3);
  int64_t depth = 0;
  if (h % b != 0 || w % b != 0 || __builtin_mul_overflow(c, b * b, &depth))
    return invalid_argument("shape " + dims_to_string(x.dims()) + " cannot be split into blocks of " +
                            std::to_string(b));
  return permute(x, {n, c, h / b, b, w / b, b}, {0, 3, 5, 1, 2, 4}, {n, depth, h / b, w / b});
}

constexpr RefOpEntry kOps[] = {
    {"Concat", concat_op}, {"DepthToSpace", depth_to_space_op},
    {"Expand", expand_op}, {"SpaceToDepth", space_to_depth_op},
    {"Tile", tile_op},     {"Transpose", transpose_op},
};

}  // namespace

std::span<const RefOpEntry> data_movement_ops() { return kOps; }

}  // namespace octet
