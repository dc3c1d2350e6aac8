#include "repair/rounding.h"

#include "arith/scalar.h"

namespace octet::repair {

int32_t nearest_code(const RoundingProblem& p, int64_t element) {
  const auto e = static_cast<size_t>(element);
  return quantize_value(p.weight[e], p.scale[e], p.zero_point[e], p.lo, p.hi);
}

Codes nearest_row(const RoundingProblem& p, int64_t row) {
  Codes codes;
  for (int64_t e = row * p.cols; e < (row + 1) * p.cols; ++e) codes.push_back(nearest_code(p, e));
  return codes;
}

namespace {

// a M b^T.
double bilinear(const std::vector<double>& a, const std::vector<double>& m, const std::vector<double>& b) {
  const size_t n = a.size();
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    double row = 0;
    for (size_t j = 0; j < n; ++j) row += m[i * n + j] * b[j];
    sum += a[i] * row;
  }
  return sum;
}

std::vector<double> real_row(const RoundingProblem& p, std::span<const int32_t> codes, int64_t row) {
  std::vector<double> q;
  for (int64_t j = 0; j < p.cols; ++j) q.push_back(p.value(row * p.cols + j, codes[static_cast<size_t>(j)]));
  return q;
}

std::vector<double> weight_row(const RoundingProblem& p, int64_t row) {
  return {p.weight.begin() + row * p.cols, p.weight.begin() + (row + 1) * p.cols};
}

}  // namespace

double row_error(const RoundingProblem& p, const InputProducts& inputs, std::span<const int32_t> codes, int64_t row) {
  const std::vector<double> q = real_row(p, codes, row);
  const std::vector<double>& cross = inputs.cross.empty() ? inputs.second : inputs.cross;
  return bilinear(q, inputs.second, q) - 2 * bilinear(weight_row(p, row), cross, q);
}

double row_noise(const RoundingProblem& p, const InputProducts& inputs, std::span<const int32_t> codes, int64_t row) {
  std::vector<double> d = real_row(p, codes, row);
  const std::vector<double> w = weight_row(p, row);
  for (size_t i = 0; i < d.size(); ++i) d[i] -= w[i];
  return bilinear(d, inputs.second, d);
}

}  // namespace octet::repair
