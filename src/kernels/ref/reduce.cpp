// ONNX ReduceSum, ReduceMean, ReduceMax, ... over any set of axes.
#include <cmath>
#include <limits>

#include "kernels/ref/elementwise.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

// Which dimensions are summed over and where each output element starts.
struct Plan {
  bool identity = false;  // no axes and noop_with_empty_axes
  Dims out_dims;          // as the node returns it
  Dims kept, kept_strides;
  Dims reduced, reduced_strides;
};

// `axes` is an input for ReduceSum since opset 13 and for the others since 18; an attribute before.
Result<Plan> make_plan(const OpArgs& args) {
  const Dims& dims = args.in(0).dims();
  bool found = false;
  OCTET_ASSIGN(std::vector<int64_t> axes, int_list_of(args, 1, "axes", found));
  OCTET_ASSIGN(axes, normalize_axes(axes, args.in(0).rank()));
  Plan plan;
  plan.identity = axes.empty() && args.node.attr_int("noop_with_empty_axes", 0) != 0;
  std::vector<bool> is_reduced(dims.size(), axes.empty());
  for (int64_t axis : axes) is_reduced[static_cast<size_t>(axis)] = true;
  const bool keep = args.node.attr_int("keepdims", 1) != 0;
  const Dims strides = row_major_strides(dims);
  for (size_t d = 0; d < dims.size(); ++d) {
    if (!is_reduced[d]) plan.out_dims.push_back(dims[d]);
    else if (keep) plan.out_dims.push_back(1);
    (is_reduced[d] ? plan.reduced : plan.kept).push_back(dims[d]);
    (is_reduced[d] ? plan.reduced_strides : plan.kept_strides).push_back(strides[d]);
  }
  return plan;
}

// Accumulators hold every partial result of their input type: double for floats, 64 bits for integers.
template <class T>
using Wide = std::conditional_t<std::is_floating_point_v<T>, double,
                                std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

// The operators. run(each, n): each(f) calls f for all n elements of one group, as often as it is called.
struct SumOf {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    Wide<T> total = 0;
    each([&](T x) { total = wrap_add(total, static_cast<Wide<T>>(x)); });
    return static_cast<T>(total);
  }
};

struct MeanOf {
  template <class T, class Each>
  static T run(Each&& each, int64_t n) {
    Wide<T> total = 0;
    each([&](T x) { total = wrap_add(total, static_cast<Wide<T>>(x)); });
    if constexpr (std::is_integral_v<T>) return n == 0 ? T{0} : static_cast<T>(total / static_cast<Wide<T>>(n));
    else return static_cast<T>(total / static_cast<double>(n));
  }
};

struct ProductOf {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    Wide<T> total = 1;
    each([&](T x) { total = wrap_mul(total, static_cast<Wide<T>>(x)); });
    return static_cast<T>(total);
  }
};

struct SumOfSquares {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    Wide<T> total = 0;
    each([&](T x) { total = wrap_add(total, wrap_mul(static_cast<Wide<T>>(x), static_cast<Wide<T>>(x))); });
    return static_cast<T>(total);
  }
};

struct L1Of {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    Wide<T> total = 0;
    each([&](T x) {
      const auto wide = static_cast<Wide<T>>(x);
      total = x < T{0} ? wrap_sub(total, wide) : wrap_add(total, wide);
    });
    return static_cast<T>(total);
  }
};

// The norms and logarithms of integers are computed in double and cut off, as ONNX's type constraint asks.
struct L2Of {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    double total = 0;
    each([&](T x) { total += static_cast<double>(x) * static_cast<double>(x); });
    return static_cast<T>(std::sqrt(total));
  }
};

// The C++ standard leaves an out-of-range conversion open; ONNX says nothing: integers get their lowest value.
template <class T>
T from_double(double x) {
  if constexpr (std::is_integral_v<T>) {
    if (!(x > static_cast<double>(std::numeric_limits<T>::lowest()) - 1)) return std::numeric_limits<T>::lowest();
  }
  return static_cast<T>(x);
}

struct LogSumOf {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    double total = 0;
    each([&](T x) { total += static_cast<double>(x); });
    return from_double<T>(std::log(total));
  }
};

// log(sum(exp(x))), with the largest element taken out so that exp does not overflow.
struct LogSumExpOf {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    double largest = -std::numeric_limits<double>::infinity();
    each([&](T x) { largest = std::fmax(largest, static_cast<double>(x)); });
    if (std::isinf(largest)) return from_double<T>(largest);
    double total = 0;
    each([&](T x) { total += std::exp(static_cast<double>(x) - largest); });
    return from_double<T>(largest + std::log(total));
  }
};

// Over nothing: the lowest number there is (minus infinity for floats). A NaN wins, as in NumPy.
struct MaxOf {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    using Limits = std::numeric_limits<T>;
    T best = Limits::has_infinity ? static_cast<T>(-Limits::infinity()) : Limits::lowest();
    each([&](T x) { best = x > best || x != x ? x : best; });
    return best;
  }
};

struct MinOf {
  template <class T, class Each>
  static T run(Each&& each, int64_t) {
    using Limits = std::numeric_limits<T>;
    T best = Limits::has_infinity ? Limits::infinity() : Limits::max();
    each([&](T x) { best = x < best || x != x ? x : best; });
    return best;
  }
};

template <class T, class Op>
OpResult reduce_as(const Tensor& x, const Plan& plan) {
  OCTET_ASSIGN(Tensor out, Tensor::create(x.dtype(), plan.out_dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  OCTET_ASSIGN(const int64_t group, checked_numel(plan.reduced));
  const StridedLoop kept = make_loop(plan.kept, {plan.kept_strides});
  const StridedLoop inner = make_loop(plan.reduced, {plan.reduced_strides});
  const int64_t width = inner.dims.back();
  const int64_t step = inner.strides[0].back();
  for_each_row(kept, [&](int64_t done, const int64_t* offsets) {
    for (int64_t i = 0; i < kept.dims.back(); ++i) {
      const T* start = x.data<T>() + offsets[0] + i * kept.strides[0].back();
      const auto each = [&](auto&& visit) {
        for_each_row(inner, [&](int64_t, const int64_t* from) {
          for (int64_t j = 0; j < width; ++j) visit(start[from[0] + j * step]);
        });
      };
      out.data<T>()[done + i] = Op::template run<T>(each, group);
    }
  });
  return std::vector<Tensor>{out};
}

// Since opset 20 ReduceMax and ReduceMin of bools mean "any" and "all".
template <class Op>
OpResult reduce_bools(const Tensor& x, const Plan& plan) {
  OCTET_ASSIGN(std::vector<Tensor> outputs, (reduce_as<uint8_t, Op>(x, plan)));
  uint8_t* values = outputs[0].data<uint8_t>();
  for (int64_t i = 0; i < outputs[0].numel(); ++i) values[i] = values[i] != 0 ? 1 : 0;
  return outputs;
}

template <class Op>
OpResult reduce(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  OCTET_ASSIGN(const Plan plan, make_plan(args));
  const Tensor& x = args.in(0);
  if (plan.identity) return std::vector<Tensor>{x};
  if constexpr (std::is_same_v<Op, MaxOf> || std::is_same_v<Op, MinOf>) {
    if (x.dtype() == DType::kBool) return reduce_bools<Op>(x, plan);
  }
  return dispatch_numeric(x.dtype(), [&]<class T>() { return reduce_as<T, Op>(x, plan); });
}

template <class Op>
OpResult reduce_op(const OpArgs& args) {
  return widen_half(args, reduce<Op>);
}

constexpr RefOpEntry kOps[] = {
    {"ReduceL1", reduce_op<L1Of>},         {"ReduceL2", reduce_op<L2Of>},
    {"ReduceLogSum", reduce_op<LogSumOf>}, {"ReduceLogSumExp", reduce_op<LogSumExpOf>},
    {"ReduceMax", reduce_op<MaxOf>},       {"ReduceMean", reduce_op<MeanOf>},
    {"ReduceMin", reduce_op<MinOf>},       {"ReduceProd", reduce_op<ProductOf>},
    {"ReduceSum", reduce_op<SumOf>},       {"ReduceSumSquare", reduce_op<SumOfSquares>},
};

}  // namespace

std::span<const RefOpEntry> reduce_ops() { return kOps; }

}  // namespace octet
