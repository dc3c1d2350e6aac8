#include "metrics/similarity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "metrics/scores.h"

namespace octet {
namespace {

Status different(const Tensor& a, const Tensor& b) {
  return invalid_argument("the two tensors differ in shape: " + dims_to_string(a.dims()) + " and " +
                          dims_to_string(b.dims()));
}

Result<Similarity> compare(const Tensor& reference, const Tensor& test) {
  Similarity s;
  OCTET_RETURN_IF_ERROR(s.add(reference, test));
  return s;
}

std::vector<double> log_softmax(const float* row, int64_t n) {
  std::vector<double> out(row, row + n);
  const double top = *std::max_element(out.begin(), out.end());
  double sum = 0;
  for (double v : out) sum += std::exp(v - top);
  const double shift = top + std::log(sum);
  for (double& v : out) v -= shift;
  return out;
}

bool all_finite(const float* row, int64_t n) {
  return std::all_of(row, row + n, [](float v) { return std::isfinite(v); });
}

}  // namespace

Status Similarity::add(const float* reference, const float* test, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double r = reference[i], t = test[i];
    ++count_;
    if (!std::isfinite(r) || !std::isfinite(t)) {
      ++nonfinite_;
      continue;
    }
    const double d = r - t;
    signal_ += r * r;
    test_power_ += t * t;
    product_ += r * t;
    noise_ += d * d;
    max_abs_diff_ = std::max(max_abs_diff_, std::abs(d));
  }
  return Status::ok();
}

Status Similarity::add(const Tensor& reference, const Tensor& test) {
  if (reference.numel() != test.numel()) return different(reference, test);
  OCTET_ASSIGN(const Tensor r, as_float32(reference));
  OCTET_ASSIGN(const Tensor t, as_float32(test));
  return add(r.data<float>(), t.data<float>(), r.numel());
}

void Similarity::merge(const Similarity& other) {
  count_ += other.count_;
  nonfinite_ += other.nonfinite_;
  signal_ += other.signal_;
  test_power_ += other.test_power_;
  product_ += other.product_;
  noise_ += other.noise_;
  max_abs_diff_ = std::max(max_abs_diff_, other.max_abs_diff_);
}

double Similarity::sqnr_db() const {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (noise_ == 0) return kInfinity;
  return signal_ == 0 ? -kInfinity : 10 * std::log10(signal_ / noise_);
}

double Similarity::cosine() const {
  if (signal_ == 0 || test_power_ == 0) return signal_ == test_power_ ? 1 : 0;
  return std::clamp(product_ / (std::sqrt(signal_) * std::sqrt(test_power_)), -1.0, 1.0);
}

Result<double> sqnr_db(const Tensor& reference, const Tensor& test) {
  OCTET_ASSIGN(const Similarity s, compare(reference, test));
  return s.sqnr_db();
}

Result<double> cosine_similarity(const Tensor& reference, const Tensor& test) {
  OCTET_ASSIGN(const Similarity s, compare(reference, test));
  return s.cosine();
}

Result<double> max_abs_difference(const Tensor& reference, const Tensor& test) {
  OCTET_ASSIGN(const Similarity s, compare(reference, test));
  return s.max_abs_diff();
}

Result<double> softmax_kl_divergence(const Tensor& reference, const Tensor& test) {
  OCTET_ASSIGN(const ScoreRows r, as_score_rows(reference));
  OCTET_ASSIGN(const ScoreRows t, as_score_rows(test));
  if (r.rows != t.rows || r.columns != t.columns) return different(reference, test);
  double sum = 0;
  for (int64_t i = 0; i < r.rows; ++i) {
    if (!all_finite(r.row(i), r.columns) || !all_finite(t.row(i), t.columns))
      return invalid_argument("row " + std::to_string(i) + " of the scores holds a NaN or an infinity");
    const std::vector<double> p = log_softmax(r.row(i), r.columns), q = log_softmax(t.row(i), t.columns);
    for (size_t c = 0; c < p.size(); ++c) sum += std::exp(p[c]) * (p[c] - q[c]);
  }
  return std::max(sum / static_cast<double>(r.rows), 0.0);  // rounding may leave -1e-17
}

}  // namespace octet
