// Optimizers, clipping and averages against the formulas, one number at a time in double.
#include "training/loop/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "octet/graph.h"
#include "training/loop/averaged_weights.h"
#include "training/loop/gradients.h"

namespace octet::training {
namespace {

constexpr int kSteps = 7;

double gradient_at(int step, size_t i) { return std::sin(1.0 + step * 1.7 + static_cast<double>(i)); }

at::Tensor parameter(const std::vector<double>& values) {
  at::Tensor p = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  std::copy(values.begin(), values.end(), p.data_ptr<double>());
  return p.requires_grad_(true);
}

void set_gradient(at::Tensor& p, int step) {
  at::Tensor g = at::empty_like(p.detach());
  for (int64_t i = 0; i < g.numel(); ++i) g.data_ptr<double>()[i] = gradient_at(step, static_cast<size_t>(i));
  p.mutable_grad() = g;
}

// One number under SGD or Adam, as papers write them.
struct Plain {
  OptimizerOptions o;
  double decay, p, first = 0, second = 0;
  void step(int t, double g, double lr) {
    if (o.kind == OptimizerKind::kSgd) {
      g += decay * p;
      first = t == 1 ? g : o.momentum * first + g;
      p -= lr * (o.momentum == 0 ? g : o.nesterov ? g + o.momentum * first : first);
      return;
    }
    if (o.kind == OptimizerKind::kAdamW) p -= lr * decay * p;
    else g += decay * p;
    first = o.beta1 * first + (1 - o.beta1) * g;
    second = o.beta2 * second + (1 - o.beta2) * g * g;
    const double m = first / (1 - std::pow(o.beta1, t)), v = second / (1 - std::pow(o.beta2, t));
    p -= lr * m / (std::sqrt(v) + o.eps);
  }
};

void compare(const OptimizerOptions& options) {
  struct Group {
    std::vector<double> values;
    double decay, lr_ratio, unit;
  };
  const std::vector<Group> groups = {{{0.5, -1, 2}, 0.1, 1, 1}, {{3, -0.25}, 0, 0.5, 1}, {{0.04, -0.1}, 0.1, 1, 16}};
  std::vector<at::Tensor> parameters;
  std::vector<OptimizerGroup> described;
  std::vector<std::vector<Plain>> plain;  // of unit * p
  for (const Group& g : groups) {
    parameters.push_back(parameter(g.values));
    described.push_back(
        {{{std::string(1, static_cast<char>('a' + plain.size())), parameters.back()}}, g.decay, g.lr_ratio, g.unit});
    plain.emplace_back();
    for (double x : g.values) plain.back().push_back({options, g.decay, g.unit * x});
  }
  Optimizer optimizer(options, described);
  for (int t = 1; t <= kSteps; ++t) {
    const double lr = 0.1 / t;
    for (at::Tensor& p : parameters) set_gradient(p, t);
    optimizer.step(lr);
    for (size_t g = 0; g < groups.size(); ++g)
      for (size_t i = 0; i < groups[g].values.size(); ++i) {
        plain[g][i].step(t, gradient_at(t, i), lr * groups[g].lr_ratio);
        ASSERT_NEAR(groups[g].unit * parameters[g].data_ptr<double>()[i], plain[g][i].p, 1e-12)
            << "group " << g << ", step " << t;
      }
  }
}

TEST(Optimizer, EveryKindFollowsItsFormula) {
  OptimizerOptions o;
  o.momentum = 0;
  compare(o);
  o.momentum = 0.9;
  compare(o);
  o.nesterov = true;
  compare(o);
  o.kind = OptimizerKind::kAdam;
  compare(o);
  o.kind = OptimizerKind::kAdamW;
  o.beta1 = 0.8;
  compare(o);
}

TEST(Optimizer, AParameterWithoutGradientStays) {
  at::Tensor p = parameter({1, 2});
  Optimizer optimizer({}, {{{{"p", p}}, 0.5, 1}});
  optimizer.step(1);
  EXPECT_EQ(p.data_ptr<double>()[1], 2);
}

TEST(Optimizer, ASavedStateGoesOnTheSame) {
  for (OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdam}) {
    OptimizerOptions o;
    o.kind = kind;
    at::Tensor whole = parameter({1, 2, 3});
    Optimizer first(o, {{{{"p", whole}}, 0.1, 1}});
    at::Tensor half, rest;
    std::vector<NamedTensor> state;
    for (int t = 1; t <= 6; ++t) {
      if (t == 4) {
        half = whole.detach().clone().requires_grad_(true);
        for (const NamedTensor& s : first.state()) state.push_back({s.name, s.tensor.clone()});
      }
      set_gradient(whole, t);
      first.step(0.1);
    }
    Optimizer second(o, {{{{"p", half}}, 0.1, 1}});
    ASSERT_TRUE(second.load_state(state, 3).is_ok());
    for (int t = 4; t <= 6; ++t) {
      set_gradient(half, t);
      second.step(0.1);
    }
    EXPECT_TRUE(at::equal(whole.detach(), half.detach()));
    state[0].tensor = at::zeros({2}, at::kDouble);
    EXPECT_FALSE(second.load_state(state, 3).is_ok());
    EXPECT_FALSE(second.load_state({}, 3).is_ok());
  }
}

TEST(Gradients, AreClippedTogether) {
  at::Tensor a = parameter({0, 0}), b = parameter({0});
  a.mutable_grad() = at::full({2}, 3.0, at::kDouble);
  b.mutable_grad() = at::full({1}, 4.0, at::kDouble);
  const double norm = std::sqrt(9 + 9 + 16);
  EXPECT_NEAR(clip_gradients({{"a", a}, {"b", b}}, 100).item<double>(), norm, 1e-12);
  EXPECT_EQ(a.grad().data_ptr<double>()[0], 3) << "within the limit nothing changes";
  (void)clip_gradients({{"a", a}, {"b", b}}, 2);
  EXPECT_NEAR(a.grad().data_ptr<double>()[1], 3 * 2 / norm, 1e-5);
  EXPECT_NEAR(b.grad().data_ptr<double>()[0], 4 * 2 / norm, 1e-5);
}

TEST(Gradients, AreDividedByTheUnitsOfTheirParameters) {
  at::Tensor a = parameter({0, 0}), b = parameter({0}), without = parameter({1});
  a.mutable_grad() = at::full({2}, 24.0, at::kDouble);
  b.mutable_grad() = at::full({1}, 4.0, at::kDouble);
  divide_gradients({{"a", a}, {"b", b}, {"c", without}}, {{"a", 8}, {"c", 8}, {"unknown", 8}});
  EXPECT_EQ(a.grad().data_ptr<double>()[1], 3);
  EXPECT_EQ(b.grad().data_ptr<double>()[0], 4);
  EXPECT_FALSE(without.grad().defined());
}

TEST(AveragedWeights, FollowTheRuleAndSwapBack) {
  Graph g;
  const ValueId x = g.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(2)});
  g.inputs = {x};
  const ValueId w = g.add_constant("w", Tensor::from<float>({2, 2}, {1, 2, 3, 4}));
  g.add_node("MatMul", {x, w}, {"y"});
  g.outputs = {g.find_value("y")};
  auto module = TrainableModule::create(g);
  ASSERT_TRUE(module.is_ok()) << module.status().message();
  EmaOptions o;
  o.enabled = true;
  o.rule = EmaDecay::kConstant;
  o.decay = 0.75;
  AveragedWeights average(o, **module);
  at::Tensor live = (*module)->parameters()[0].tensor;
  double expected = 1;
  for (int t = 1; t <= 4; ++t) {
    {
      const at::NoGradGuard no_grad;
      live.fill_(10 * t);
    }
    average.update(4);
    expected = 0.75 * expected + 0.25 * 10 * t;
  }
  average.swap();
  EXPECT_NEAR(live.data_ptr<float>()[0], expected, 1e-5);
  average.swap();
  EXPECT_EQ(live.data_ptr<float>()[0], 40);
}

}  // namespace
}  // namespace octet::training
