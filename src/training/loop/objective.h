// What a batch costs: from the loader's batch to a loss that can be differentiated, and to accuracy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/batch_loader.h"
#include "octet/train.h"
#include "training/loop/losses.h"
#include "training/module.h"

namespace octet::training {

class Objective {
 public:
  // `labelled`: the data has labels. Errors: a task that has no loss without a teacher, data without labels and
  // teacher, features that a network lacks, more classes in the data than the network has.
  static Result<std::unique_ptr<Objective>> create(const TrainJob& job, const Dataset& data, TrainableModule* module,
                                                   at::Device device);

  struct Figures {
    at::Tensor loss;  // scalar, part of the autograd graph
    at::Tensor logits;
  };
  Result<Figures> train(const TrainingBatch& batch);

  struct Score {
    double loss_sum = 0;  // over images
    int64_t images = 0, top1 = 0, top5 = 0;
  };
  // Without gradients, smoothing and mixup.
  Status validate(const TrainingBatch& batch, Score* score);

  bool uses_labels() const { return uses_labels_; }
  Result<std::vector<at::Tensor>> inputs_of(const TrainingBatch& batch) const;

 private:
  Objective(const TrainJob& job, TrainableModule* module, at::Device device)
      : recipe_(job.recipe), module_(module), device_(device) {}
  Status find_logits(const Graph& graph);
  Status add_teacher(const Graph& graph);
  Result<at::Tensor> loss_of(const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& outputs,
                             const TrainingBatch& batch, bool training);
  Result<at::Tensor> teacher_loss(const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& outputs);
  Result<at::Tensor> labels_of(const std::vector<int64_t>& labels, const TrainingBatch& batch, int64_t classes) const;
  at::Tensor logits(const TrainableModule& module, const std::vector<at::Tensor>& outputs) const;

  const TrainingRecipe& recipe_;
  TrainableModule* module_;
  std::unique_ptr<TrainableModule> teacher_;
  at::Device device_;
  bool uses_labels_ = true;
  std::string logits_name_;  // of the value before a Softmax at the end; empty: the first output
};

}  // namespace octet::training
