// Losses of boxes and pixels against plain loops, and their gradients against central differences in float64.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "support/random_graph.h"
#include "training/loop/box_losses.h"
#include "training/loop/detector_head.h"
#include "training/loop/pixel_losses.h"

namespace octet::training {
namespace {

using octet::test::Random;

at::Tensor random_doubles(uint64_t seed, at::IntArrayRef sizes, double lo, double hi) {
  Random random(seed);
  at::Tensor t = at::empty(sizes, at::kDouble);
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = random.real(lo, hi);
  return t;
}

// Corners of boxes in 0..30, some of which meet.
at::Tensor random_boxes(uint64_t seed, int64_t n) {
  at::Tensor t = random_doubles(seed, {n, 4}, 0, 15);
  t.narrow(1, 2, 2).add_(t.narrow(1, 0, 2) + 1);
  return t;
}

void expect_gradient(const std::function<at::Tensor(const at::Tensor&)>& f, at::Tensor x, double tolerance = 1e-6) {
  x = x.clone().set_requires_grad(true);
  f(x).sum().backward();
  const at::Tensor gradient = x.grad().contiguous();
  const at::NoGradGuard no_grad;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double h = 1e-6, before = x.data_ptr<double>()[i];
    x.data_ptr<double>()[i] = before + h;
    const double up = f(x).sum().item<double>();
    x.data_ptr<double>()[i] = before - h;
    const double down = f(x).sum().item<double>();
    x.data_ptr<double>()[i] = before;
    const double want = (up - down) / (2 * h);
    EXPECT_NEAR(gradient.data_ptr<double>()[i], want, tolerance * std::max(1.0, std::abs(want))) << i;
  }
}

double slow_box_loss(const double* a, const double* b, BoxLoss kind) {
  const auto span = [](double lo, double hi) { return std::max(0.0, hi - lo); };
  const double both =
      span(std::max(a[0], b[0]), std::min(a[2], b[2])) * span(std::max(a[1], b[1]), std::min(a[3], b[3]));
  const double either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;
  if (kind == BoxLoss::kSquaredIou) return 1 - both / either * both / either;
  const double hull = (std::max(a[2], b[2]) - std::min(a[0], b[0])) * (std::max(a[3], b[3]) - std::min(a[1], b[1]));
  return 1 - (both / either - (hull - either) / hull);
}

TEST(BoxLosses, AreTheirDefinitionsWithTheirGradients) {
  const at::Tensor a = random_boxes(1, 24), b = random_boxes(2, 24);
  for (BoxLoss kind : {BoxLoss::kSquaredIou, BoxLoss::kGiou}) {
    const at::Tensor loss = box_loss(a, b, kind);
    int apart = 0;
    for (int64_t i = 0; i < 24; ++i) {
      const double want = slow_box_loss(a.data_ptr<double>() + 4 * i, b.data_ptr<double>() + 4 * i, kind);
      EXPECT_NEAR(loss.data_ptr<double>()[i], want, 1e-9);
      apart += kind == BoxLoss::kSquaredIou && want == 1 ? 1 : 0;
    }
    if (kind == BoxLoss::kSquaredIou) {
      EXPECT_GT(apart, 0) << "some do not meet";
      EXPECT_LT(apart, 20);
    }
    expect_gradient([&](const at::Tensor& x) { return box_loss(x, b, kind); }, a);
  }
  EXPECT_NEAR(box_loss(a, a, BoxLoss::kGiou).abs().max().item<double>(), 0, 1e-9);
}

TEST(BoxLosses, DecodedBoxesPassGradientsBack) {
  RawPredictions raw;
  for (float stride : {8.0F, 16.0F})
    for (float x = 0; x < 3; ++x) raw.cells.push_back({x, 1, stride});
  const at::Tensor wanted = random_boxes(4, 12);
  const auto loss = [&](const at::Tensor& x) {
    raw.boxes = x;
    return box_loss(decode_boxes(raw).reshape({12, 4}), wanted, BoxLoss::kGiou);
  };
  expect_gradient(loss, random_doubles(5, {2, 6, 4}, -1, 1));
}

TEST(BinaryLoss, OfLogitsAndOfProbabilities) {
  const at::Tensor z = random_doubles(6, {40}, -6, 6), t = random_doubles(7, {40}, 0, 1);
  const at::Tensor of_logits = binary_loss(z, t, true), of_chances = binary_loss(z.sigmoid(), t, false);
  for (int64_t i = 0; i < 40; ++i) {
    const double p = 1 / (1 + std::exp(-z.data_ptr<double>()[i])), y = t.data_ptr<double>()[i];
    const double want = -(y * std::log(p) + (1 - y) * std::log(1 - p));
    EXPECT_NEAR(of_logits.data_ptr<double>()[i], want, 1e-9);
    EXPECT_NEAR(of_chances.data_ptr<double>()[i], want, 1e-9);
  }
  expect_gradient([&](const at::Tensor& x) { return binary_loss(x, t, true); }, z);
  expect_gradient([&](const at::Tensor& x) { return binary_loss(x.sigmoid(), t, false); }, z);
}

TEST(BinaryLoss, ProbabilitiesOfZeroAndOneStayFinite) {
  at::Tensor p = at::tensor({0.0, 1.0, 0.0, 1.0}, at::kDouble).set_requires_grad(true);
  const at::Tensor t = at::tensor({1.0, 0.0, 0.0, 1.0}, at::kDouble);
  const at::Tensor loss = binary_loss(p, t, false);
  loss.sum().backward();
  EXPECT_NEAR(loss[0].item<double>(), -std::log(1e-4), 1e-6);
  EXPECT_NEAR(p.grad()[0].item<double>(), -1e4, 1) << "it learns from being wrong";
  EXPECT_NEAR(p.grad()[1].item<double>(), 1e4, 1);
  EXPECT_NEAR(p.grad()[2].item<double>(), 1, 1e-3);
  EXPECT_NEAR(p.grad()[3].item<double>(), -1, 1e-3);
}

// [2, 3, 4, 5] scores and labels with ignored pixels.
struct Pixels {
  at::Tensor scores = random_doubles(8, {2, 3, 4, 5}, -3, 3);
  at::Tensor labels = at::empty({2, 4, 5}, at::kLong);
  Pixels() {
    Random random(9);
    for (int64_t i = 0; i < labels.numel(); ++i)
      labels.data_ptr<int64_t>()[i] = random.chance(0.25) ? 255 : random.integer(0, 2);
  }
  double score(int64_t n, int64_t c, int64_t i) const { return scores.data_ptr<double>()[(n * 3 + c) * 20 + i]; }
  int64_t label(int64_t n, int64_t i) const { return labels.data_ptr<int64_t>()[n * 20 + i]; }
  double chance(int64_t n, int64_t c, int64_t i) const {
    double sum = 0;
    for (int64_t k = 0; k < 3; ++k) sum += std::exp(score(n, k, i));
    return std::exp(score(n, c, i)) / sum;
  }
};

TEST(PixelLosses, CrossEntropyLeavesIgnoredPixelsOut) {
  const Pixels p;
  for (double smoothing : {0.0, 0.1}) {
    double want = 0;
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t i = 0; i < 20; ++i) {
        if (p.label(n, i) == 255) continue;
        for (int64_t c = 0; c < 3; ++c) {
          const double target = (c == p.label(n, i) ? 1 - smoothing : 0) + smoothing / 3;
          want -= target * std::log(p.chance(n, c, i));
        }
      }
    EXPECT_NEAR(pixel_cross_entropy(p.scores, p.labels, 255, smoothing).item<double>(), want, 1e-9);
    expect_gradient([&](const at::Tensor& x) { return pixel_cross_entropy(x, p.labels, 255, smoothing); }, p.scores);
  }
  const at::Tensor nothing = at::full({2, 4, 5}, 255, at::kLong);
  EXPECT_EQ(pixel_cross_entropy(p.scores, nothing, 255, 0).item<double>(), 0);
}

TEST(PixelLosses, DiceIsItsDefinition) {
  const Pixels p;
  double want = 0;
  for (int64_t n = 0; n < 2; ++n) {
    double mean = 0;
    for (int64_t c = 0; c < 3; ++c) {
      double both = 0, predicted = 0, truth = 0;
      for (int64_t i = 0; i < 20; ++i) {
        if (p.label(n, i) == 255) continue;
        predicted += p.chance(n, c, i);
        truth += p.label(n, i) == c ? 1 : 0;
        both += p.label(n, i) == c ? p.chance(n, c, i) : 0;
      }
      mean += (2 * both + 1) / (predicted + truth + 1) / 3;
    }
    want += 1 - mean;
  }
  EXPECT_NEAR(dice_loss(p.scores, p.labels, 255).item<double>(), want, 1e-9);
  expect_gradient([&](const at::Tensor& x) { return dice_loss(x, p.labels, 255); }, p.scores);
}

}  // namespace
}  // namespace octet::training
