// What labels ask of a network: a loss for each task, and the figures that validation collects.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/batch_loader.h"
#include "octet/train.h"
#include "training/loop/validation_score.h"
#include "training/module.h"

namespace octet::training {

struct NetworkOutput {
  const TrainableModule& module;  // for the values that kept_names() asked for
  const std::vector<at::Tensor>& outputs;
  at::Tensor scores;  // the first output, or what goes into a Softmax at its end
};

// A part of the loss: the sum over the images here, and what the sum over all images of the batch, on every process,
// is divided by in the end.
struct LossTerm {
  at::Tensor sum;
  double count = 0;        // here; the divisor is the counts of all processes together, at least 1
  bool by_images = false;  // count is the number of images
};

class LabelLoss {
 public:
  virtual ~LabelLoss() = default;
  // Values of the network that terms() reads.
  virtual std::vector<std::string> kept_names() const { return {}; }
  // Every batch has the same number of terms in the same order. Errors: labels that are missing or that the network
  // has no class for, an output of another shape.
  virtual Result<std::vector<LossTerm>> terms(const NetworkOutput& output, const TrainingBatch& batch,
                                              bool training) = 0;
  // Adds what the network made of the batch.
  virtual Status score(const NetworkOutput& output, const TrainingBatch& batch, ValidationScore* score) = 0;
  // What the best epoch is chosen by, as TrainResult::score_name.
  virtual const char* score_name() const = 0;
};

// The loss of the recipe's task. Null when `data` has no labels, and when it is labelled for another task and there
// is a teacher. Errors: a network whose outputs are not of the task's form, more classes in the data than it has,
// data that is labelled for another task; `validation` (may be null) without the task's labels.
Result<std::unique_ptr<LabelLoss>> make_label_loss(const TrainJob& job, const Dataset& data,
                                                   const Dataset* validation);

Result<std::unique_ptr<LabelLoss>> make_classification_loss(const TrainJob& job, const Dataset& data);
Result<std::unique_ptr<LabelLoss>> make_detection_loss(const TrainJob& job, const Dataset& data);
Result<std::unique_ptr<LabelLoss>> make_segmentation_loss(const TrainJob& job, const Dataset& data);

}  // namespace octet::training
