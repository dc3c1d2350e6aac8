// Losses against plain loops in double.
#include "training/loop/losses.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/random_graph.h"

namespace octet::training {
namespace {

using octet::test::Random;

std::vector<double> softmax(const std::vector<double>& z, double t = 1) {
  std::vector<double> p;
  double sum = 0;
  for (double x : z) sum += std::exp(x / t);
  for (double x : z) p.push_back(std::exp(x / t) / sum);
  return p;
}

std::vector<std::vector<double>> random_rows(uint64_t seed, int n, int c) {
  Random random(seed);
  std::vector<std::vector<double>> rows(static_cast<size_t>(n));
  for (auto& row : rows)
    for (int k = 0; k < c; ++k) row.push_back(random.real(-3, 3));
  return rows;
}

at::Tensor tensor_of(const std::vector<std::vector<double>>& rows) {
  at::Tensor t = at::empty({static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())}, at::kDouble);
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t k = 0; k < rows[i].size(); ++k) t.data_ptr<double>()[i * rows[i].size() + k] = rows[i][k];
  return t;
}

at::Tensor longs(const std::vector<int64_t>& v) {
  at::Tensor t = at::empty({static_cast<int64_t>(v.size())}, at::kLong);
  std::copy(v.begin(), v.end(), t.data_ptr<int64_t>());
  return t;
}

// Cross entropy against the whole target distribution.
double slow_loss(const std::vector<std::vector<double>>& rows, const std::vector<int64_t>& a,
                 const std::vector<int64_t>& b, double lambda, double smoothing) {
  double sum = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto p = softmax(rows[i]);
    const auto c = static_cast<double>(p.size());
    for (size_t k = 0; k < p.size(); ++k) {
      const double hard =
          lambda * (a[i] == static_cast<int64_t>(k)) + (1 - lambda) * (b[i] == static_cast<int64_t>(k));
      sum -= ((1 - smoothing) * hard + smoothing / c) * std::log(p[k]);
    }
  }
  return sum / static_cast<double>(rows.size());
}

TEST(Losses, CrossEntropyWithSmoothingAndMixup) {
  const auto rows = random_rows(1, 6, 5);
  const std::vector<int64_t> a = {0, 1, 2, 3, 4, 0}, b = {4, 4, 2, 0, 1, 3};
  for (double smoothing : {0.0, 0.1}) {
    EXPECT_NEAR(cross_entropy(tensor_of(rows), {longs(a), {}, 1}, smoothing).item<double>(),
                slow_loss(rows, a, a, 1, smoothing), 1e-12);
    EXPECT_NEAR(cross_entropy(tensor_of(rows), {longs(a), longs(b), 0.3}, smoothing).item<double>(),
                slow_loss(rows, a, b, 0.3, smoothing), 1e-12);
  }
  EXPECT_EQ(cross_entropy(tensor_of(rows).to(at::kHalf), {longs(a), {}, 1}, 0).scalar_type(), at::kFloat);
}

TEST(Losses, CrossEntropyHasTheKnownGradient) {
  const auto rows = random_rows(2, 3, 4);
  at::Tensor z = tensor_of(rows).requires_grad_(true);
  cross_entropy(z, {longs({1, 0, 3}), {}, 1}, 0).backward();
  for (size_t i = 0; i < 3; ++i) {
    const auto p = softmax(rows[i]);
    for (size_t k = 0; k < 4; ++k) {
      const double hot = (i == 0 && k == 1) || (i == 1 && k == 0) || (i == 2 && k == 3) ? 1 : 0;
      EXPECT_NEAR(z.grad().data_ptr<double>()[i * 4 + k], (p[k] - hot) / 3, 1e-12);
    }
  }
}

TEST(Losses, DistillationIsTheKlOfSoftenedOutputs) {
  const auto s = random_rows(3, 4, 6), t = random_rows(4, 4, 6);
  for (double temperature : {1.0, 4.0}) {
    double sum = 0;
    for (size_t i = 0; i < s.size(); ++i) {
      const auto p = softmax(t[i], temperature), q = softmax(s[i], temperature);
      for (size_t k = 0; k < p.size(); ++k) sum += p[k] * std::log(p[k] / q[k]);
    }
    EXPECT_NEAR(distillation_loss(tensor_of(s), tensor_of(t), temperature).item<double>(),
                sum / 4 * temperature * temperature, 1e-12);
  }
  at::Tensor same = tensor_of(t).requires_grad_(true);
  distillation_loss(same, tensor_of(t), 2).backward();
  EXPECT_NEAR(same.grad().abs().max().item<double>(), 0, 1e-12);
}

TEST(Losses, OtherShapesAreComparedByRelativeSquares) {
  const at::Tensor t = at::full({2, 3, 4}, 2.0, at::kDouble), s = at::full({2, 3, 4}, 3.0, at::kDouble);
  EXPECT_NEAR(distillation_loss(s, t, 4).item<double>(), 0.25, 1e-12);
  EXPECT_NEAR(feature_loss(s, t).item<double>(), 1, 1e-12);
  EXPECT_TRUE(std::isfinite(distillation_loss(s, at::zeros_like(t), 4).item<double>()));
}

}  // namespace
}  // namespace octet::training
