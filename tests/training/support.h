// Shared by the tests of training: every operator's small graph as a module, and central differences.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "graph/every_op.h"
#include "graph/text.h"
#include "interp/interpreter.h"
#include "support/compare.h"
#include "support/random_graph.h"
#include "training/module.h"

namespace octet::training::test {

using octet::test::every_op;
using octet::test::OpCase;
using octet::test::Random;

// Operators that cannot be trained, and why.
inline const std::map<std::string, std::string> kUntrainable = {
    {"ConvInteger", "integers in, integers out"},
    {"DynamicQuantizeLinear", "integers out"},
    {"MatMulInteger", "integers in, integers out"},
    {"QLinearConv", "integers in, integers out"},
    {"QLinearMatMul", "integers in, integers out"},
    {"QuantizeLinear", "integers out; with its DequantizeLinear it is a fake quantizer"},
};

inline Graph graph_of(const OpCase& c) {
  auto graph = parse_text("graph \"t\" opset " + std::to_string(c.opset) + "\n" + c.body);
  EXPECT_TRUE(graph.is_ok()) << graph.status().message() << "\n" << c.body;
  graph->outputs.clear();
  for (ValueId id : graph->nodes.back().outputs)
    if (id != kNoValue) graph->outputs.push_back(id);
  return *graph;
}

// N, H and S are 2, 6 and 4 in the small graphs.
inline std::vector<Tensor> inputs_of(const Graph& graph, uint64_t seed, double low, double high) {
  static const std::map<std::string, int64_t> kSymbols = {{"N", 2}, {"H", 6}, {"S", 4}};
  Random random(seed);
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs) {
    const Value& v = graph.value(id);
    Dims dims;
    for (const Dim& d : *v.shape) dims.push_back(d.symbol.empty() ? d.coefficient : kSymbols.at(d.symbol));
    if (v.dtype == DType::kFloat32) {
      inputs.push_back(octet::test::random_tensor(random, dims, low, high));
      continue;
    }
    Tensor t(v.dtype, dims);
    for (int64_t i = 0; i < t.nbytes(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(random.integer(0, 1));
    inputs.push_back(t);
  }
  return inputs;
}

inline std::vector<at::Tensor> to_torch_all(const std::vector<Tensor>& tensors) {
  std::vector<at::Tensor> out;
  for (const Tensor& t : tensors) out.push_back(to_torch(t).value());
  return out;
}

inline std::vector<Tensor> from_torch_all(const std::vector<at::Tensor>& tensors) {
  std::vector<Tensor> out;
  for (const at::Tensor& t : tensors) out.push_back(from_torch(t).value());
  return out;
}

inline std::unique_ptr<TrainableModule> module_of(const Graph& graph, const TrainableOptions& options = {}) {
  auto module = TrainableModule::create(graph, options);
  EXPECT_TRUE(module.is_ok()) << module.status().message();
  return module.is_ok() ? std::move(*module) : nullptr;
}

// A scalar function of all outputs: fixed random weights, so that no gradient cancels.
inline at::Tensor weighted_sum(const std::vector<at::Tensor>& outputs) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  Random random(77);
  for (const at::Tensor& y : outputs) {
    if (!at::isFloatingType(y.scalar_type())) continue;
    std::vector<double> w(static_cast<size_t>(y.numel()));
    for (double& v : w) v = random.real(0.5, 1.5);
    sum = sum + (y.to(at::kDouble) * at::tensor(w).reshape(y.sizes())).sum();
  }
  return sum;
}

// Every element of `leaf`: the gradient against central differences of `f`, in float64.
template <class F>
::testing::AssertionResult gradient_matches(const at::Tensor& leaf, const at::Tensor& gradient, F f) {
  constexpr double kStep = 1e-6;
  at::Tensor flat = leaf.detach().view({-1});
  const at::Tensor g = gradient.defined() ? gradient.contiguous().view({-1}) : at::zeros_like(flat);
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const double x = flat[i].item<double>();
    flat[i].fill_(x + kStep);
    const double above = f();
    flat[i].fill_(x - kStep);
    const double below = f();
    flat[i].fill_(x);
    const double expected = (above - below) / (2 * kStep), actual = g[i].item<double>();
    if (!(std::abs(expected - actual) <= 1e-5 * (1 + std::abs(expected))))
      return ::testing::AssertionFailure()
             << "element " << i << " at " << x << ": gradient " << actual << ", differences give " << expected;
  }
  return ::testing::AssertionSuccess();
}

}  // namespace octet::training::test
