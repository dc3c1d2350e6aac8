// QATRecipeModification: the worked example of the original project's documentation, and every key.
#include <gtest/gtest.h>

#include <algorithm>

#include "octet/training_recipe.h"

namespace octet {
namespace {

// As the original project writes it: nothing of it is Octet's.
constexpr const char* kOriginal = R"(
defaults:
  - training_hyperparams: default_train_params
  - _self_
architecture: resnet18
training_hyperparams:
  max_epochs: 100
  lr_mode: step
  lr_updates: [30, 60, 90]
  lr_decay_factor: 0.1
  initial_lr: 5.0e-4
  optimizer: AdamW
  optimizer_params:
    weight_decay: 1.0e-4
  ema: True
  mixed_precision: True
  loss: LabelSmoothingCrossEntropyLoss
  criterion_params: {smooth_eps: 0.1}
  train_metrics_list: [Accuracy]
  valid_metrics_list: [Accuracy]
  metric_to_watch: Accuracy
  greater_metric_to_watch_is_better: True
dataset_params:
  train_dataloader_params: {batch_size: 64}
  val_dataloader_params: {batch_size: 128}
pre_launch_callbacks_list:
  - QATRecipeModificationCallback:
      batch_size_divisor: 2
      max_epochs_divisor: 10
      lr_decay_factor: 0.01
      warmup_epochs_divisor: 10
      cosine_final_lr_ratio: 0.01
      disable_phase_callbacks: True
      disable_augmentations: False
quantization_params:
  ptq_only: False
  selective_quantizer_params:
    calibrator_w: max
    calibrator_i: histogram
    per_channel: True
    learn_amax: False
    skip_modules:
  calib_params:
    histogram_calib_method: percentile
    percentile: 99.99
    num_calib_batches: 16
    verbose: False
)";

TrainingRecipe original() {
  const auto recipe = parse_training_recipe(kOriginal, "original.yaml");
  EXPECT_TRUE(recipe.is_ok()) << recipe.status().message();
  return recipe.is_ok() ? *recipe : TrainingRecipe{};
}

const RecipeChange* change_of(const ModifiedRecipe& m, const std::string& key) {
  for (const RecipeChange& c : m.changes)
    if (c.key == key) return &c;
  return nullptr;
}

void expect_change(const ModifiedRecipe& m, const std::string& key, const std::string& before,
                   const std::string& after) {
  const RecipeChange* c = change_of(m, key);
  ASSERT_NE(c, nullptr) << key;
  EXPECT_EQ(c->before, before) << key;
  EXPECT_EQ(c->after, after) << key;
  EXPECT_FALSE(c->why.empty());
}

TEST(QatModification, TheWorkedExampleFromARecipeAsItIs) {
  const TrainingRecipe recipe = original();
  ASSERT_TRUE(recipe.quantization.qat.has_value());
  const ModifiedRecipe m = modify_recipe_for_qat(recipe, *recipe.quantization.qat);
  EXPECT_EQ(m.recipe.max_epochs, 10);
  EXPECT_DOUBLE_EQ(m.recipe.lr.initial_lr, 5e-6);
  EXPECT_DOUBLE_EQ(m.recipe.optimizer.weight_decay, 1e-6);
  EXPECT_EQ(m.recipe.lr.warmup_epochs, 1);
  EXPECT_DOUBLE_EQ(*m.recipe.lr.warmup_initial_lr, 5e-8);
  EXPECT_EQ(m.recipe.lr.mode, LrMode::kCosine);
  EXPECT_EQ(m.recipe.lr.cosine_final_lr_ratio, 0.01);
  EXPECT_EQ(m.recipe.optimizer.kind, OptimizerKind::kSgd);
  EXPECT_EQ(m.recipe.optimizer.momentum, 0.9);
  EXPECT_EQ(m.recipe.batch_size, 64) << "divided with learn_amax only";
  EXPECT_TRUE(m.recipe.ema.enabled);
  EXPECT_TRUE(m.recipe.for_qat);
  expect_change(m, "max_epochs", "100", "10");
  expect_change(m, "initial_lr", "0.0005", "5e-06");
  expect_change(m, "weight_decay", "0.0001", "1e-06");
  expect_change(m, "lr_warmup_epochs", "0", "1");
  expect_change(m, "lr_mode", "step", "cosine");
  expect_change(m, "optimizer", "AdamW", "SGD");
  expect_change(m, "warmup_initial_lr", "not given", "5e-08");
  EXPECT_EQ(change_of(m, "train batch_size"), nullptr);
  EXPECT_EQ(change_of(m, "momentum"), nullptr) << "what stays is not listed";
}

TEST(QatModification, EveryKeyHasItsEffect) {
  TrainingRecipe r = original();
  r.lr.warmup_initial_lr = 0.02;
  r.phase_callbacks = {"DetectionVisualization"};
  r.augmentation.horizontal_flip = 0.5;
  QatOptions o;
  o.max_epochs_divisor = 4;
  o.lr_decay_factor = 0.1;
  o.warmup_epochs_divisor = 5;
  o.cosine_final_lr_ratio = 0.2;
  ModifiedRecipe m = modify_recipe_for_qat(r, o);
  EXPECT_EQ(m.recipe.max_epochs, 25);
  EXPECT_DOUBLE_EQ(m.recipe.lr.initial_lr, 5e-5);
  EXPECT_DOUBLE_EQ(m.recipe.optimizer.weight_decay, 1e-5);
  EXPECT_EQ(m.recipe.lr.warmup_epochs, 5);
  EXPECT_DOUBLE_EQ(*m.recipe.lr.warmup_initial_lr, 0.002);
  EXPECT_EQ(m.recipe.lr.cosine_final_lr_ratio, 0.2);
  EXPECT_TRUE(m.recipe.phase_callbacks.empty());
  expect_change(m, "phase_callbacks", "DetectionVisualization", "none");
  EXPECT_TRUE(m.recipe.augmentation.any());

  o.disable_phase_callbacks = false;
  o.disable_augmentations = true;
  o.keep_optimizer = true;
  m = modify_recipe_for_qat(r, o);
  EXPECT_EQ(m.recipe.phase_callbacks.size(), 1u);
  EXPECT_FALSE(m.recipe.augmentation.any());
  ASSERT_NE(change_of(m, "augmentation"), nullptr);
  EXPECT_EQ(m.recipe.optimizer.kind, OptimizerKind::kAdamW);
  EXPECT_EQ(change_of(m, "optimizer"), nullptr);
  EXPECT_DOUBLE_EQ(m.recipe.optimizer.weight_decay, 1e-5) << "the arithmetic holds for the kept optimizer, too";

  r.quantization.learn_amax = true;
  o.batch_size_divisor = 4;
  m = modify_recipe_for_qat(r, o);
  EXPECT_EQ(m.recipe.batch_size, 16);
  EXPECT_EQ(m.recipe.val_batch_size, 32);
  expect_change(m, "train batch_size", "64", "16");
}

TEST(QatModification, ShortRunsKeepAnEpochAndOneSample) {
  TrainingRecipe r;
  r.max_epochs = 3;
  r.batch_size = 1;
  r.lr.cooldown_epochs = 2;
  r.quantization.learn_amax = true;
  const ModifiedRecipe m = modify_recipe_for_qat(r, {});
  EXPECT_EQ(m.recipe.max_epochs, 1);
  EXPECT_EQ(m.recipe.lr.warmup_epochs, 1);
  EXPECT_EQ(m.recipe.lr.cooldown_epochs, 0);
  EXPECT_EQ(m.recipe.batch_size, 1);
  EXPECT_FALSE(m.notes.empty());
}

TEST(QatModification, SgdWithoutMomentumGetsIt) {
  TrainingRecipe r;
  r.optimizer.momentum = 0;
  const ModifiedRecipe m = modify_recipe_for_qat(r, {});
  expect_change(m, "momentum", "0", "0.9");
}

}  // namespace
}  // namespace octet
