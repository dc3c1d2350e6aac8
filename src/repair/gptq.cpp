// GPTQ: Frantar et al. 2022, arXiv 2210.17323.
#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <numeric>

#include "arith/scalar.h"
#include "repair/rounding.h"

namespace octet::repair {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Inputs that are always zero have no say; a one keeps the matrix regular.
double damped(const InputProducts& inputs, double damping, int64_t i, int64_t j, double mean) {
  const double h = inputs.second[static_cast<size_t>(i * inputs.cols + j)];
  if (i != j) return h;
  return (h > 0 ? h : 1.0) + damping * (mean > 0 ? mean : 1.0);
}

}  // namespace

GptqFactor gptq_factor(const InputProducts& inputs, const GptqOptions& options) {
  const int64_t n = inputs.cols;
  GptqFactor f;
  f.order.resize(static_cast<size_t>(n));
  std::iota(f.order.begin(), f.order.end(), 0);
  const auto diagonal = [&](int64_t i) { return inputs.second[static_cast<size_t>(i * n + i)]; };
  if (options.act_order)
    std::stable_sort(f.order.begin(), f.order.end(), [&](int64_t a, int64_t b) { return diagonal(a) > diagonal(b); });
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += diagonal(i) / static_cast<double>(n);
  // H = R R^T with an upper triangular R is a Cholesky factorization from the last row to the first; then
  // H^-1 = U^T U with U = R^-1.
  Matrix reversed(n, n);
  double damping = options.damping;
  constexpr int kTries = 40;  // by then the damping outweighs everything that is finite
  for (int t = 0; t < kTries; ++t) {
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        reversed(n - 1 - i, n - 1 - j) =
            damped(inputs, damping, f.order[static_cast<size_t>(i)], f.order[static_cast<size_t>(j)], mean);
    const Eigen::LLT<Eigen::Ref<Matrix>> llt(reversed);  // in place
    if (llt.info() == Eigen::Success) break;
    damping *= 10;  // float sums made the matrix indefinite
  }
  Matrix inverse = Matrix::Identity(n, n);
  reversed.triangularView<Eigen::Lower>().solveInPlace(inverse);
  f.upper.resize(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) f.upper[static_cast<size_t>(i * n + j)] = inverse(n - 1 - i, n - 1 - j);
  return f;
}

Codes gptq_row(const RoundingProblem& p, const InputProducts& inputs, const GptqFactor& factor, int64_t row) {
  const auto n = static_cast<size_t>(p.cols);
  const int64_t begin = row * p.cols;
  std::vector<double> w(n);  // in the order of rounding, what is left to make good
  for (size_t j = 0; j < n; ++j) w[j] = p.weight[static_cast<size_t>(begin + factor.order[j])];
  Codes codes(n);
  for (size_t j = 0; j < n; ++j) {
    const int64_t element = begin + factor.order[j];
    const auto e = static_cast<size_t>(element);
    const int32_t code = quantize_value(static_cast<float>(w[j]), p.scale[e], p.zero_point[e], p.lo, p.hi);
    codes[static_cast<size_t>(factor.order[j])] = code;
    const double* u = factor.upper.data() + j * n;
    const double error = (w[j] - static_cast<double>(p.value(element, code))) / u[j];
    for (size_t k = j + 1; k < n; ++k) w[k] -= error * u[k];
  }
  Codes nearest = nearest_row(p, row);
  return row_noise(p, inputs, codes, row) <= row_noise(p, inputs, nearest, row) ? codes : nearest;
}

}  // namespace octet::repair
