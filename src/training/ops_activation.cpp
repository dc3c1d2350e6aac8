// Activation functions and softmax.
#include <limits>

#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;

double real(const Call& c, const char* name, float fallback) {
  return static_cast<double>(c.node.attr_float(name, fallback));
}

// Limits are inputs since opset 11 and attributes before. Where min > max every element becomes max.
Tensors clip(const Call& c) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const double low = c.has(1) ? c.number(1) : real(c, "min", -kInf);
  const double high = c.has(2) ? c.number(2) : real(c, "max", kInf);
  return {at::clamp(c.in(0), at::Scalar(low), at::Scalar(high))};
}

Tensors elu(const Call& c) { return {at::elu(c.in(0), real(c, "alpha", 1.0F))}; }

Tensors selu(const Call& c) {
  return {
      at::elu(c.in(0), real(c, "alpha", 1.67326319217681884765625F), real(c, "gamma", 1.05070102214813232421875F))};
}

Tensors gelu(const Call& c) { return {at::gelu(c.in(0), c.node.attr_string("approximate", "none"))}; }

Tensors hard_sigmoid(const Call& c) {
  return {at::clamp(c.in(0) * real(c, "alpha", 0.2F) + real(c, "beta", 0.5F), 0.0, 1.0)};
}

Tensors leaky_relu(const Call& c) { return {at::leaky_relu(c.in(0), real(c, "alpha", 0.01F))}; }

Tensors prelu(const Call& c) { return {at::where(c.in(0) < 0, c.in(0) * c.in(1), c.in(0))}; }

Tensors softsign(const Call& c) { return {c.in(0) / (c.in(0).abs() + 1)}; }

Tensors thresholded_relu(const Call& c) { return {at::threshold(c.in(0), real(c, "alpha", 1.0F), 0)}; }

template <at::Tensor (*F)(const at::Tensor&)>
Tensors unary(const Call& c) {
  return {F(c.in(0))};
}

// LibTorch's softplus becomes linear beyond its threshold; 40 is where float64 does, too.
Tensors softplus(const Call& c) { return {at::softplus(c.in(0), 1, 40)}; }

// Before opset 13 the lines are rows of the input flattened at `axis` (default 1); since then they run along it.
template <class F>
Tensors along_axis(const Call& c, F f) {
  const at::Tensor& x = c.in(0);
  if (c.opset >= 13) return {f(x, c.axis(-1, x.dim()))};
  const int64_t axis = c.axis(1, x.dim());
  int64_t rows = 1;
  for (int64_t d = 0; d < axis; ++d) rows *= x.size(d);
  return {f(x.reshape({rows, x.numel() / std::max<int64_t>(rows, 1)}), 1).reshape(x.sizes())};
}

Tensors softmax(const Call& c) {
  return along_axis(c, [](const at::Tensor& x, int64_t axis) { return at::softmax(x, axis); });
}

Tensors log_softmax(const Call& c) {
  return along_axis(c, [](const at::Tensor& x, int64_t axis) { return at::log_softmax(x, axis); });
}

constexpr TorchOpEntry kOps[] = {
    {"Clip", clip},
    {"Elu", elu},
    {"Gelu", gelu},
    {"HardSigmoid", hard_sigmoid},
    {"HardSwish", unary<at::hardswish>},
    {"LeakyRelu", leaky_relu},
    {"LogSoftmax", log_softmax},
    {"Mish", unary<at::mish>},
    {"PRelu", prelu},
    {"Relu", unary<at::relu>},
    {"Selu", selu},
    {"Sigmoid", unary<at::sigmoid>},
    {"Softmax", softmax},
    {"Softplus", softplus},
    {"Softsign", softsign},
    {"Tanh", unary<at::tanh>},
    {"ThresholdedRelu", thresholded_relu},
};

}  // namespace

std::span<const TorchOpEntry> activation_ops() { return kOps; }

}  // namespace octet::training
