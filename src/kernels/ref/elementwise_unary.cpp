// Functions of one number, from the ONNX operators of the same names.
#include <cmath>
#include <limits>

#include "kernels/ref/elementwise.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

OpResult abs_op(const OpArgs& args) {
  return map_numeric(args, [](auto x) {
    using T = decltype(x);
    if constexpr (std::is_floating_point_v<T>) return std::fabs(x);
    else return x < T{0} ? wrap_sub(T{0}, x) : x;
  });
}

OpResult neg_op(const OpArgs& args) {
  return map_numeric(args, [](auto x) {
    using T = decltype(x);
    if constexpr (std::is_floating_point_v<T>) return -x;
    else return wrap_sub(T{0}, x);
  });
}

OpResult sign_op(const OpArgs& args) {
  return map_numeric(args, [](auto x) {
    using T = decltype(x);
    if (x > T{0}) return T{1};
    if constexpr (std::is_signed_v<T>) {
      if (x < T{0}) return static_cast<T>(-1);
    }
    return x == T{0} ? T{0} : x;  // NaN stays NaN
  });
}

OpResult ceil_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::ceil(x); });
}
OpResult floor_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::floor(x); });
}
// Halves go to the even neighbour, which is what nearbyint does in the default rounding mode.
OpResult round_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::nearbyint(x); });
}
OpResult sqrt_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::sqrt(x); });
}
OpResult reciprocal_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return decltype(x){1} / x; });
}
OpResult exp_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::exp(x); });
}
OpResult log_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::log(x); });
}
OpResult erf_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::erf(x); });
}
OpResult sin_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::sin(x); });
}
OpResult cos_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::cos(x); });
}
OpResult tanh_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return std::tanh(x); });
}

OpResult is_nan_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  const auto test = [](auto v) { return std::isnan(v); };
  if (x.dtype() == DType::kFloat32) return one(map_unary<float, bool>(x, test));
  if (x.dtype() == DType::kFloat64) return one(map_unary<double, bool>(x, test));
  return unsupported_dtype(x.dtype());
}

OpResult is_inf_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  const bool positive = args.node.attr_int("detect_positive", 1) != 0;
  const bool negative = args.node.attr_int("detect_negative", 1) != 0;
  const auto test = [&](auto v) { return std::isinf(v) && (v > 0 ? positive : negative); };
  if (x.dtype() == DType::kFloat32) return one(map_unary<float, bool>(x, test));
  if (x.dtype() == DType::kFloat64) return one(map_unary<double, bool>(x, test));
  return unsupported_dtype(x.dtype());
}

constexpr RefOpEntry kOps[] = {
    {"Abs", any_width<abs_op>},
    {"Ceil", any_width<ceil_op>},
    {"Cos", any_width<cos_op>},
    {"Erf", any_width<erf_op>},
    {"Exp", any_width<exp_op>},
    {"Floor", any_width<floor_op>},
    {"IsInf", any_width<is_inf_op>},
    {"IsNaN", any_width<is_nan_op>},
    {"Log", any_width<log_op>},
    {"Neg", any_width<neg_op>},
    {"Reciprocal", any_width<reciprocal_op>},
    {"Round", any_width<round_op>},
    {"Sign", any_width<sign_op>},
    {"Sin", any_width<sin_op>},
    {"Sqrt", any_width<sqrt_op>},
    {"Tanh", any_width<tanh_op>},
};

}  // namespace

std::span<const RefOpEntry> elementwise_unary_ops() { return kOps; }

}  // namespace octet
