// Max, Min, Sum and Mean of any number of operands, and Clip.
#include <algorithm>
#include <limits>

#include "kernels/ref/elementwise.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

// A NaN on either side wins, as in NumPy's maximum and minimum.
template <class T>
T larger(T a, T b) {
  return a > b || a != a ? a : b;
}
template <class T>
T smaller(T a, T b) {
  return a < b || a != a ? a : b;
}

template <class F>
OpResult fold(const OpArgs& args, F f) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, std::max<size_t>(1, args.inputs.size())));
  OCTET_RETURN_IF_ERROR(need_same_dtype(args));
  return dispatch_numeric(args.in(0).dtype(), [&]<class T>() -> OpResult {
    Tensor total = args.in(0);
    for (size_t i = 1; i < args.inputs.size(); ++i) {
      OCTET_ASSIGN(total, (map_binary<T, T>(total, args.in(i), f)));
    }
    return std::vector<Tensor>{total};
  });
}

OpResult max_op(const OpArgs& args) {
  return fold(args, [](auto a, auto b) { return larger(a, b); });
}
OpResult min_op(const OpArgs& args) {
  return fold(args, [](auto a, auto b) { return smaller(a, b); });
}
OpResult sum_op(const OpArgs& args) {
  return fold(args, [](auto a, auto b) { return wrap_add(a, b); });
}

OpResult mean_op(const OpArgs& args) {
  OCTET_ASSIGN(std::vector<Tensor> total, sum_op(args));
  const size_t n = args.inputs.size();
  return map_floating(OpArgs{args.node, args.opset, {&total[0]}},
                      [=](auto x) { return x / static_cast<decltype(x)>(n); });
}

// Limits are inputs since opset 11 and attributes before. Where min > max every element becomes max.
template <class T>
OpResult clip(const OpArgs& args) {
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
  if constexpr (std::is_floating_point_v<T>) {
    low = static_cast<T>(args.node.attr_float("min", -std::numeric_limits<float>::infinity()));
    high = static_cast<T>(args.node.attr_float("max", std::numeric_limits<float>::infinity()));
  }
  for (size_t i : {size_t{1}, size_t{2}}) {
    if (!args.has(i)) continue;
    if (args.in(i).numel() != 1)
      return invalid_argument("the limits of Clip must be single numbers, not of shape " +
                              dims_to_string(args.in(i).dims()));
    (i == 1 ? low : high) = args.in(i).data<T>()[0];
  }
  return one(map_unary<T, T>(args.in(0), [=](T x) {
    const T above = x < low ? low : x;
    return above > high ? high : above;
  }));
}

OpResult clip_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  OCTET_RETURN_IF_ERROR(need_same_dtype(args));
  return dispatch_numeric(args.in(0).dtype(), [&]<class T>() { return clip<T>(args); });
}

constexpr RefOpEntry kOps[] = {
    {"Clip", any_width<clip_op>}, {"Max", any_width<max_op>}, {"Mean", any_width<mean_op>},
    {"Min", any_width<min_op>},   {"Sum", any_width<sum_op>},
};

}  // namespace

std::span<const RefOpEntry> elementwise_variadic_ops() { return kOps; }

}  // namespace octet
