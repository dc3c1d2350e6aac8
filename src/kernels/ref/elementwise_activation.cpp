// Activation functions, from the ONNX operators of the same names (defaults of their attributes included).
#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/ref/elementwise.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

// log(1 + exp(x)) without overflow for large x.
template <class T>
T softplus(T x) {
  return std::max(x, T{0}) + std::log1p(std::exp(-std::fabs(x)));
}

OpResult relu_op(const OpArgs& args) {
  return map_numeric(args, [](auto x) { return x < decltype(x){0} ? decltype(x){0} : x; });
}

OpResult leaky_relu_op(const OpArgs& args) {
  const float alpha = args.node.attr_float("alpha", 0.01f);
  return map_floating(args, [=](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * x : x; });
}

OpResult thresholded_relu_op(const OpArgs& args) {
  const float alpha = args.node.attr_float("alpha", 1.0f);
  return map_floating(args, [=](auto x) { return x > static_cast<decltype(x)>(alpha) ? x : decltype(x){0}; });
}

OpResult elu_op(const OpArgs& args) {
  const float alpha = args.node.attr_float("alpha", 1.0f);
  return map_floating(args, [=](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * std::expm1(x) : x; });
}

OpResult selu_op(const OpArgs& args) {
  const float alpha = args.node.attr_float("alpha", 1.67326319217681884765625f);
  const float gamma = args.node.attr_float("gamma", 1.05070102214813232421875f);
  return map_floating(args, [=](auto x) {
    using T = decltype(x);
    return static_cast<T>(gamma) * (x > 0 ? x : static_cast<T>(alpha) * std::expm1(x));
  });
}

OpResult sigmoid_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return decltype(x){1} / (decltype(x){1} + std::exp(-x)); });
}

OpResult hard_sigmoid_op(const OpArgs& args) {
  const float alpha = args.node.attr_float("alpha", 0.2f);
  const float beta = args.node.attr_float("beta", 0.5f);
  return map_floating(args, [=](auto x) {
    using T = decltype(x);
    return std::max(T{0}, std::min(T{1}, static_cast<T>(alpha) * x + static_cast<T>(beta)));
  });
}

OpResult hard_swish_op(const OpArgs& args) {
  return map_floating(args, [](auto x) {
    using T = decltype(x);
    return x * std::max(T{0}, std::min(T{1}, x / T{6} + T{0.5}));
  });
}

OpResult softplus_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return softplus(x); });
}

OpResult softsign_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return x / (decltype(x){1} + std::fabs(x)); });
}

OpResult mish_op(const OpArgs& args) {
  return map_floating(args, [](auto x) { return x * std::tanh(softplus(x)); });
}

OpResult gelu_op(const OpArgs& args) {
  const std::string approximate = args.node.attr_string("approximate", "none");
  if (approximate == "none")
    return map_floating(args, [](auto x) {
      using T = decltype(x);
      return T{0.5} * x * (T{1} + std::erf(x * static_cast<T>(M_SQRT1_2)));
    });
  if (approximate != "tanh")
    return unsupported("Gelu's attribute approximate is '" + approximate + "' but must be 'none' or 'tanh'");
  return map_floating(args, [](auto x) {
    using T = decltype(x);
    const T sqrt_2_over_pi = static_cast<T>(M_2_SQRTPI * M_SQRT1_2);
    return T{0.5} * x * (T{1} + std::tanh(sqrt_2_over_pi * (x + static_cast<T>(0.044715) * x * x * x)));
  });
}

constexpr RefOpEntry kOps[] = {
    {"Elu", any_width<elu_op>},
    {"Gelu", any_width<gelu_op>},
    {"HardSigmoid", any_width<hard_sigmoid_op>},
    {"HardSwish", any_width<hard_swish_op>},
    {"LeakyRelu", any_width<leaky_relu_op>},
    {"Mish", any_width<mish_op>},
    {"Relu", any_width<relu_op>},
    {"Selu", any_width<selu_op>},
    {"Sigmoid", any_width<sigmoid_op>},
    {"Softplus", any_width<softplus_op>},
    {"Softsign", any_width<softsign_op>},
    {"ThresholdedRelu", any_width<thresholded_relu_op>},
};

}  // namespace

std::span<const RefOpEntry> elementwise_activation_ops() { return kOps; }

}  // namespace octet
