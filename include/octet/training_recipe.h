// Training recipes: what `octet train` and `octet qat` do, as data; and the rules that depend on nothing else
// (learning-rate schedules, the decay of averaged weights, QATRecipeModification), as pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octet/augment_options.h"
#include "octet/data.h"
#include "octet/quantization.h"
#include "octet/status.h"
#include "octet/training.h"

namespace octet {

enum class Task { kClassification, kDetection, kSegmentation };
enum class OptimizerKind { kSgd, kAdam, kAdamW };
enum class LrMode { kConstant, kCosine, kStep };
enum class WarmupMode { kPerStep, kPerEpoch };
enum class EmaDecay { kConstant, kThreshold, kExponential };
enum class BatchNormPolicy { kLive, kFrozen, kReestimated };

// The network to train: one of the zoo, or a file. Sizes of 0 are the zoo's own.
struct NetworkSpec {
  std::string zoo;
  std::string onnx;
  int64_t classes = 0, channels = 0, image_size = 0;
  bool empty() const { return zoo.empty() && onnx.empty(); }
  bool operator==(const NetworkSpec&) const = default;
};

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // Adam and AdamW
  bool operator==(const OptimizerOptions&) const = default;
};

struct LrSchedule {
  LrMode mode = LrMode::kConstant;
  double initial_lr = 0.1;
  double cosine_final_lr_ratio = 0.01;  // the last learning rate of a cosine, as a share of initial_lr
  std::vector<int64_t> updates;         // kStep: epochs at which the rate is multiplied by decay_factor
  double decay_factor = 0.1;
  int warmup_epochs = 0;
  std::optional<double> warmup_initial_lr;  // initial_lr / (warmup_epochs + 1) when absent
  WarmupMode warmup_mode = WarmupMode::kPerStep;
  int cooldown_epochs = 0;  // the last epochs keep the rate that the schedule ended with
  bool operator==(const LrSchedule&) const = default;
};

// An exponential moving average of the weights, which is what is evaluated and exported.
struct EmaOptions {
  bool enabled = false;
  double decay = 0.9999;
  EmaDecay rule = EmaDecay::kExponential;
  double beta = 15;  // kExponential: decay * (1 - exp(-beta * step / steps))
  bool operator==(const EmaOptions&) const = default;
};

// The float network as teacher of the quantized one (Hinton et al. 2015).
struct DistillationOptions {
  bool enabled = false;
  double temperature = 4;
  double weight = 0.5;                // share of the teacher in the loss; 1: labels are not used
  std::vector<std::string> features;  // tensors compared by mean squared error
  double feature_weight = 0;          // of their sum
  bool operator==(const DistillationOptions&) const = default;
};

// Fine-tuning folds batch norms first, and trains constants, unless the recipe has a batch_norm section.
struct BatchNormOptions {
  bool given = false;
  BatchNormPolicy mode = BatchNormPolicy::kLive;
  int64_t freeze_after_steps = 0;  // kFrozen
  int reestimate_batches = 32;     // kReestimated, before export
  bool operator==(const BatchNormOptions&) const = default;
};

// How the ranges of quantizers are trained.
struct RangeOptions {
  RangeLearning learning = RangeLearning::kLsq;  // kPact when the quantization block says learn_amax
  double lr_ratio = 1;                           // their learning rate, as a share of the weights'
  bool operator==(const RangeOptions&) const = default;
};

// What boxes are compared by: 1 - IoU^2 (Ge et al. 2021) or 1 - GIoU (Rezatofighi et al. 2019).
enum class BoxLoss { kSquaredIou, kGiou };

// Losses of detection and segmentation beside the one that `loss` names.
struct LossOptions {
  BoxLoss box_loss = BoxLoss::kSquaredIou;
  double box_weight = 5;   // of the box loss, beside objectness and classes
  double dice_weight = 0;  // of the dice loss (Milletari et al. 2016), beside cross-entropy
  bool operator==(const LossOptions&) const = default;
};

struct TrainingRecipe {
  std::string source;    // file name, for messages
  bool for_qat = false;  // `purpose: qat`: the numbers are meant for fine-tuning as they stand
  Task task = Task::kClassification;
  NetworkSpec network;
  std::optional<DataSpec> train_data, val_data;
  int64_t batch_size = 128, val_batch_size = 256;  // over all processes
  int workers = 2;                                 // threads that load and augment
  bool drop_last = true;
  AugmentOptions augmentation;
  int max_epochs = 100;
  LrSchedule lr;
  OptimizerOptions optimizer;
  bool zero_weight_decay_on_bias_and_bn = true;
  std::string loss = "cross_entropy";  // detection: "yolox"; it follows the task
  double label_smoothing = 0;          // not in detection
  LossOptions loss_options;
  EmaOptions ema;
  bool mixed_precision = false;  // on CUDA
  double clip_grad_norm = 0;     // 0: off
  int batch_accumulate = 1;      // batches per optimizer step
  uint64_t seed = 42;
  BatchNormOptions batch_norm;
  DistillationOptions distillation;
  RangeOptions ranges;
  int checkpoint_every_epochs = 1;
  int64_t checkpoint_every_steps = 0;  // 0: at the ends of epochs only
  bool tensorboard = true;
  std::vector<std::string> phase_callbacks;  // of the original project; none has an effect here
  QuantizationOptions quantization;          // its qat field holds the QATRecipeModificationCallback, when given
  std::vector<std::string> notes;            // what was read and has no effect, one sentence each
};

// Reads a training recipe, or a built-in one by name (training_recipe_names()). Keys are those of the original
// project's training_hyperparams and dataloader params, its quantization blocks, and Octet's own: see
// docs/training.md. Unknown keys and wrong values are errors with file and line.
Result<TrainingRecipe> load_training_recipe(const std::string& path_or_name);
// `source` names the file in errors; relative paths in it are taken from its folder.
Result<TrainingRecipe> parse_training_recipe(const std::string& text, const std::string& source);
std::vector<std::string> training_recipe_names();

// All choices as text, one line each: what a checkpoint is compared by. Things that do not change the trained weights
// (workers, how often checkpoints are written) are left out.
std::string describe_training(const TrainingRecipe& recipe);

// One changed setting: "initial_lr", "0.0005", "5e-06", and why.
struct RecipeChange {
  std::string key, before, after, why;
};

struct ModifiedRecipe {
  TrainingRecipe recipe;
  std::vector<RecipeChange> changes;  // in the order they were made; what stays is not listed
  std::vector<std::string> notes;
};

// From a training recipe to one for fine-tuning a quantized network, with the original project's arithmetic:
// max_epochs' = max(1, max_epochs / max_epochs_divisor); initial_lr and weight_decay times lr_decay_factor; a cosine
// to cosine_final_lr_ratio; lr_warmup_epochs' = max(1, max_epochs' / warmup_epochs_divisor); warmup_initial_lr' =
// lr_decay_factor * (the given one, or initial_lr'); batch sizes over batch_size_divisor with learn_amax only. The
// optimizer becomes SGD with momentum unless options.keep_optimizer.
ModifiedRecipe modify_recipe_for_qat(const TrainingRecipe& recipe, const QatOptions& options);

// The learning rate of optimizer step `step` (from 0) of max_epochs * steps_per_epoch. Warm-up is linear from
// warmup_initial_lr to initial_lr; the cosine is Loshchilov & Hutter 2017, eq. 5, over the steps after warm-up and
// before cooldown: final + (initial - final) (1 + cos(pi t / T)) / 2.
double learning_rate(const LrSchedule& schedule, int64_t step, int64_t steps_per_epoch, int max_epochs);

// What is kept of the average at update `update` (from 1) of `total`: average = d * average + (1 - d) * weights.
// constant: decay. threshold: min(decay, (1 + u) / (10 + u)). exp: decay (1 - exp(-beta u / total)).
double ema_decay(const EmaOptions& options, int64_t update, int64_t total);

// Whether weight decay acts on a parameter. `is_weight`: a weight of Conv, Gemm or MatMul and the like; the rest
// (biases, norms, quantizer ranges) is spared when the recipe says so; quantizer ranges always.
bool takes_weight_decay(const TrainingRecipe& recipe, bool is_weight, bool is_range);

const char* task_name(Task task);
const char* optimizer_name(OptimizerKind kind);
const char* lr_mode_name(LrMode mode);

}  // namespace octet
