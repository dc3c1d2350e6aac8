#include "passes/constant_values.h"

#include <cmath>

namespace octet {

std::optional<std::vector<double>> to_doubles(const Tensor& tensor) {
  if (tensor.dtype() == DType::kFloat32)
    return std::vector<double>(tensor.data<float>(), tensor.data<float>() + tensor.numel());
  if (tensor.dtype() == DType::kFloat64)
    return std::vector<double>(tensor.data<double>(), tensor.data<double>() + tensor.numel());
  return std::nullopt;
}

std::optional<Tensor> from_doubles(DType dtype, const Dims& dims, const std::vector<double>& values) {
  if (dtype != DType::kFloat32 && dtype != DType::kFloat64) return std::nullopt;
  Result<Tensor> made = Tensor::create(dtype, dims);
  if (!made.is_ok() || made->numel() != static_cast<int64_t>(values.size())) return std::nullopt;
  Tensor tensor = std::move(made).value();
  for (size_t i = 0; i < values.size(); ++i) {
    const bool finite =
        dtype == DType::kFloat32 ? std::isfinite(static_cast<float>(values[i])) : std::isfinite(values[i]);
    if (!finite) return std::nullopt;
    if (dtype == DType::kFloat32) tensor.data<float>()[i] = static_cast<float>(values[i]);
    else tensor.data<double>()[i] = values[i];
  }
  return tensor;
}

const Tensor* constant_of(const Graph& graph, ValueId id) {
  return graph.is_constant(id) ? &*graph.value(id).constant : nullptr;
}

const Tensor* constant_input(const Graph& graph, const Node& node, size_t input) {
  return node.has_input(input) ? constant_of(graph, node.inputs[input]) : nullptr;
}

std::optional<std::vector<int64_t>> integer_input(const Graph& graph, const Node& node, size_t input) {
  const Tensor* tensor = constant_input(graph, node, input);
  if (tensor == nullptr) return std::nullopt;
  Result<std::vector<int64_t>> values = to_int64s(*tensor);
  if (!values.is_ok()) return std::nullopt;
  return std::move(values).value();
}

std::optional<double> scalar_against(const Graph& graph, ValueId constant, ValueId other) {
  const Tensor* tensor = constant_of(graph, constant);
  if (tensor == nullptr || tensor->numel() != 1 || other == kNoValue) return std::nullopt;
  if (tensor->rank() > 0) {
    const std::optional<Shape>& shape = graph.value(other).shape;
    if (!shape || static_cast<int>(shape->size()) < tensor->rank()) return std::nullopt;
  }
  const auto values = to_doubles(*tensor);
  if (!values) return std::nullopt;
  return values->front();
}

bool nearly(double a, double b) { return std::abs(a - b) <= 1e-5 * std::abs(b); }

}  // namespace octet
