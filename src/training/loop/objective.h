// What a batch costs: from the loader's batch to a loss that can be differentiated, and to the figures of validation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/batch_loader.h"
#include "octet/train.h"
#include "training/loop/label_loss.h"
#include "training/module.h"

namespace octet::training {

class Objective {
 public:
  // Errors: data without labels of the task and no teacher, features that a network lacks, those of make_label_loss.
  // `validation` may be null.
  static Result<std::unique_ptr<Objective>> create(const TrainJob& job, const Dataset& data,
                                                   const Dataset* validation, TrainableModule* module,
                                                   at::Device device, Processes& processes);

  // This process's part of the loss of the whole batch, as a scalar of the autograd graph: the parts of all processes
  // add up to it. Collective when the labels say what the loss is divided by.
  Result<at::Tensor> train(const TrainingBatch& batch);
  // Without gradients, smoothing and mixup; nothing is asked of other processes.
  Status validate(const TrainingBatch& batch, ValidationScore* score);

  // What the best epoch is chosen by.
  const char* score_name() const { return labels_ ? labels_->score_name() : "val_loss"; }
  Result<std::vector<at::Tensor>> inputs_of(const TrainingBatch& batch) const;

 private:
  Objective(const TrainJob& job, TrainableModule* module, at::Device device, Processes& processes)
      : recipe_(job.recipe), module_(module), device_(device), processes_(processes) {}
  Status keep_values(const Graph& graph);
  Status add_teacher(const Graph& graph);
  Result<std::vector<LossTerm>> label_terms(const std::vector<at::Tensor>& outputs, const TrainingBatch& batch,
                                            bool training);
  Result<std::vector<LossTerm>> train_terms(const TrainingBatch& batch);
  Result<at::Tensor> teacher_loss(const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& outputs);
  at::Tensor scores(const TrainableModule& module, const std::vector<at::Tensor>& outputs) const;

  const TrainingRecipe& recipe_;
  TrainableModule* module_;
  std::unique_ptr<TrainableModule> teacher_;
  at::Device device_;
  Processes& processes_;
  std::unique_ptr<LabelLoss> labels_;  // null when the teacher is all
  std::string scores_name_;            // of the value before a Softmax at the end; empty: the first output
};

}  // namespace octet::training
