// AdaRound and GPTQ against enumeration and against nearest rounding.
#include "repair/rounding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "repair/product_loops.h"
#include "support/random_graph.h"

namespace octet::repair {
namespace {

// Second moments of inputs that depend on each other: mixtures of a few sources.
InputProducts correlated(test::Random& random, int64_t cols, bool with_cross) {
  const int64_t samples = 4 * cols, sources = std::max<int64_t>(1, cols / 2);
  std::vector<double> mix(static_cast<size_t>(cols * sources));
  for (double& m : mix) m = random.real(-1, 1);
  InputProducts p;
  p.cols = cols;
  p.second.assign(static_cast<size_t>(cols * cols), 0);
  if (with_cross) p.cross = p.second;
  for (int64_t s = 0; s < samples; ++s) {
    std::vector<double> source(static_cast<size_t>(sources)), x(static_cast<size_t>(cols)), q;
    for (double& v : source) v = random.real(-1, 1);
    for (int64_t i = 0; i < cols; ++i) {
      x[static_cast<size_t>(i)] = 0.1 * random.real(-1, 1) + 0.5;
      for (int64_t k = 0; k < sources; ++k)
        x[static_cast<size_t>(i)] += mix[static_cast<size_t>(i * sources + k)] * source[static_cast<size_t>(k)];
    }
    for (double v : x) q.push_back(std::round(v * 8) / 8);
    for (int64_t i = 0; i < cols; ++i)
      for (int64_t j = 0; j < cols; ++j) {
        const auto at = static_cast<size_t>(i * cols + j);
        p.second[at] += q[static_cast<size_t>(i)] * q[static_cast<size_t>(j)] / static_cast<double>(samples);
        if (with_cross)
          p.cross[at] += x[static_cast<size_t>(i)] * q[static_cast<size_t>(j)] / static_cast<double>(samples);
      }
  }
  return p;
}

RoundingProblem random_problem(test::Random& random, int64_t rows, int64_t cols, int32_t lo = -7, int32_t hi = 7,
                               int32_t zero_point = 0, double reach = 1.3) {
  RoundingProblem p;
  p.rows = rows;
  p.cols = cols;
  p.lo = lo;
  p.hi = hi;
  for (int64_t r = 0; r < rows; ++r) {
    const auto scale = static_cast<float>(random.real(0.01, 0.2));
    for (int64_t c = 0; c < cols; ++c) {
      p.scale.push_back(c < cols / 2 ? scale : scale * 0.5f);  // two groups
      p.zero_point.push_back(zero_point);
      p.weight.push_back(static_cast<float>(random.real(-reach, reach)) * scale *
                         static_cast<float>(hi - zero_point));
    }
  }
  return p;
}

std::vector<float> as_float(const std::vector<double>& m) { return {m.begin(), m.end()}; }

Codes row_of(const Codes& all, int64_t row, int64_t cols) {
  return {all.begin() + row * cols, all.begin() + (row + 1) * cols};
}

// The least error of a row over all choices of the codes below and above each weight.
double best_error(const RoundingProblem& p, const InputProducts& inputs, int64_t row) {
  double best = 1e300;
  for (int64_t choice = 0; choice < int64_t{1} << p.cols; ++choice) {
    Codes codes;
    for (int64_t c = 0; c < p.cols; ++c) {
      const int64_t e = row * p.cols + c;
      const double t =
          p.weight[static_cast<size_t>(e)] / p.scale[static_cast<size_t>(e)] + p.zero_point[static_cast<size_t>(e)];
      const int32_t up = (choice >> c & 1) != 0 ? 1 : 0;
      codes.push_back(
          std::clamp(static_cast<int32_t>(std::floor(std::clamp<double>(t, p.lo, p.hi))) + up, p.lo, p.hi));
    }
    best = std::min(best, row_error(p, inputs, codes, row));
  }
  return best;
}

TEST(Rounding, NearestIsQuantizeLinear) {
  RoundingProblem p{1, 5, {0.5f, 1.5f, -0.5f, 99, -99}, {1, 1, 1, 1, 1}, {0, 0, 0, 0, 0}, -7, 7};
  EXPECT_EQ(nearest_row(p, 0), (Codes{0, 2, 0, 7, -7}));
}

TEST(Rounding, ErrorsAreMeanSquares) {
  // One input of second moment 4: error (q - w)^2 * 4, and without cross the two measures differ by w^2 * 4.
  RoundingProblem p{1, 1, {0.3f}, {1}, {0}, -7, 7};
  const InputProducts inputs{1, {4}, {}};
  EXPECT_NEAR(row_noise(p, inputs, Codes{1}, 0), 0.49 * 4, 1e-6);
  EXPECT_NEAR(row_error(p, inputs, Codes{1}, 0), 4 - 2 * 0.3 * 4, 1e-6);
}

TEST(AdaRound, FindsTheOptimumOfSmallRowsOrNearly) {
  test::Random random(11);
  int optimal = 0, rows = 0;
  for (int round = 0; round < 20; ++round) {
    const InputProducts inputs = correlated(random, 8, round % 2 == 1);
    const RoundingProblem p = random_problem(random, 4, 8);
    const Codes codes = adaround_rows(p, inputs, as_float(inputs.second), {}, 0, 4);
    for (int64_t r = 0; r < 4; ++r, ++rows) {
      const double best = best_error(p, inputs, r), found = row_error(p, inputs, row_of(codes, r, 8), r);
      const double nearest = row_error(p, inputs, nearest_row(p, r), r);
      EXPECT_GE(found, best - 1e-9);
      EXPECT_LE(found, nearest + 1e-12);
      EXPECT_LE(found - best, 0.5 * (nearest - best) + 1e-6) << "row " << rows;
      optimal += found <= best + 1e-6 * std::fabs(best) ? 1 : 0;
    }
  }
  EXPECT_GE(optimal, rows * 8 / 10) << "of " << rows;
}

TEST(AdaRound, IsNeverWorseThanNearestAndMuchBetterOnAverage) {
  test::Random random(12);
  double nearest_sum = 0, found_sum = 0;
  for (int round = 0; round < 6; ++round) {
    const int64_t cols = 20 + 9 * round, rows = 1 + 3 * round;
    const InputProducts inputs = correlated(random, cols, false);
    const RoundingProblem p = random_problem(random, rows, cols, -7, 7, 0, 0.5);
    const Codes codes = adaround_rows(p, inputs, as_float(inputs.second), {}, 0, std::min<int64_t>(rows, kLanes));
    for (int64_t r = 0; r < std::min<int64_t>(rows, kLanes); ++r) {
      const double nearest = row_noise(p, inputs, nearest_row(p, r), r);
      const double found = row_noise(p, inputs, row_of(codes, r, cols), r);
      EXPECT_LE(found, nearest * (1 + 1e-9));
      nearest_sum += nearest;
      found_sum += found;
    }
  }
  EXPECT_LT(found_sum, 0.3 * nearest_sum);
}

TEST(AdaRound, RowsDoNotKnowEachOther) {
  test::Random random(13);
  const InputProducts inputs = correlated(random, 12, true);
  const RoundingProblem p = random_problem(random, 20, 12);
  const std::vector<float> second = as_float(inputs.second);
  const Codes block = adaround_rows(p, inputs, second, {}, 3, 14);
  for (int64_t r = 3; r < 14; ++r)
    EXPECT_EQ(row_of(block, r - 3, 12), adaround_rows(p, inputs, second, {}, r, r + 1)) << r;
}

TEST(AdaRound, StaysWithinTheCodesAndTheTwoNeighbours) {
  test::Random random(14);
  for (const auto& [lo, hi, zero] : {std::tuple{-7, 7, 0}, std::tuple{-8, 7, 0}, std::tuple{0, 15, 6}}) {
    const InputProducts inputs = correlated(random, 10, true);
    const RoundingProblem p = random_problem(random, 3, 10, lo, hi, zero);
    AdaRoundOptions options;
    options.iterations = 50;
    const Codes codes = adaround_rows(p, inputs, as_float(inputs.second), options, 0, 3);
    for (size_t e = 0; e < codes.size(); ++e) {
      EXPECT_GE(codes[e], lo);
      EXPECT_LE(codes[e], hi);
      const float t = p.weight[e] / p.scale[e] + static_cast<float>(zero);
      if (t > static_cast<float>(lo) && t < static_cast<float>(hi)) {
        EXPECT_LT(std::fabs(static_cast<float>(codes[e]) - t), 1.0f);
      }
    }
  }
}

TEST(AdaRound, DeadInputsAndExtremesAreHarmless) {
  RoundingProblem p{2, 2, {1e30f, -1e30f, 0.4f, 0.4f}, {1e-20f, 1, 1, 1}, {0, 0, 0, 0}, -7, 7};
  const InputProducts none{2, {0, 0, 0, 0}, {}};
  EXPECT_EQ(adaround_rows(p, none, {0, 0, 0, 0}, {}, 0, 2), (Codes{7, -7, 0, 0}));
}

TEST(Gptq, WithIndependentInputsIsNearest) {
  test::Random random(21);
  InputProducts inputs;
  inputs.cols = 9;
  inputs.second.assign(81, 0);
  for (size_t i = 0; i < 9; ++i) inputs.second[i * 10] = random.real(0.1, 5);
  const RoundingProblem p = random_problem(random, 5, 9);
  const GptqFactor factor = gptq_factor(inputs, {});
  for (int64_t r = 0; r < 5; ++r) EXPECT_EQ(gptq_row(p, inputs, factor, r), nearest_row(p, r));
}

TEST(Gptq, TheFactorIsTheCholeskyFactorOfTheInverse) {
  test::Random random(22);
  const int64_t n = 7;
  const InputProducts inputs = correlated(random, n, false);
  for (bool act_order : {false, true}) {
    GptqOptions options;
    options.act_order = act_order;
    const GptqFactor f = gptq_factor(inputs, options);
    double mean = 0;
    for (int64_t i = 0; i < n; ++i) mean += inputs.second[static_cast<size_t>(i * n + i)] / static_cast<double>(n);
    for (int64_t i = 1; act_order && i < n; ++i) {
      const auto diagonal = [&](int64_t k) {
        return inputs.second[static_cast<size_t>(f.order[static_cast<size_t>(k)] * (n + 1))];
      };
      EXPECT_GE(diagonal(i - 1), diagonal(i));
    }
    // U^T U H = 1.
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < n; ++k) {
          double inverse = 0;
          for (int64_t t = 0; t < n; ++t)
            inverse += f.upper[static_cast<size_t>(t * n + i)] * f.upper[static_cast<size_t>(t * n + k)];
          const double h = inputs.second[static_cast<size_t>(f.order[static_cast<size_t>(k)] * n +
                                                             f.order[static_cast<size_t>(j)])] +
                           (k == j ? options.damping * mean : 0);
          sum += inverse * h;
        }
        EXPECT_NEAR(sum, i == j ? 1 : 0, 1e-7);
        if (i > j) {
          EXPECT_EQ(f.upper[static_cast<size_t>(i * n + j)], 0);
        }
      }
  }
}

TEST(Gptq, IsNeverWorseThanNearestAndBetterOnAverage) {
  test::Random random(23);
  double nearest_sum = 0, found_sum = 0;
  for (int round = 0; round < 30; ++round) {
    const int64_t cols = 3 + 4 * round;
    const InputProducts inputs = correlated(random, cols, false);
    const RoundingProblem p = random_problem(random, 4, cols, -7, 7, 0, 0.5);
    GptqOptions options;
    options.act_order = round % 2 == 0;
    const GptqFactor factor = gptq_factor(inputs, options);
    for (int64_t r = 0; r < 4; ++r) {
      const Codes codes = gptq_row(p, inputs, factor, r);
      for (int32_t c : codes) EXPECT_TRUE(c >= p.lo && c <= p.hi);
      const double nearest = row_noise(p, inputs, nearest_row(p, r), r), found = row_noise(p, inputs, codes, r);
      EXPECT_LE(found, nearest * (1 + 1e-12));
      nearest_sum += nearest;
      found_sum += found;
    }
  }
  EXPECT_LT(found_sum, 0.6 * nearest_sum);
}

TEST(Gptq, DeadAndDependentInputsAreHarmless) {
  RoundingProblem p{1, 3, {0.4f, 0.4f, 0.4f}, {1, 1, 1}, {0, 0, 0}, -7, 7};
  for (const InputProducts& inputs :
       {InputProducts{3, {0, 0, 0, 0, 0, 0, 0, 0, 0}, {}}, InputProducts{3, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {}}}) {
    const GptqFactor factor = gptq_factor(inputs, {});
    const Codes codes = gptq_row(p, inputs, factor, 0);
    EXPECT_LE(row_noise(p, inputs, codes, 0), row_noise(p, inputs, nearest_row(p, 0), 0));
  }
  // Three equal inputs: 3 * 0.4 = 1.2 is best met by the sum 1.
  const InputProducts equal{3, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {}};
  const Codes codes = gptq_row(p, equal, gptq_factor(equal, {}), 0);
  EXPECT_EQ(codes[0] + codes[1] + codes[2], 1);
}

}  // namespace
}  // namespace octet::repair
