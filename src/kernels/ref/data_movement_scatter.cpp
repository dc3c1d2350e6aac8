// ONNX ScatterElements and ScatterND with their reductions.
#include <algorithm>

#include "kernels/ref/elementwise.h"
#include "kernels/ref/indexing.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

enum class Reduction { kNone, kAdd, kMul, kMax, kMin };

Result<Reduction> reduction_of(const Node& node) {
  const std::string name = node.attr_string("reduction", "none");
  if (name == "none") return Reduction::kNone;
  if (name == "add") return Reduction::kAdd;
  if (name == "mul") return Reduction::kMul;
  if (name == "max") return Reduction::kMax;
  if (name == "min") return Reduction::kMin;
  return unsupported("reduction '" + name + "' is not known; use 'none', 'add', 'mul', 'max' or 'min'");
}

template <class T>
void combine(T& old, T update, Reduction reduction) {
  switch (reduction) {
    case Reduction::kNone: old = update; break;
    case Reduction::kAdd: old = wrap_add(old, update); break;
    case Reduction::kMul: old = wrap_mul(old, update); break;
    case Reduction::kMax: old = std::max(old, update); break;
    case Reduction::kMin: old = std::min(old, update); break;
  }
}

// out = data; out[positions[i] * block + j] takes updates[i * block + j], in order.
OpResult scatter(const Tensor& data, const Tensor& updates, const std::vector<int64_t>& positions, int64_t block,
                 Reduction reduction) {
  OCTET_ASSIGN(Tensor out, Tensor::create(data.dtype(), data.dims()));
  std::copy_n(data.data<char>(), data.nbytes(), out.data<char>());
  const auto apply = [&]<class T>() -> OpResult {
    for (size_t i = 0; i < positions.size(); ++i)
      for (int64_t j = 0; j < block; ++j)
        combine(out.data<T>()[positions[i] * block + j], updates.data<T>()[static_cast<int64_t>(i) * block + j],
                reduction);
    return std::vector<Tensor>{out};
  };
  return reduction == Reduction::kNone ? dispatch_size(data.dtype(), apply) : dispatch_numeric(data.dtype(), apply);
}

Status need_types(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 3));
  if (args.in(0).dtype() != args.in(2).dtype())
    return invalid_argument(std::string("data is ") + dtype_name(args.in(0).dtype()) + " but updates are " +
                            dtype_name(args.in(2).dtype()));
  return Status::ok();
}

OpResult scatter_elements_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_types(args));
  const Tensor& data = args.in(0);
  const Tensor& where = args.in(1);
  if (where.dims() != args.in(2).dims())
    return invalid_argument("indices of shape " + dims_to_string(where.dims()) +
                            " need updates of the same shape, not " + dims_to_string(args.in(2).dims()));
  OCTET_ASSIGN(const Reduction reduction, reduction_of(args.node));
  OCTET_ASSIGN(const int64_t axis, normalize_axis(args.node.attr_int("axis", 0), data.rank()));
  OCTET_ASSIGN(const std::vector<int64_t> positions, element_positions(data.dims(), where, axis));
  return scatter(data, args.in(2), positions, 1, reduction);
}

OpResult scatter_nd_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_types(args));
  const Tensor& data = args.in(0);
  const Tensor& where = args.in(1);
  OCTET_ASSIGN(const Reduction reduction, reduction_of(args.node));
  const int64_t row = where.rank() < 1 ? 0 : where.dim(-1);
  if (row < 1 || row > data.rank())
    return invalid_argument("indices of shape " + dims_to_string(where.dims()) + " do not fit data of shape " +
                            dims_to_string(data.dims()));
  Dims expected(where.dims().begin(), where.dims().end() - 1);
  expected.insert(expected.end(), data.dims().begin() + row, data.dims().end());
  if (args.in(2).dims() != expected)
    return invalid_argument("updates must have shape " + dims_to_string(expected) + " but have " +
                            dims_to_string(args.in(2).dims()));
  if (args.in(2).numel() == 0) return std::vector<Tensor>{data};
  OCTET_ASSIGN(const std::vector<int64_t> blocks, block_positions(data.dims(), where, 0));
  return scatter(data, args.in(2), blocks, args.in(2).numel() / static_cast<int64_t>(blocks.size()), reduction);
}

// Without a reduction 16-bit floats are copied as they are.
template <RefOp op>
OpResult reduce_widened(const OpArgs& args) {
  const bool copies = args.node.attr_string("reduction", "none") == "none";
  return copies ? op(args) : widen_half(args, op);
}

constexpr RefOpEntry kOps[] = {{"ScatterElements", reduce_widened<scatter_elements_op>},
                               {"ScatterND", reduce_widened<scatter_nd_op>}};

}  // namespace

std::span<const RefOpEntry> data_movement_scatter_ops() { return kOps; }

}  // namespace octet
