// Training recipes: every key arrives, every mistake has its line, the built-in ones load.
#include "octet/training_recipe.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "octet/recipe.h"

namespace octet {
namespace {

TrainingRecipe read(const std::string& text, const std::string& source = "t.yaml") {
  const auto recipe = parse_training_recipe(text, source);
  EXPECT_TRUE(recipe.is_ok()) << recipe.status().message();
  return recipe.is_ok() ? *recipe : TrainingRecipe{};
}

void expect_error(const std::string& text, const std::vector<std::string>& words) {
  const auto recipe = parse_training_recipe(text, "t.yaml");
  ASSERT_FALSE(recipe.is_ok()) << text;
  for (const std::string& word : words)
    EXPECT_NE(recipe.status().message().find(word), std::string::npos) << recipe.status().message();
}

TEST(TrainingRecipe, KeysOfDetectionAndSegmentation) {
  const TrainingRecipe d = read(R"(
task: detection
augmentation: {random_affine: {scale: [0.5, 1.5], translate: 0.1, fill: 7}, mosaic: 0.75, mosaic_epochs: 20}
training_hyperparams:
  loss: yolox
  criterion_params: {box_loss: giou, box_weight: 2.5}
)");
  EXPECT_EQ(d.task, Task::kDetection);
  EXPECT_EQ(d.loss, "yolox");
  EXPECT_EQ(d.augmentation.scale_low, 0.5);
  EXPECT_EQ(d.augmentation.scale_high, 1.5);
  EXPECT_EQ(d.augmentation.translate, 0.1);
  EXPECT_EQ(d.augmentation.affine_fill, 7);
  EXPECT_EQ(d.augmentation.mosaic, 0.75);
  EXPECT_EQ(d.augmentation.mosaic_epochs, 20);
  EXPECT_EQ(d.loss_options.box_loss, BoxLoss::kGiou);
  EXPECT_EQ(d.loss_options.box_weight, 2.5);
  EXPECT_EQ(read("task: detection").loss, "yolox") << "it follows the task";
  const TrainingRecipe s = read("{task: segmentation, training_hyperparams: {criterion_params: {dice_weight: 0.5}}}");
  EXPECT_EQ(s.loss_options.dice_weight, 0.5);
  EXPECT_EQ(s.loss, "cross_entropy");
  // What changes the weights is part of a checkpoint.
  const std::string base = describe_training(read("task: detection"));
  for (const char* other : {"{task: detection, augmentation: {mosaic: 0.5}}",
                            "{task: detection, augmentation: {random_affine: {translate: 0.2}}}",
                            "{task: detection, training_hyperparams: {criterion_params: {box_loss: giou}}}"})
    EXPECT_NE(describe_training(read(other)), base) << other;
}

TEST(TrainingRecipe, MistakesOfDetectionAndSegmentation) {
  const auto error = [](const std::string& text) {
    const auto r = parse_training_recipe(text, "t.yaml");
    return r.is_ok() ? "" : r.status().message();
  };
  EXPECT_NE(error("{task: detection, training_hyperparams: {loss: cross_entropy}}")
                .find("the loss of detection is 'yolox'"),
            std::string::npos);
  EXPECT_NE(error("{training_hyperparams: {loss: yolox}}").find("change 'loss' or 'task'"), std::string::npos);
  EXPECT_NE(error("{task: detection, augmentation: {random_affine: {scale: [2, 1]}}}").find("the smaller one first"),
            std::string::npos);
  EXPECT_NE(error("{task: detection, augmentation: {random_affine: {rotate: 3}}}").find("rotate"), std::string::npos);
  EXPECT_NE(error("{task: detection, augmentation: {mosaic: 2}}").find("between 0 and 1"), std::string::npos);
  EXPECT_NE(error("{augmentation: {mosaic: 0.5}}").find("mosaic is for"), std::string::npos);
  EXPECT_NE(error("{task: segmentation, augmentation: {mixup: 0.5}}").find("mixup is for"), std::string::npos);
  EXPECT_NE(error("{task: detection, training_hyperparams: {label_smoothing: 0.1}}").find("label_smoothing is for"),
            std::string::npos);
}

TEST(TrainingRecipe, EveryKeyArrives) {
  const TrainingRecipe r = read(R"(
task: classification
purpose: qat
network: {zoo: resnet18, classes: 7, channels: 1, image_size: 64}
train_data: {kind: idx, path: here, split: train}
val_data: 'npz:val.npz?subset=5'
train_dataloader_params: {batch_size: 33, num_workers: 3, drop_last: false, pin_memory: true}
val_dataloader_params: {batch_size: 44}
augmentation: {horizontal_flip: 0.25, random_crop: {padding: 3, fill: 9}, color_jitter: {brightness: 0.1, contrast: 0.2, saturation: 0.3}, mixup: 0.4}
training_hyperparams:
  max_epochs: 12
  initial_lr: 0.05
  lr_mode: CosineLRScheduler
  cosine_final_lr_ratio: 0.002
  lr_warmup_epochs: 2
  lr_cooldown_epochs: 1
  warmup_initial_lr: 0.001
  warmup_mode: LinearEpochLRWarmup
  optimizer: adamw
  optimizer_params: {momentum: 0.8, nesterov: true, weight_decay: 0.01, betas: [0.8, 0.95], eps: 1e-6}
  zero_weight_decay_on_bias_and_bn: false
  label_smoothing: 0.05
  ema: true
  ema_params: {decay: 0.999, decay_type: threshold, beta: 10}
  mixed_precision: true
  clip_grad_norm: 2.5
  batch_accumulate: 4
batch_norm: {mode: reestimated, freeze_after_steps: 10, reestimate_batches: 20}
distillation: {temperature: 2, weight: 0.75, features: [a, b], feature_weight: 3}
ranges: {learning: pact, lr_ratio: 0.5}
checkpoints: {every_epochs: 2, every_steps: 100, tensorboard: false}
seed: 77
regime: naive
)",
                                "folder/t.yaml");
  EXPECT_TRUE(r.for_qat);
  EXPECT_EQ(r.network, (NetworkSpec{"resnet18", "", 7, 1, 64}));
  EXPECT_EQ(r.train_data->path, "folder/here");
  EXPECT_EQ(r.val_data->path, "folder/val.npz");
  EXPECT_EQ(r.val_data->subset, 5);
  EXPECT_EQ(r.batch_size, 33);
  EXPECT_EQ(r.workers, 3);
  EXPECT_FALSE(r.drop_last);
  EXPECT_EQ(r.val_batch_size, 44);
  EXPECT_EQ(r.augmentation, (AugmentOptions{0.25, 3, 9, 0.1, 0.2, 0.3, 0.4}));
  EXPECT_EQ(r.max_epochs, 12);
  EXPECT_EQ(r.lr, (LrSchedule{LrMode::kCosine, 0.05, 0.002, {}, 0.1, 2, 0.001, WarmupMode::kPerEpoch, 1}));
  EXPECT_EQ(r.optimizer, (OptimizerOptions{OptimizerKind::kAdamW, 0.8, true, 0.01, 0.8, 0.95, 1e-6}));
  EXPECT_FALSE(r.zero_weight_decay_on_bias_and_bn);
  EXPECT_EQ(r.label_smoothing, 0.05);
  EXPECT_EQ(r.ema, (EmaOptions{true, 0.999, EmaDecay::kThreshold, 10}));
  EXPECT_TRUE(r.mixed_precision);
  EXPECT_EQ(r.clip_grad_norm, 2.5);
  EXPECT_EQ(r.batch_accumulate, 4);
  EXPECT_EQ(r.batch_norm, (BatchNormOptions{true, BatchNormPolicy::kReestimated, 10, 20}));
  EXPECT_EQ(r.distillation, (DistillationOptions{true, 2, 0.75, {"a", "b"}, 3}));
  EXPECT_EQ(r.ranges, (RangeOptions{RangeLearning::kPact, 0.5}));
  EXPECT_EQ(r.checkpoint_every_epochs, 2);
  EXPECT_EQ(r.checkpoint_every_steps, 100);
  EXPECT_FALSE(r.tensorboard);
  EXPECT_EQ(r.seed, 77u);
  EXPECT_EQ(r.quantization.regime, Regime::kNaive);
  ASSERT_EQ(r.notes.size(), 1u);
  EXPECT_NE(r.notes[0].find("pin_memory"), std::string::npos);
}

TEST(TrainingRecipe, MistakesNameTheirLineAndTheNearestKey) {
  expect_error("training_hyperparams:\n  max_epoch: 3\n", {"t.yaml:2", "max_epoch", "max_epochs"});
  expect_error("trainig_hyperparams: {}\n", {"t.yaml:1", "training_hyperparams"});
  expect_error("training_hyperparams:\n  optimizer: Adem\n", {"t.yaml:2", "Adam"});
  expect_error("training_hyperparams:\n  lr_mode: cosin\n", {"t.yaml:2", "cosine"});
  expect_error("training_hyperparams:\n  lr_mode: step\n", {"t.yaml:2", "lr_updates"});
  expect_error("training_hyperparams:\n  loss: dice\n", {"t.yaml:2", "cross_entropy"});
  expect_error("training_hyperparams:\n\n  max_epochs: 0\n", {"t.yaml:3", "between 1"});
  expect_error("training_hyperparams:\n  initial_lr: -1\n", {"t.yaml:2", "at least 0"});
  expect_error("training_hyperparams: {optimizer_params: {momentum: 0, nesterov: true}}\n", {"nesterov needs"});
  expect_error("training_hyperparams: {optimizer_params: {betas: [0.9]}}\n", {"betas"});
  expect_error("training_hyperparams: {max_epochs: 2, lr_warmup_epochs: 3}\n", {"warm-up"});
  expect_error("augmentation:\n  random_crop:\n    pading: 2\n", {"t.yaml:3", "padding"});
  expect_error("augmentation: {horizontal_flip: 1.5}\n", {"horizontal_flip"});
  expect_error("train_dataloader_params: {batch_size: 0}\n", {"batch_size"});
  expect_error("network: {zoo: a, onnx: b.onnx}\n", {"one network"});
  expect_error("network: {onnx: b.onnx, classes: 3}\n", {"of the zoo"});
  expect_error("task: clasification\n", {"classification"});
  expect_error("train_data:\n  kind: idx\n  pth: x\n", {"t.yaml:3", "path"});
  expect_error("train_data: 'idy:x'\n", {"t.yaml:1", "idx"});
  expect_error("distillation: {weight: 2}\n", {"weight"});
  expect_error("pre_launch_callbacks_list:\n  - QATRecipeModificationCallback:\n      max_epochs_divisr: 3\n",
               {"t.yaml:3", "max_epochs_divisor"});
  expect_error("rules:\n  - {op: Conv}\n", {"t.yaml:2"});
  expect_error("seed: -4\n", {"seed"});
}

TEST(TrainingRecipe, TheOriginalNamesOfANetwork) {
  EXPECT_EQ(read("architecture: resnet18\narch_params: {num_classes: 5}\n").network.classes, 5);
  EXPECT_EQ(read("architecture: resnet18\n").network.zoo, "resnet18");
  EXPECT_EQ(read("network: nets/a.onnx\n", "up/t.yaml").network.onnx, "up/nets/a.onnx");
  EXPECT_EQ(read("network: resnet50\narchitecture: resnet18\n").network.zoo, "resnet50");
}

TEST(TrainingRecipe, LearnAmaxMeansPact) {
  const TrainingRecipe r = read("quantization_params:\n  selective_quantizer_params: {learn_amax: true}\n");
  EXPECT_EQ(r.ranges.learning, RangeLearning::kPact);
  EXPECT_EQ(read("").ranges.learning, RangeLearning::kLsq);
}

TEST(TrainingRecipe, BuiltInRecipesLoad) {
  const std::vector<std::string> names = training_recipe_names();
  for (const char* name : {"cifar10_mobilenet_v2", "cifar10_resnet20", "fashion_mnist_resnet20", "qat"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  for (const std::string& name : names) {
    const auto r = load_training_recipe(name);
    ASSERT_TRUE(r.is_ok()) << r.status().message();
    EXPECT_EQ(r->for_qat, name == "qat");
    EXPECT_TRUE(r->notes.empty());
  }
  const auto none = load_training_recipe("cifar10_resnet2O");
  ASSERT_FALSE(none.is_ok());
  EXPECT_NE(none.status().message().find("cifar10_resnet20"), std::string::npos);
  EXPECT_EQ(load_training_recipe("no/such.yaml").status().code(), StatusCode::kNotFound);
}

TEST(TrainingRecipe, QuantizeRefusesATrainingRecipeWithoutABlock) {
  EXPECT_FALSE(parse_recipe("network: resnet18\n", "t.yaml").is_ok());
  EXPECT_TRUE(parse_recipe("network: resnet18\nquantization_params: {ptq_only: true}\n", "t.yaml").is_ok());
}

TEST(TrainingRecipe, TheDescriptionTellsRecipesApartByWhatMatters) {
  const std::string base = describe_training(read(""));
  EXPECT_EQ(base, describe_training(read("train_dataloader_params: {num_workers: 7}\n")));
  for (const char* text :
       {"seed: 5", "augmentation: {mixup: 0.1}", "training_hyperparams: {max_epochs: 9}",
        "training_hyperparams: {initial_lr: 0.3}", "training_hyperparams: {optimizer_params: {nesterov: true}}",
        "ranges: {lr_ratio: 0.2}", "train_dataloader_params: {batch_size: 12}", "training_hyperparams: {ema: true}"})
    EXPECT_NE(base, describe_training(read(text))) << text;
}

}  // namespace
}  // namespace octet
