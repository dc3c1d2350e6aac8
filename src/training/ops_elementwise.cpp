// Arithmetic, comparisons and casts, element by element with broadcasting.
#include "graph/onnx_dtype.h"
#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;

template <class F>
Tensors fold(const Call& c, F f) {
  at::Tensor total = c.in(0);
  for (size_t i = 1; i < c.inputs.size(); ++i) total = f(total, c.in(i));
  return {total};
}

Tensors sum(const Call& c) {
  return fold(c, [](const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); });
}

// A constant single exponent takes LibTorch's short cuts (squares, roots).
Tensors pow(const Call& c) {
  if (c.inputs.size() > 1 && c.constants[1] != nullptr && c.constants[1]->numel() == 1 && c.in(1).dim() == 0)
    return {at::pow(c.in(0), c.number(1))};
  return {at::pow(c.in(0), c.in(1).to(c.in(0).device(), c.in(0).scalar_type()))};
}

Tensors where(const Call& c) { return {at::where(c.in(0).to(c.in(1).device()), c.in(1), c.in(2))}; }

// Integers and booleans are made by the reference (its rounding at the ends of the range is ONNX Runtime's).
Tensors cast_to(const Call& c, DType to) {
  switch (to) {
    case DType::kFloat32: return {c.in(0).to(c.device, c.dtype)};
    case DType::kFloat64: return {c.in(0).to(c.device, at::kDouble)};
    case DType::kFloat16: return {c.in(0).to(at::kHalf)};
    case DType::kBFloat16: return {c.in(0).to(at::kBFloat16)};
    default: return run_reference(c);
  }
}

Tensors cast(const Call& c) { return cast_to(c, dtype_from_onnx(c.node.attr_int("to", 0))); }

Tensors cast_like(const Call& c) {
  if (!at::isFloatingType(c.in(1).scalar_type())) return run_reference(c);
  return {c.in(0).to(c.in(1).device(), c.in(1).scalar_type())};
}

template <at::Tensor (*F)(const at::Tensor&)>
Tensors unary(const Call& c) {
  return {F(c.in(0))};
}

template <at::Tensor (*F)(const at::Tensor&, const at::Tensor&)>
Tensors binary(const Call& c) {
  return {F(c.in(0), c.in(1))};
}

Tensors add(const Call& c) { return {at::add(c.in(0), c.in(1))}; }
Tensors sub(const Call& c) { return {at::sub(c.in(0), c.in(1))}; }
Tensors mean(const Call& c) { return {sum(c)[0] / static_cast<double>(c.inputs.size())}; }
Tensors max(const Call& c) { return fold(c, at::maximum); }
Tensors min(const Call& c) { return fold(c, at::minimum); }

constexpr TorchOpEntry kOps[] = {
    {"Abs", unary<at::abs>},
    {"Add", add},
    {"Cast", cast},
    {"CastLike", cast_like},
    {"Ceil", unary<at::ceil>},
    {"Cos", unary<at::cos>},
    {"Div", binary<at::div>},
    {"Equal", binary<at::eq>},
    {"Erf", unary<at::erf>},
    {"Exp", unary<at::exp>},
    {"Floor", unary<at::floor>},
    {"Greater", binary<at::gt>},
    {"GreaterOrEqual", binary<at::ge>},
    {"IsNaN", unary<at::isnan>},
    {"Less", binary<at::lt>},
    {"LessOrEqual", binary<at::le>},
    {"Log", unary<at::log>},
    {"Max", max},
    {"Mean", mean},
    {"Min", min},
    {"Mod", binary<at::fmod>},
    {"Mul", binary<at::mul>},
    {"Neg", unary<at::neg>},
    {"Pow", pow},
    {"Reciprocal", unary<at::reciprocal>},
    {"Round", unary<at::round>},
    {"Sign", unary<at::sign>},
    {"Sin", unary<at::sin>},
    {"Sqrt", unary<at::sqrt>},
    {"Sub", sub},
    {"Sum", sum},
    {"Where", where},
};

}  // namespace

std::span<const TorchOpEntry> elementwise_ops() { return kOps; }

}  // namespace octet::training
