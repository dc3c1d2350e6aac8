// Which codes the weights of a layer get: nearest, AdaRound, GPTQ. Rows, one per output channel, are independent.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "octet/repair_options.h"
#include "repair/input_products.h"

namespace octet::repair {

// A matrix of weights, row-major [rows, cols], and the codes they may get: w ~ (code - zero_point) * scale.
struct RoundingProblem {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> weight;
  std::vector<float> scale;         // of each element
  std::vector<int32_t> zero_point;  // of each element
  int32_t lo = 0, hi = 0;           // codes

  float value(int64_t element, int32_t code) const {
    return static_cast<float>(code - zero_point[static_cast<size_t>(element)]) * scale[static_cast<size_t>(element)];
  }
};
using Codes = std::vector<int32_t>;

// As QuantizeLinear rounds.
int32_t nearest_code(const RoundingProblem& problem, int64_t element);
Codes nearest_row(const RoundingProblem& problem, int64_t row);

// What the row's rounding adds to the mean squared error of the layer's output, but for a constant: q S q^T - 2 w C
// q^T with S = second and C = cross (S where it is empty).
double row_error(const RoundingProblem& problem, const InputProducts& inputs, std::span<const int32_t> row_codes,
                 int64_t row);
// (q - w) S (q - w)^T: the error on the inputs that the quantized network has.
double row_noise(const RoundingProblem& problem, const InputProducts& inputs, std::span<const int32_t> row_codes,
                 int64_t row);

// AdaRound (arXiv 2004.10568): each weight goes to one of the two codes around it. The continuous relaxation of
// equations 21 to 24 by Adam, its gradient exact from the second moments; then single weights change their side as
// long as that lowers the error. Gives the codes of rows [begin, end), at most kLanes of them, [end - begin, cols].
// No row's row_error is above that of nearest rounding. second: inputs.second in float.
Codes adaround_rows(const RoundingProblem& problem, const InputProducts& inputs, const std::vector<float>& second,
                    const AdaRoundOptions& options, int64_t begin, int64_t end);

// The inverse Cholesky factor of the damped Hessian, in the order in which columns are rounded.
struct GptqFactor {
  std::vector<int64_t> order;
  std::vector<double> upper;  // [cols, cols], row-major: H^-1 = U^T U, rows and columns permuted
};
GptqFactor gptq_factor(const InputProducts& inputs, const GptqOptions& options);
// GPTQ (arXiv 2210.17323, algorithm 1) on one row. Its row_noise is not above that of nearest rounding: where GPTQ
// would lose, which its greedy order can do, the row is rounded to nearest.
Codes gptq_row(const RoundingProblem& problem, const InputProducts& inputs, const GptqFactor& factor, int64_t row);

}  // namespace octet::repair
