// AdaRound: Nagel et al. 2020, arXiv 2004.10568. Arrays are [cols, kLanes], a lane per row of the matrix, so that the
// gradient is one product of matrices.
#include <algorithm>
#include <cmath>

#include "repair/product_loops.h"
#include "repair/rounding.h"

namespace octet::repair {
namespace {

// The stretch of the rectified sigmoid, equation 23: h = clamp(sigmoid(v) * (zeta - gamma) + gamma, 0, 1).
constexpr float kZeta = 1.1f, kGamma = -0.1f;

class Relaxation {
 public:
  Relaxation(const RoundingProblem& p, const InputProducts& inputs, const std::vector<float>& second, int64_t begin,
             int64_t end)
      : p_(p),
        inputs_(inputs),
        second_(second),
        begin_(begin),
        rows_(static_cast<size_t>(end - begin)),
        cols_(static_cast<size_t>(p.cols)),
        size_(cols_ * kLanes) {
    low_code_.assign(size_, 0);
    for (auto* v : {&low_, &step_, &v_, &q_, &target_, &first_moment_, &second_moment_, &gradient_, &stretched_})
      v->assign(size_, 0.0f);
    weight_of_row_.assign(kLanes, 0.0f);
    for (size_t r = 0; r < rows_; ++r) fill_row(r);
  }

  // Adam (arXiv 1412.6980) with the step size of the paper's code.
  void minimize(const AdaRoundOptions& options) {
    const auto warm = static_cast<int>(options.warm_start * options.iterations);
    for (int i = 0; i < options.iterations; ++i) {
      const bool regularized = i >= warm;
      const double progress =
          options.iterations > warm ? static_cast<double>(i - warm) / (options.iterations - warm) : 1.0;
      const double beta =
          options.beta_end + 0.5 * (options.beta_start - options.beta_end) * (1 + std::cos(progress * M_PI));
      step(i + 1, regularized ? static_cast<float>(options.regularization) : 0.0f, static_cast<float>(beta));
    }
  }

  // The relaxed choice or nearest rounding, both with single flips downhill, whichever has the lower error.
  Codes codes(size_t r) const {
    const int64_t row = row_of(r);
    const Codes nearest = nearest_row(p_, row);
    Codes relaxed(cols_), flipped = nearest, best = nearest;
    for (size_t k = 0; k < cols_; ++k) relaxed[k] = low_code_[at(k, r)] + (up(v_[at(k, r)]) && open(k, r) ? 1 : 0);
    double least = row_error(p_, inputs_, nearest, row);
    for (Codes* candidate : {&relaxed, &flipped}) {
      descend(r, candidate);
      const double error = row_error(p_, inputs_, *candidate, row);
      if (error < least) least = error, best = *candidate;
    }
    return best;
  }

 private:
  static size_t at(size_t k, size_t r) { return k * kLanes + r; }
  int64_t row_of(size_t r) const { return begin_ + static_cast<int64_t>(r); }
  int64_t element(size_t k, size_t r) const { return row_of(r) * p_.cols + static_cast<int64_t>(k); }
  bool open(size_t k, size_t r) const { return step_[at(k, r)] > 0; }
  static bool up(float v) { return v >= 0; }  // h(0) = 1/2

  void fill_row(size_t r) {
    const std::vector<double>& cross = inputs_.cross.empty() ? inputs_.second : inputs_.cross;
    std::vector<double> target(cols_, 0);
    for (size_t j = 0; j < cols_; ++j) {
      const double w = p_.weight[static_cast<size_t>(element(j, r))];
      for (size_t k = 0; w != 0 && k < cols_; ++k) target[k] += w * cross[j * cols_ + k];
    }
    for (size_t k = 0; k < cols_; ++k) {
      const int64_t e = element(k, r);
      const auto i = static_cast<size_t>(e);
      const double t = std::clamp(static_cast<double>(p_.weight[i]) / p_.scale[i] + p_.zero_point[i],
                                  static_cast<double>(p_.lo), static_cast<double>(p_.hi));
      const int32_t low = std::min(static_cast<int32_t>(std::floor(t)), p_.hi);
      low_code_[at(k, r)] = low;
      low_[at(k, r)] = p_.value(e, low);
      // A weight beyond the last code has one choice only.
      step_[at(k, r)] = low < p_.hi ? p_.value(e, low + 1) - p_.value(e, low) : 0.0f;
      const double h = std::clamp(t - low, 0.01, 0.99);
      v_[at(k, r)] = static_cast<float>(-std::log((kZeta - kGamma) / (h - kGamma) - 1));
      target_[at(k, r)] = static_cast<float>(target[k]);
    }
    // The error is measured in what nearest rounding costs a weight on average, so that the regulariser's weight
    // means the same in every layer.
    const double noise = row_noise(p_, inputs_, nearest_row(p_, row_of(r)), row_of(r));
    weight_of_row_[r] = noise > 1e-30 ? static_cast<float>(static_cast<double>(cols_) / noise) : 0.0f;
  }

  void step(int t, float lambda, float beta) {
    constexpr float kRate = 1e-2f, kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-8f;
    for (size_t i = 0; i < size_; ++i) {
      stretched_[i] = 1 / (1 + std::exp(-v_[i])) * (kZeta - kGamma) + kGamma;
      q_[i] = low_[i] + step_[i] * std::clamp(stretched_[i], 0.0f, 1.0f);
    }
    std::fill(gradient_.begin(), gradient_.end(), 0.0f);
    const auto n = static_cast<int64_t>(cols_);
    product_loops().add_products(second_.data(), n, q_.data(), kLanes, n, n, kLanes, gradient_.data(), kLanes);
    const float unbias1 = 1 / (1 - std::pow(kBeta1, static_cast<float>(t)));
    const float unbias2 = 1 / (1 - std::pow(kBeta2, static_cast<float>(t)));
    for (size_t i = 0; i < size_; ++i) {
      if (step_[i] <= 0) continue;
      const float h = stretched_[i];
      if (h <= 0 || h >= 1) {  // what the rectifier cuts off has no gradient
        first_moment_[i] *= kBeta1;
        second_moment_[i] *= kBeta2;
        continue;
      }
      float g = 2 * weight_of_row_[i % kLanes] * (gradient_[i] - target_[i]) * step_[i];
      if (lambda > 0) g += lambda * regularizer_slope(h, beta);
      g *= (h - kGamma) * (kZeta - h) / (kZeta - kGamma);  // dh/dv
      first_moment_[i] = kBeta1 * first_moment_[i] + (1 - kBeta1) * g;
      second_moment_[i] = kBeta2 * second_moment_[i] + (1 - kBeta2) * g * g;
      v_[i] -= kRate * first_moment_[i] * unbias1 / (std::sqrt(second_moment_[i] * unbias2) + kEpsilon);
    }
  }

  // d/dh (1 - |2h - 1|^beta), equation 24.
  static float regularizer_slope(float h, float beta) {
    const float x = 2 * h - 1;
    const float power = std::pow(std::fabs(x), beta - 1);
    return x > 0 ? -2 * beta * power : 2 * beta * power;
  }

  // Flips the weight whose change lowers the error most until none does. A flip by d at k changes the error by
  // d^2 S_kk + 2 d g_k with g = q S - w C.
  void descend(size_t r, Codes* codes) const {
    std::vector<double> g(cols_, 0);
    for (size_t j = 0; j < cols_; ++j) {
      const double q = p_.value(element(j, r), (*codes)[j]);
      for (size_t k = 0; k < cols_; ++k) g[k] += q * inputs_.second[j * cols_ + k];
    }
    for (size_t k = 0; k < cols_; ++k) g[k] -= target_[at(k, r)];
    for (size_t flips = 0; flips < 4 * cols_; ++flips) {
      double best = 0, best_d = 0;
      size_t where = cols_;
      for (size_t k = 0; k < cols_; ++k) {
        if (!open(k, r)) continue;
        const double d = (*codes)[k] == low_code_[at(k, r)] ? step_[at(k, r)] : -step_[at(k, r)];
        const double change = d * d * inputs_.second[k * cols_ + k] + 2 * d * g[k];
        if (change < best) best = change, best_d = d, where = k;
      }
      // Below this the sums cannot tell a gain from rounding.
      if (where == cols_ || -best < 1e-7 * best_d * best_d * inputs_.second[where * cols_ + where]) return;
      (*codes)[where] += best_d > 0 ? 1 : -1;
      for (size_t k = 0; k < cols_; ++k) g[k] += best_d * inputs_.second[where * cols_ + k];
    }
  }

  const RoundingProblem& p_;
  const InputProducts& inputs_;
  const std::vector<float>& second_;
  int64_t begin_;
  size_t rows_, cols_, size_;
  std::vector<int32_t> low_code_;
  std::vector<float> low_, step_, v_, q_, target_, first_moment_, second_moment_, gradient_, stretched_,
      weight_of_row_;
};

}  // namespace

Codes adaround_rows(const RoundingProblem& problem, const InputProducts& inputs, const std::vector<float>& second,
                    const AdaRoundOptions& options, int64_t begin, int64_t end) {
  Relaxation relaxation(problem, inputs, second, begin, end);
  relaxation.minimize(options);
  Codes codes;
  for (int64_t r = 0; r < end - begin; ++r) {
    const Codes row = relaxation.codes(static_cast<size_t>(r));
    codes.insert(codes.end(), row.begin(), row.end());
  }
  return codes;
}

}  // namespace octet::repair
