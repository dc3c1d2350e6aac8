// Two processes, played by two threads, normalize their parts of a batch as one process normalizes the whole.
#include "training/shared_batch.h"

#include <gtest/gtest.h>

#include <barrier>
#include <thread>

#include "training/fake_quantize.h"

namespace octet::training {
namespace {

constexpr double kMomentum = 0.1, kEpsilon = 1e-5;

// Adds up what the threads bring.
class Meeting {
 public:
  explicit Meeting(int n) : parts_(static_cast<size_t>(n)), barrier_(n) {}
  void sum(size_t who, at::Tensor& t) {
    parts_[who] = t.clone();
    barrier_.arrive_and_wait();
    at::Tensor total = at::zeros_like(t);
    for (const at::Tensor& part : parts_) total += part;
    barrier_.arrive_and_wait();
    t.copy_(total);
  }

 private:
  std::vector<at::Tensor> parts_;
  std::barrier<> barrier_;
};

struct Outcome {
  at::Tensor y, dx, d_weight, d_bias, mean, variance;
};

struct Problem {
  at::Tensor x, dy, weight, bias, mean, variance;
};

Problem problem(at::IntArrayRef shape, at::ScalarType type) {
  at::manual_seed(7);
  const at::TensorOptions o(type);
  const int64_t c = shape[1];
  return {at::randn(shape, o) * 2 + 3, at::randn(shape, o), at::rand({c}, o) + 0.5,
          at::randn({c}, o),           at::randn({c}, o),   at::rand({c}, o) + 0.5};
}

// One part, [begin, end) of the samples; `counts` false: a sample that belongs to nobody, with a gradient of zero.
Outcome run_part(const Problem& p, int64_t begin, int64_t end, bool counts,
                 const std::function<void(at::Tensor&)>& sum) {
  SharedBatch batch{sum, end - begin, p.x.size(0), counts};
  const at::Tensor x = p.x.narrow(0, begin, end - begin).clone().set_requires_grad(true);
  const at::Tensor weight = p.weight.clone().set_requires_grad(true), bias = p.bias.clone().set_requires_grad(true);
  const at::Tensor mean = p.mean.clone(), variance = p.variance.clone();
  const at::Tensor y = shared_batch_norm(x, weight, bias, mean, variance, kMomentum, kEpsilon, batch);
  (y * p.dy.narrow(0, begin, end - begin) * (counts ? 1.0 : 0.0)).sum().backward();
  return {y.detach(), x.grad(), weight.grad(), bias.grad(), mean, variance};
}

Outcome run_whole(const Problem& p) {
  const at::Tensor x = p.x.clone().set_requires_grad(true);
  const at::Tensor weight = p.weight.clone().set_requires_grad(true), bias = p.bias.clone().set_requires_grad(true);
  const at::Tensor mean = p.mean.clone(), variance = p.variance.clone();
  const at::Tensor y = at::batch_norm(x, weight, bias, mean, variance, true, kMomentum, kEpsilon, false);
  (y * p.dy).sum().backward();
  return {y.detach(), x.grad(), weight.grad(), bias.grad(), mean, variance};
}

std::vector<Outcome> run_parts(const Problem& p, const std::vector<std::pair<int64_t, int64_t>>& parts,
                               const std::vector<bool>& counts) {
  Meeting meeting(static_cast<int>(parts.size()));
  std::vector<Outcome> outcomes(parts.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < parts.size(); ++i)
    threads.emplace_back([&, i] {
      outcomes[i] = run_part(p, parts[i].first, parts[i].second, counts[i],
                             [&meeting, i](at::Tensor& t) { meeting.sum(i, t); });
    });
  for (std::thread& t : threads) t.join();
  return outcomes;
}

TEST(SharedBatchNorm, PartsEqualTheWhole) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{7, 5, 4, 3}, {6, 3}, {5, 4, 9}}) {
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      Problem p = problem(shape, type);
      if (shape.size() == 4) p.x = p.x.contiguous(at::MemoryFormat::ChannelsLast);
      const double tolerance = type == at::kDouble ? 1e-10 : 2e-4;
      const Outcome whole = run_whole(p);
      const int64_t n = shape[0];
      const std::vector<Outcome> parts = run_parts(p, {{0, n / 2}, {n / 2, n}}, {true, true});
      const auto close = [&](const at::Tensor& a, const at::Tensor& b) {
        return at::allclose(a, b, tolerance, tolerance);
      };
      EXPECT_TRUE(close(at::cat({parts[0].y, parts[1].y}), whole.y));
      EXPECT_TRUE(close(at::cat({parts[0].dx, parts[1].dx}), whole.dx));
      EXPECT_TRUE(close(parts[0].d_weight + parts[1].d_weight, whole.d_weight));
      EXPECT_TRUE(close(parts[0].d_bias + parts[1].d_bias, whole.d_bias));
      for (const Outcome& part : parts) {
        EXPECT_TRUE(close(part.mean, whole.mean));
        EXPECT_TRUE(close(part.variance, whole.variance));
      }
      EXPECT_TRUE(at::equal(parts[0].mean, parts[1].mean) && at::equal(parts[0].variance, parts[1].variance));
    }
  }
}

TEST(SharedBatchNorm, ASampleThatDoesNotCountChangesNothing) {
  const Problem p = problem({4, 3, 2, 2}, at::kDouble);
  const Outcome whole = run_whole(p);
  const std::vector<Outcome> parts = run_parts(p, {{0, 4}, {0, 1}}, {true, false});
  EXPECT_TRUE(at::allclose(parts[0].y, whole.y));
  EXPECT_TRUE(at::allclose(parts[0].dx, whole.dx));
  EXPECT_TRUE(at::allclose(parts[1].mean, whole.mean));
  EXPECT_EQ(parts[1].d_weight.abs().max().item<double>(), 0);
  EXPECT_EQ(parts[1].dx.abs().max().item<double>(), 0);
}

TEST(SharedBatch, ScalesOfPartsGetTheGradientOfTheWhole) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({6, 5}), g = at::randn({6, 5});
  const auto gradient = [&](int64_t begin, int64_t n, QuantizerSpec spec) {
    const at::Tensor scale = at::full({1}, 0.01f).set_requires_grad(true);
    const at::Tensor zero = at::zeros({1}, at::kInt);
    (fake_quantize(x.narrow(0, begin, n).clone(), scale, zero, spec) * g.narrow(0, begin, n)).sum().backward();
    return scale.grad();
  };
  QuantizerSpec spec;
  const at::Tensor whole = gradient(0, 6, spec);
  spec.all_samples = 6;
  spec.own_samples = 2;
  const at::Tensor first = gradient(0, 2, spec);
  spec.own_samples = 4;
  EXPECT_TRUE(at::allclose(first + gradient(2, 4, spec), whole, 1e-5));
}

}  // namespace
}  // namespace octet::training
