// Reductions and running sums.
#include <algorithm>

#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;

// `axes` is an input for ReduceSum since opset 13 and for the others since 18; an attribute before.
template <class F>
Tensors reduce(const Call& c, F f) {
  at::Tensor x = c.in(0);
  std::vector<int64_t> axes = c.ints(1, "axes");
  for (int64_t& axis : axes) axis = wrap_axis(axis, x.dim());
  const bool scalar = x.dim() == 0;
  if (scalar) x = x.reshape({1});
  if (axes.empty()) {
    if (c.node.attr_int("noop_with_empty_axes", 0) != 0) return {c.in(0)};
    for (int64_t d = 0; d < x.dim(); ++d) axes.push_back(d);
  }
  std::sort(axes.begin(), axes.end());
  at::Tensor y = f(x, axes, c.node.attr_int("keepdims", 1) != 0);
  return {scalar ? y.reshape({}) : y};
}

at::Tensor product(at::Tensor x, const std::vector<int64_t>& axes, bool keep) {
  for (int64_t axis : axes) x = at::prod(x, axis, true);
  return keep ? x : at::amax(x, axes, false);  // sizes are 1 there: only drops the axes
}

#define OCTET_REDUCE(name, expression)                                                                             \
  Tensors name(const Call& c) {                                                                                    \
    return reduce(c, [](const at::Tensor& x, const std::vector<int64_t>& axes, bool keep) { return expression; }); \
  }
OCTET_REDUCE(l1, at::sum(at::abs(x), axes, keep))
OCTET_REDUCE(l2, at::linalg_vector_norm(x, 2, axes, keep))
OCTET_REDUCE(log_sum, at::log(at::sum(x, axes, keep)))
OCTET_REDUCE(log_sum_exp, at::logsumexp(x, axes, keep))
OCTET_REDUCE(maximum, at::amax(x, axes, keep))
OCTET_REDUCE(mean, at::mean(x, axes, keep))
OCTET_REDUCE(minimum, at::amin(x, axes, keep))
OCTET_REDUCE(prod, product(x, axes, keep))
OCTET_REDUCE(sum, at::sum(x, axes, keep))
OCTET_REDUCE(sum_square, at::sum(x* x, axes, keep))
#undef OCTET_REDUCE

Tensors cum_sum(const Call& c) {
  const bool reverse = c.node.attr_int("reverse", 0) != 0;
  const std::vector<int64_t> axes = c.ints(1);
  if (axes.size() != 1) fail(invalid_argument("CumSum needs one axis"));
  const int64_t axis = wrap_axis(axes[0], c.in(0).dim());
  at::Tensor x = reverse ? at::flip(c.in(0), {axis}) : c.in(0);
  at::Tensor y = at::cumsum(x, axis);
  if (c.node.attr_int("exclusive", 0) != 0 && x.size(axis) > 0)
    y = at::cat({at::zeros_like(x.narrow(axis, 0, 1)), y.narrow(axis, 0, x.size(axis) - 1)}, axis);
  return {reverse ? at::flip(y, {axis}) : y};
}

constexpr TorchOpEntry kOps[] = {
    {"CumSum", cum_sum},
    {"ReduceL1", l1},
    {"ReduceL2", l2},
    {"ReduceLogSum", log_sum},
    {"ReduceLogSumExp", log_sum_exp},
    {"ReduceMax", maximum},
    {"ReduceMean", mean},
    {"ReduceMin", minimum},
    {"ReduceProd", prod},
    {"ReduceSum", sum},
    {"ReduceSumSquare", sum_square},
};

}  // namespace

std::span<const TorchOpEntry> reduce_ops() { return kOps; }

}  // namespace octet::training
