// ONNX ArgMax, ArgMin and CumSum: walks along one axis.
#include "kernels/ref/elementwise.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

// A tensor seen as [outer, length, inner] around one axis. Requires elements.
struct AxisView {
  int64_t outer, length, inner;
};

AxisView around(const Dims& dims, int64_t axis) {
  const auto a = static_cast<size_t>(axis);
  return {product(dims, 0, a), dims[a], product(dims, a + 1, dims.size())};
}

// The first NaN counts as the extreme, as in NumPy.
template <class T, bool want_max>
int64_t extreme_index(const T* x, int64_t length, int64_t stride, bool last) {
  int64_t best = 0;
  for (int64_t i = 1; i < length; ++i) {
    const T value = x[i * stride];
    const T champion = x[best * stride];
    if (champion != champion) break;
    const bool better = want_max ? value > champion : value < champion;
    if (better || value != value || (last && value == champion)) best = i;
  }
  return best;
}

template <bool want_max>
OpResult arg_extreme(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(const int64_t axis, normalize_axis(args.node.attr_int("axis", 0), x.rank()));
  Dims dims = x.dims();
  if (args.node.attr_int("keepdims", 1) != 0) dims[static_cast<size_t>(axis)] = 1;
  else dims.erase(dims.begin() + axis);
  OCTET_ASSIGN(Tensor out, Tensor::create(DType::kInt64, dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  if (x.numel() == 0) return invalid_argument("axis " + std::to_string(axis) + " has no elements to choose from");
  const bool last = args.node.attr_int("select_last_index", 0) != 0;
  return dispatch_numeric(x.dtype(), [&]<class T>() -> OpResult {
    const AxisView view = around(x.dims(), axis);
    for (int64_t o = 0; o < view.outer; ++o)
      for (int64_t i = 0; i < view.inner; ++i)
        out.data<int64_t>()[o * view.inner + i] =
            extreme_index<T, want_max>(x.data<T>() + o * view.length * view.inner + i, view.length, view.inner, last);
    return std::vector<Tensor>{out};
  });
}

// Sums along one line of `length` elements, each `stride` apart; from the end when `reverse`.
template <class T>
void cumulate(const T* x, T* y, int64_t length, int64_t stride, bool exclusive, bool reverse) {
  T total = 0;
  for (int64_t i = 0; i < length; ++i) {
    const int64_t at = (reverse ? length - 1 - i : i) * stride;
    const T after = wrap_add(total, x[at]);
    y[at] = exclusive ? total : after;
    total = after;
  }
}

OpResult cum_sum(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(int64_t axis, int_scalar_input(args, 1));
  OCTET_ASSIGN(axis, normalize_axis(axis, x.rank()));
  const bool exclusive = args.node.attr_int("exclusive", 0) != 0;
  const bool reverse = args.node.attr_int("reverse", 0) != 0;
  OCTET_ASSIGN(Tensor out, Tensor::create(x.dtype(), x.dims()));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  return dispatch_numeric(x.dtype(), [&]<class T>() -> OpResult {
    const AxisView view = around(x.dims(), axis);
    for (int64_t o = 0; o < view.outer; ++o)
      for (int64_t i = 0; i < view.inner; ++i) {
        const int64_t at = o * view.length * view.inner + i;
        cumulate(x.data<T>() + at, out.data<T>() + at, view.length, view.inner, exclusive, reverse);
      }
    return std::vector<Tensor>{out};
  });
}

constexpr RefOpEntry kOps[] = {
    {"ArgMax", any_width<arg_extreme<true>>},
    {"ArgMin", any_width<arg_extreme<false>>},
    {"CumSum", any_width<cum_sum>},
};

}  // namespace

std::span<const RefOpEntry> reduce_arg_ops() { return kOps; }

}  // namespace octet
