// Softmax, LogSoftmax, Hardmax.
#include <algorithm>
#include <cmath>

#include "kernels/ref/nn_common.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace nn {
namespace {

// One line of `length` elements, `step` apart.
struct Line {
  double* data;
  int64_t length;
  int64_t step;
  double& operator[](int64_t i) const { return data[i * step]; }
};

int64_t first_largest(const Line& x) {
  int64_t best = 0;
  for (int64_t i = 1; i < x.length; ++i)
    if (x[i] > x[best]) best = i;
  return best;
}

// Subtracts the largest element, so that exp cannot overflow, and returns the sum of the exponentials.
double shift_and_sum(const Line& x) {
  const double largest = x[first_largest(x)];
  double sum = 0;
  for (int64_t i = 0; i < x.length; ++i) {
    x[i] -= largest;
    sum += std::exp(x[i]);
  }
  return sum;
}

void softmax_line(const Line& x) {
  const double sum = shift_and_sum(x);
  for (int64_t i = 0; i < x.length; ++i) x[i] = std::exp(x[i]) / sum;
}

void log_softmax_line(const Line& x) {
  const double log_sum = std::log(shift_and_sum(x));
  for (int64_t i = 0; i < x.length; ++i) x[i] -= log_sum;
}

void hardmax_line(const Line& x) {
  const int64_t best = first_largest(x);
  for (int64_t i = 0; i < x.length; ++i) x[i] = i == best ? 1 : 0;
}

// Before opset 13 the input is flattened to a matrix at `axis` (default 1) and each row is one line; since then the
// lines run along `axis` (default -1).
template <void (*F)(const Line&)>
OpResult along_axis(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_real(args, 0));
  const Tensor& x = args.in(0);
  const bool flatten = args.opset < 13;
  OCTET_ASSIGN(const int64_t axis, normalize_axis(args.node.attr_int("axis", flatten ? 1 : -1), x.rank()));
  OCTET_ASSIGN(Tensor y, to_float64(x));
  if (y.numel() > 0) {
    const auto first = static_cast<size_t>(axis);
    const int64_t length = flatten ? product(x.dims(), first, x.dims().size()) : x.dim(static_cast<int>(axis));
    const int64_t step = flatten ? 1 : product(x.dims(), first + 1, x.dims().size());
    for (int64_t line = 0; line < y.numel() / length; ++line)
      F({y.data<double>() + line / step * length * step + line % step, length, step});
  }
  return single(y, x.dtype());
}

constexpr RefOpEntry kOps[] = {{"Hardmax", along_axis<hardmax_line>},
                               {"LogSoftmax", along_axis<log_softmax_line>},
                               {"Softmax", along_axis<softmax_line>}};

}  // namespace
}  // namespace nn

std::span<const RefOpEntry> nn_softmax_ops() { return nn::kOps; }

}  // namespace octet
