// Arithmetic on two operands with broadcasting, from the ONNX operators of the same names.
#include <cmath>
#include <limits>

#include "arith/float_formats.h"
#include "kernels/ref/elementwise.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

template <class F>
OpResult binary_numeric(const OpArgs& args, F f) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  OCTET_RETURN_IF_ERROR(need_same_dtype(args));
  return dispatch_numeric(args.in(0).dtype(),
                          [&]<class T>() { return one(map_binary<T, T>(args.in(0), args.in(1), f)); });
}

bool has_zero(const Tensor& t) {
  const char* bytes = t.data<char>();
  const auto size = static_cast<int64_t>(dtype_size(t.dtype()));
  for (int64_t i = 0; i < t.numel(); ++i) {
    char any = 0;
    for (int64_t b = 0; b < size; ++b) any = static_cast<char>(any | bytes[i * size + b]);
    if (any == 0) return true;
  }
  return false;
}

// Integers have no infinity to give back.
Status refuse_integer_zero(const OpArgs& args) {
  if (args.has(1) && dtype_is_integer(args.in(1).dtype()) && has_zero(args.in(1)))
    return invalid_argument("the divisor holds an integer zero");
  return Status::ok();
}

OpResult add_op(const OpArgs& args) {
  return binary_numeric(args, [](auto a, auto b) { return wrap_add(a, b); });
}
OpResult sub_op(const OpArgs& args) {
  return binary_numeric(args, [](auto a, auto b) { return wrap_sub(a, b); });
}
OpResult mul_op(const OpArgs& args) {
  return binary_numeric(args, [](auto a, auto b) { return wrap_mul(a, b); });
}

// Integer division drops the fraction; the lowest number divided by -1 wraps to itself.
OpResult div_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(refuse_integer_zero(args));
  return binary_numeric(args, [](auto a, auto b) {
    using T = decltype(a);
    if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      if (b == T{-1}) return wrap_sub(T{0}, a);
    }
    return static_cast<T>(a / b);
  });
}

// fmod 0: the result has the sign of the divisor (Python's %); fmod 1: that of the dividend (C's fmod).
template <class T>
T modulo(T a, T b, bool c_style) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::fmod(a, b);
  } else {
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return T{0};  // the lowest number % -1 traps
    }
    const T rest = static_cast<T>(a % b);
    const bool signs_differ = (rest < T{0}) != (b < T{0});
    return rest != T{0} && signs_differ && !c_style ? wrap_add(rest, b) : rest;
  }
}

OpResult mod_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  OCTET_RETURN_IF_ERROR(refuse_integer_zero(args));
  const bool c_style = args.node.attr_int("fmod", 0) != 0;
  if (!c_style && dtype_is_float(args.in(0).dtype()))
    return invalid_argument("Mod of floating types needs the attribute fmod = 1");
  return binary_numeric(args, [=](auto a, auto b) { return modulo(a, b, c_style); });
}

OpResult prelu_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  OCTET_ASSIGN(const Dims dims, broadcast_dims(args.in(0).dims(), args.in(1).dims()));
  if (dims != args.in(0).dims())
    return invalid_argument("the slope of shape " + dims_to_string(args.in(1).dims()) +
                            " is larger than the input of " + dims_to_string(args.in(0).dims()));
  return binary_numeric(args, [](auto x, auto slope) { return x < decltype(x){0} ? wrap_mul(x, slope) : x; });
}

template <class T>
T integer_power(T base, T exponent) {
  if constexpr (std::is_signed_v<T>) {
    if (exponent < T{0}) {  // 1/base, truncated
      if (base == T{1}) return T{1};
      if (base == T{-1}) return exponent % 2 == 0 ? T{1} : T{-1};
      return T{0};
    }
  }
  T result = 1;
  for (T square = base; exponent != 0; exponent = static_cast<T>(exponent / 2), square = wrap_mul(square, square))
    if (exponent % 2 != 0) result = wrap_mul(result, square);
  return result;
}

template <class T>
T power(T base, T exponent) {
  if constexpr (std::is_integral_v<T>) return integer_power(base, exponent);
  else return exponent == T{2} ? base * base : std::pow(base, exponent);
}

// The exponent may have another type than the base, whose type the result has. Mixed types are computed in double
// (integer pairs in int64), then cast as Cast does.
OpResult pow_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const DType base = args.in(0).dtype();
  const DType exponent = args.in(1).dtype();
  const auto f = [](auto a, auto b) { return power(a, b); };
  if (base == exponent && !is_half(base)) return binary_numeric(args, f);
  if (base == DType::kBool || exponent == DType::kBool) return unsupported_dtype(DType::kBool);
  const bool integers = dtype_is_integer(base) && dtype_is_integer(exponent);
  const DType wide = integers                             ? DType::kInt64
                     : is_half(base) && is_half(exponent) ? DType::kFloat32
                                                          : DType::kFloat64;
  OCTET_ASSIGN(const Tensor a, cast_tensor(args.in(0), wide));
  OCTET_ASSIGN(const Tensor b, cast_tensor(args.in(1), wide));
  OCTET_ASSIGN(const std::vector<Tensor> result, binary_numeric(OpArgs{args.node, args.opset, {&a, &b}}, f));
  return one(cast_tensor(result[0], base));
}

constexpr RefOpEntry kOps[] = {
    {"Add", any_width<add_op>},
    {"Div", any_width<div_op>},
    {"Mod", any_width<mod_op>},
    {"Mul", any_width<mul_op>},
    {"Pow", pow_op},
    {"PRelu", any_width<prelu_op>},
    {"Sub", any_width<sub_op>},
};

}  // namespace

std::span<const RefOpEntry> elementwise_binary_ops() { return kOps; }

}  // namespace octet
