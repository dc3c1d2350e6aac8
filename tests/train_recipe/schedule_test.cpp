// Learning rates, averaging and weight decay against their closed forms, written out here.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "octet/training_recipe.h"

namespace octet {
namespace {

TEST(Schedule, WarmUpIsAStraightLineToTheInitialRate) {
  LrSchedule s;
  s.initial_lr = 0.4;
  s.warmup_epochs = 2;
  s.warmup_initial_lr = 0.1;
  for (int step = 0; step < 20; ++step) EXPECT_NEAR(learning_rate(s, step, 10, 5), 0.1 + 0.3 * step / 20, 1e-15);
  EXPECT_EQ(learning_rate(s, 20, 10, 5), 0.4);
  s.warmup_mode = WarmupMode::kPerEpoch;
  EXPECT_EQ(learning_rate(s, 9, 10, 5), 0.1);
  EXPECT_NEAR(learning_rate(s, 10, 10, 5), 0.25, 1e-15);
  s.warmup_initial_lr.reset();
  EXPECT_NEAR(learning_rate(s, 0, 10, 5), 0.4 / 3, 1e-15);
}

TEST(Schedule, CosineAfterWarmUpAndBeforeCooldown) {
  LrSchedule s;
  s.mode = LrMode::kCosine;
  s.initial_lr = 0.5;
  s.cosine_final_lr_ratio = 0.02;
  s.warmup_epochs = 1;
  s.cooldown_epochs = 2;
  const int per = 7, epochs = 13, steps = (13 - 3) * 7;
  for (int t = 0; t < steps; ++t) {
    const double want = 0.01 + 0.49 * 0.5 * (1 + std::cos(3.14159265358979323846 * t / steps));
    EXPECT_NEAR(learning_rate(s, per + t, per, epochs), want, 1e-14);
  }
  for (int step = per + steps; step < per * epochs; ++step)
    EXPECT_NEAR(learning_rate(s, step, per, epochs), 0.01, 1e-15);
  EXPECT_NEAR(learning_rate(s, per + steps / 2, per, epochs), (0.5 + 0.01) / 2, 1e-15);
}

TEST(Schedule, StepsAndConstant) {
  LrSchedule s;
  s.initial_lr = 1;
  EXPECT_EQ(learning_rate(s, 12345, 10, 3), 1);
  s.mode = LrMode::kStep;
  s.updates = {3, 5};
  s.decay_factor = 0.1;
  const std::vector<double> by_epoch = {1, 1, 1, 0.1, 0.1, 0.01, 0.01};
  for (int e = 0; e < 7; ++e)
    for (int i = 0; i < 4; ++i)
      EXPECT_NEAR(learning_rate(s, e * 4 + i, 4, 7), by_epoch[static_cast<size_t>(e)], 1e-16);
}

TEST(Schedule, AWarmUpOfEveryEpochNeedsNoCosine) {
  LrSchedule s;
  s.mode = LrMode::kCosine;
  s.initial_lr = 1;
  s.warmup_epochs = 1;
  s.warmup_initial_lr = 0;
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(learning_rate(s, i, 5, 1), i / 5.0, 1e-15);
  EXPECT_TRUE(std::isfinite(learning_rate(s, 5, 5, 1)));
}

TEST(EmaDecay, ThreeRules) {
  EmaOptions o;
  o.decay = 0.99;
  o.rule = EmaDecay::kConstant;
  EXPECT_EQ(ema_decay(o, 1, 100), 0.99);
  o.rule = EmaDecay::kThreshold;
  EXPECT_EQ(ema_decay(o, 1, 100), 2.0 / 11);
  EXPECT_EQ(ema_decay(o, 100000, 100), 0.99);
  o.rule = EmaDecay::kExponential;
  o.beta = 15;
  EXPECT_NEAR(ema_decay(o, 10, 100), 0.99 * (1 - std::exp(-1.5)), 1e-15);
  EXPECT_TRUE(std::isfinite(ema_decay(o, 1, 0)));
}

TEST(WeightDecay, BiasesNormsAndRangesAreSpared) {
  TrainingRecipe r;
  EXPECT_TRUE(takes_weight_decay(r, true, false));
  EXPECT_FALSE(takes_weight_decay(r, false, false));
  EXPECT_FALSE(takes_weight_decay(r, false, true));
  r.zero_weight_decay_on_bias_and_bn = false;
  EXPECT_TRUE(takes_weight_decay(r, false, false));
  EXPECT_FALSE(takes_weight_decay(r, false, true));
}

}  // namespace
}  // namespace octet
