// Operators that keep the elements and change or report the shape.
#include <algorithm>

#include "kernels/ref/op_lists.h"
#include "kernels/ref/support.h"

namespace octet {
namespace {

OpResult identity_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  return std::vector<Tensor>{args.in(0)};
}

// View of the same buffer; kInvalidArgument unless the element counts agree.
OpResult reshape_to(const Tensor& x, const Dims& dims) {
  OCTET_ASSIGN(const int64_t n, checked_numel(dims));
  if (n != x.numel())
    return invalid_argument("shape " + dims_to_string(x.dims()) + " cannot become " + dims_to_string(dims) +
                            ": the element counts differ");
  return std::vector<Tensor>{x.reshaped(dims)};
}

// 0 copies the input's dimension (unless allowzero), one -1 takes what is left.
OpResult reshape_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(Dims dims, int_list_input(args, 1));
  const bool allow_zero = args.node.attr_int("allowzero", 0) != 0;
  const std::string wanted = dims_to_string(dims);
  int64_t unknown = -1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && !allow_zero) {
      if (i >= x.dims().size())
        return invalid_argument("shape " + wanted + " copies dimension " + std::to_string(i) + " of " +
                                dims_to_string(x.dims()) + ", which has no such dimension");
      dims[i] = x.dims()[i];
    } else if (dims[i] == -1) {
      if (unknown >= 0) return invalid_argument("shape " + wanted + " has more than one -1");
      unknown = static_cast<int64_t>(i);
    }
  }
  if (unknown >= 0) {
    int64_t& hole = dims[static_cast<size_t>(unknown)];
    hole = 1;
    OCTET_ASSIGN(const int64_t rest, checked_numel(dims));
    if (rest == 0 || x.numel() % rest != 0)
      return invalid_argument("shape " + dims_to_string(x.dims()) + " cannot become " + wanted +
                              ": no size for the -1 fits");
    hole = x.numel() / rest;
  }
  return reshape_to(x, dims);
}

OpResult flatten_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  int64_t axis = args.node.attr_int("axis", 1);
  if (axis != x.rank()) {  // [0, rank] counts: everything may go to the first dimension
    OCTET_ASSIGN(axis, normalize_axis(axis, x.rank()));
  }
  const auto middle = x.dims().begin() + axis;
  OCTET_ASSIGN(const int64_t rows, checked_numel(Dims(x.dims().begin(), middle)));
  OCTET_ASSIGN(const int64_t columns, checked_numel(Dims(middle, x.dims().end())));
  return reshape_to(x, {rows, columns});
}

OpResult squeeze_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  bool found = false;
  OCTET_ASSIGN(std::vector<int64_t> axes, int_list_of(args, 1, "axes", found));
  OCTET_ASSIGN(axes, normalize_axes(axes, x.rank()));
  Dims dims;
  for (int d = 0; d < x.rank(); ++d) {
    const bool named = std::binary_search(axes.begin(), axes.end(), d);
    if (named && x.dim(d) != 1)
      return invalid_argument("axis " + std::to_string(d) + " of shape " + dims_to_string(x.dims()) +
                              " cannot be squeezed: its size is not 1");
    if (!(found ? named : x.dim(d) == 1)) dims.push_back(x.dim(d));
  }
  return reshape_to(x, dims);
}

OpResult unsqueeze_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  bool found = false;
  OCTET_ASSIGN(std::vector<int64_t> axes, int_list_of(args, 1, "axes", found));
  if (!found) return invalid_argument("the axes are missing");
  const int64_t rank = x.rank() + static_cast<int64_t>(axes.size());
  OCTET_ASSIGN(axes, normalize_axes(axes, rank));
  Dims dims;
  auto next = x.dims().begin();
  for (int64_t d = 0; d < rank; ++d) dims.push_back(std::binary_search(axes.begin(), axes.end(), d) ? 1 : *next++);
  return reshape_to(x, dims);
}

// start and end (since opset 15) may be negative and are clamped to [0, rank].
OpResult shape_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Dims& dims = args.in(0).dims();
  const auto rank = static_cast<int64_t>(dims.size());
  const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < -rank ? 0 : i < 0 ? i + rank : i, 0, rank); };
  const int64_t start = clamp(args.node.attr_int("start", 0));
  const int64_t end = std::max(start, clamp(args.node.attr_int("end", rank)));
  const std::vector<int64_t> part(dims.begin() + start, dims.begin() + end);
  return std::vector<Tensor>{Tensor::from<int64_t>({end - start}, part)};
}

OpResult size_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  return std::vector<Tensor>{Tensor::scalar<int64_t>(args.in(0).numel())};
}

// At inference the data passes through and the mask keeps every element.
OpResult dropout_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  const bool training = args.has(2) && args.in(2).numel() == 1 && dtype_size(args.in(2).dtype()) == 1 &&
                        args.in(2).data<uint8_t>()[0] != 0;
  if (training) return unsupported("Dropout in training mode is random and is not run");
  std::vector<Tensor> outputs = {x};
  if (args.node.outputs.size() > 1) {
    OCTET_ASSIGN(Tensor mask, Tensor::create(DType::kBool, x.dims()));
    std::fill_n(mask.data<bool>(), mask.numel(), true);
    outputs.push_back(mask);
  }
  return outputs;
}

constexpr RefOpEntry kOps[] = {
    {"Dropout", dropout_op}, {"Flatten", flatten_op}, {"Identity", identity_op}, {"Reshape", reshape_op},
    {"Shape", shape_op},     {"Size", size_op},       {"Squeeze", squeeze_op},   {"Unsqueeze", unsqueeze_op},
};

}  // namespace

std::span<const RefOpEntry> shape_ops() { return kOps; }

}  // namespace octet
