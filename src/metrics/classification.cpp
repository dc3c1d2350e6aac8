#include "metrics/classification.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "metrics/scores.h"

namespace octet {
namespace {

bool has_nan(const float* row, int64_t n) {
  return std::any_of(row, row + n, [](float v) { return std::isnan(v); });
}

int64_t arg_max(const float* row, int64_t n) { return top_k(row, n, 1)[0]; }

}  // namespace

Result<Tensor> as_float32(const Tensor& t) {
  if (t.dtype() == DType::kFloat32) return t;
  if (t.dtype() != DType::kFloat64)
    return invalid_argument(std::string("the output is ") + dtype_name(t.dtype()) +
                            "; metrics need float32 or float64 values");
  OCTET_ASSIGN(Tensor out, Tensor::create(DType::kFloat32, t.dims()));
  std::transform(t.data<double>(), t.data<double>() + t.numel(), out.data<float>(),
                 [](double v) { return static_cast<float>(v); });
  return out;
}

Result<ScoreRows> as_score_rows(const Tensor& t) {
  const bool flat = t.rank() >= 2 && t.dim(0) > 0 && t.dim(1) > 0 && t.numel() == t.dim(0) * t.dim(1);
  if (!flat)
    return invalid_argument("scores must have shape [N, classes], got " + dims_to_string(t.dims()) +
                            "; name the output that holds the class scores");
  OCTET_ASSIGN(Tensor values, as_float32(t));
  return ScoreRows{std::move(values), t.dim(0), t.dim(1)};
}

Interval wilson_interval(int64_t successes, int64_t trials, double z) {
  if (trials <= 0) return {};
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n;
  const double centre = p + z * z / (2 * n);
  const double spread = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const double divisor = 1 + z * z / n;
  // Exactly 0 and 1 at the ends, where rounding would miss them by an ulp.
  const double low = successes == 0 ? 0 : (centre - spread) / divisor;
  const double high = successes == trials ? 1 : (centre + spread) / divisor;
  return {std::max(low, 0.0), std::min(high, 1.0)};
}

std::vector<int64_t> top_k(const float* scores, int64_t n, int64_t k) {
  std::vector<int64_t> order(static_cast<size_t>(std::max<int64_t>(n, 0)));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto better = [&](int64_t a, int64_t b) {
    const float x = scores[a], y = scores[b];
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) == std::isnan(y) ? a < b : std::isnan(y);
    return x != y ? x > y : a < b;
  };
  k = std::clamp<int64_t>(k, 0, n);
  std::partial_sort(order.begin(), order.begin() + k, order.end(), better);
  order.resize(static_cast<size_t>(k));
  return order;
}

Status TopKAccuracy::add(const Tensor& scores, const std::vector<int64_t>& labels) {
  OCTET_ASSIGN(const ScoreRows rows, as_score_rows(scores));
  if (static_cast<int64_t>(labels.size()) != rows.rows)
    return invalid_argument("there are " + std::to_string(rows.rows) + " rows of scores but " +
                            std::to_string(labels.size()) + " labels");
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= rows.columns)
      return invalid_argument("label " + std::to_string(labels[i]) + " of sample " + std::to_string(i) +
                              " of the batch is outside of the network's " + std::to_string(rows.columns) +
                              " classes; check that the data belongs to this network");
  for (int64_t i = 0; i < rows.rows; ++i) {
    ++count_;
    if (has_nan(rows.row(i), rows.columns)) continue;
    const std::vector<int64_t> best = top_k(rows.row(i), rows.columns, 5);
    const int64_t label = labels[static_cast<size_t>(i)];
    top1_ += best[0] == label ? 1 : 0;
    top5_ += std::count(best.begin(), best.end(), label);
  }
  return Status::ok();
}

TopKAccuracy TopKAccuracy::of(int64_t count, int64_t top1, int64_t top5) {
  TopKAccuracy accuracy;
  accuracy.count_ = count;
  accuracy.top1_ = top1;
  accuracy.top5_ = top5;
  return accuracy;
}

void TopKAccuracy::merge(const TopKAccuracy& other) {
  count_ += other.count_;
  top1_ += other.top1_;
  top5_ += other.top5_;
}

Status Agreement::add(const Tensor& a, const Tensor& b) {
  OCTET_ASSIGN(const ScoreRows x, as_score_rows(a));
  OCTET_ASSIGN(const ScoreRows y, as_score_rows(b));
  if (x.rows != y.rows || x.columns != y.columns)
    return invalid_argument("the two outputs differ in shape: " + dims_to_string(a.dims()) + " and " +
                            dims_to_string(b.dims()));
  for (int64_t i = 0; i < x.rows; ++i) {
    ++count_;
    const bool broken = has_nan(x.row(i), x.columns) || has_nan(y.row(i), y.columns);
    same_ += !broken && arg_max(x.row(i), x.columns) == arg_max(y.row(i), y.columns) ? 1 : 0;
  }
  return Status::ok();
}

void Agreement::merge(const Agreement& other) {
  count_ += other.count_;
  same_ += other.same_;
}

}  // namespace octet
