// ONNX Gather, GatherElements and GatherND.
#include <cstring>

#include "kernels/ref/indexing.h"
#include "kernels/ref/op_lists.h"
#include "kernels/ref/support.h"

namespace octet {
namespace {

// out[outer..., indices..., inner...] = data[outer..., indices[...], inner...]
OpResult gather_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const Tensor& data = args.in(0);
  const Tensor& where = args.in(1);
  OCTET_ASSIGN(const int64_t signed_axis, normalize_axis(args.node.attr_int("axis", 0), data.rank()));
  const auto axis = static_cast<size_t>(signed_axis);
  Dims dims(data.dims().begin(), data.dims().begin() + signed_axis);
  dims.insert(dims.end(), where.dims().begin(), where.dims().end());
  dims.insert(dims.end(), data.dims().begin() + signed_axis + 1, data.dims().end());
  OCTET_ASSIGN(Tensor out, Tensor::create(data.dtype(), dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  OCTET_ASSIGN(const std::vector<int64_t> indices, checked_indices(where, data.dims()[axis]));
  const int64_t outer = product(data.dims(), 0, axis);
  const int64_t inner =
      product(data.dims(), axis + 1, data.dims().size()) * static_cast<int64_t>(dtype_size(data.dtype()));
  char* dst = out.data<char>();
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i : indices) {
      const char* src = data.data<char>() + (o * data.dims()[axis] + i) * inner;
      std::memcpy(dst, src, static_cast<size_t>(inner));
      dst += inner;
    }
  return std::vector<Tensor>{out};
}

OpResult gather_elements_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const Tensor& data = args.in(0);
  const Tensor& where = args.in(1);
  OCTET_ASSIGN(const int64_t axis, normalize_axis(args.node.attr_int("axis", 0), data.rank()));
  OCTET_ASSIGN(const std::vector<int64_t> sources, element_positions(data.dims(), where, axis));
  OCTET_ASSIGN(Tensor out, Tensor::create(data.dtype(), where.dims()));
  return dispatch_size(data.dtype(), [&]<class T>() -> OpResult {
    for (size_t i = 0; i < sources.size(); ++i) out.data<T>()[i] = data.data<T>()[sources[i]];
    return std::vector<Tensor>{out};
  });
}

// Each row of indices, of length k, names a block data[batch..., row..., :]; the first batch_dims are shared.
OpResult gather_nd_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const Tensor& data = args.in(0);
  const Tensor& where = args.in(1);
  const int64_t batch = args.node.attr_int("batch_dims", 0);
  if (where.rank() < 1 || batch < 0 || batch >= where.rank() || batch >= data.rank())
    return invalid_argument("batch_dims " + std::to_string(batch) + " does not fit data of " +
                            dims_to_string(data.dims()) + " and indices of " + dims_to_string(where.dims()));
  for (int d = 0; d < batch; ++d)
    if (data.dim(d) != where.dim(d))
      return invalid_argument("the batch dimensions of data " + dims_to_string(data.dims()) + " and indices " +
                              dims_to_string(where.dims()) + " differ");
  const int64_t row = where.dim(-1);
  if (row < 1 || row > data.rank() - batch)
    return invalid_argument("rows of " + std::to_string(row) + " indices do not fit data of " +
                            dims_to_string(data.dims()));
  Dims dims(where.dims().begin(), where.dims().end() - 1);
  dims.insert(dims.end(), data.dims().begin() + batch + row, data.dims().end());
  OCTET_ASSIGN(Tensor out, Tensor::create(data.dtype(), dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  OCTET_ASSIGN(const std::vector<int64_t> blocks, block_positions(data.dims(), where, batch));
  const int64_t bytes = out.nbytes() / static_cast<int64_t>(blocks.size());
  for (size_t i = 0; i < blocks.size(); ++i)
    std::memcpy(out.data<char>() + static_cast<int64_t>(i) * bytes, data.data<char>() + blocks[i] * bytes,
                static_cast<size_t>(bytes));
  return std::vector<Tensor>{out};
}

constexpr RefOpEntry kOps[] = {
    {"Gather", gather_op}, {"GatherElements", gather_elements_op}, {"GatherND", gather_nd_op}};

}  // namespace

std::span<const RefOpEntry> data_movement_gather_ops() { return kOps; }

}  // namespace octet
