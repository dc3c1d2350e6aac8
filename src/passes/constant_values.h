// Reads and writes the numbers of constants.
#pragma once

#include <optional>
#include <vector>

#include "octet/graph.h"

namespace octet {

// Elements of a float32 or float64 tensor; nullopt for other types.
std::optional<std::vector<double>> to_doubles(const Tensor& tensor);
// The inverse, rounded to nearest; nullopt when `dtype` is neither float32 nor float64 or an element is not finite
// there.
std::optional<Tensor> from_doubles(DType dtype, const Dims& dims, const std::vector<double>& values);

// The constant of a value, or nullptr.
const Tensor* constant_of(const Graph& graph, ValueId id);
// The constant of a node's input, or nullptr when it is absent or not constant.
const Tensor* constant_input(const Graph& graph, const Node& node, size_t input);
// Elements of a constant integer input; nullopt when it is absent, not constant or not integer.
std::optional<std::vector<int64_t>> integer_input(const Graph& graph, const Node& node, size_t input);

// The number in a floating constant of one element that broadcasts against `other` without raising its rank.
std::optional<double> scalar_against(const Graph& graph, ValueId constant, ValueId other);
// |a - b| within 1e-5 of |b|: room for constants that a file writes with six digits.
bool nearly(double a, double b);

}  // namespace octet
