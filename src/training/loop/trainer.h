// The training loop: epochs of steps, validation, checkpoints, the best weights.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "data/batch_loader.h"
#include "metrics/scalar_log.h"
#include "octet/train.h"
#include "training/loop/averaged_weights.h"
#include "training/loop/checkpoint.h"
#include "training/loop/gradients.h"
#include "training/loop/objective.h"
#include "training/loop/optimizer.h"

namespace octet::training {

class Trainer {
 public:
  explicit Trainer(const TrainJob& job)
      : job_(job),
        recipe_(job.recipe),
        processes_(job.run.processes != nullptr ? *job.run.processes : alone_),
        group_(dynamic_cast<ProcessGroup*>(&processes_)),
        reducer_(group_) {}
  Result<TrainResult> run();

 private:
  // trainer_setup.cpp
  Status set_up();
  Status fit_batches();
  Status open_data();
  Status make_module();
  void make_optimizer();
  Status resume();
  Status resume_or_begin();
  Status begin_together();
  Result<std::string> read_checkpoint() const;
  LoaderOptions shared_loader(int64_t batch_size) const;
  std::string network_id() const;
  std::string recipe_id() const;

  // trainer.cpp
  Status score_start();
  Status run_epoch();
  Status train_step(const TrainingBatch& batch);
  Status apply_gradients(double lr);
  Result<std::optional<TrainingBatch>> next_batch();
  Status stopped_by(const TrainingBatch& batch, double loss);
  void share(const TrainingBatch& batch);
  Status finish_epoch(double seconds, int64_t images);
  Status validate(EpochRecord* record);
  Status validate_own(ValidationScore* score);
  double score_of(const EpochRecord& record) const;
  Status save_checkpoint();
  Status pause();
  Result<TrainResult> finish();
  Status reestimate();

  bool at_boundary() const { return state_.step % recipe_.batch_accumulate == 0 || state_.step % per_epoch_ == 0; }
  // All steps of an epoch are done, and its validation is not.
  bool is_unfinished() const { return state_.loss_count > 0 && state_.step % per_epoch_ == 0; }
  int64_t total_steps() const { return per_epoch_ * recipe_.max_epochs; }
  int epoch() const { return static_cast<int>(state_.step / per_epoch_); }
  double lr() const { return learning_rate(recipe_.lr, state_.step, per_epoch_, recipe_.max_epochs); }
  std::string checkpoint_path() const { return job_.folder + "/checkpoint.bin"; }

  const TrainJob& job_;
  TrainingRecipe recipe_;  // the job's, with batches that the network can run
  Processes alone_;
  Processes& processes_;
  ProcessGroup* group_;  // null when alone
  at::Device device_ = at::kCPU;
  std::unique_ptr<TrainingSamples> train_data_, val_data_;
  std::unique_ptr<TrainableModule> module_;
  std::unique_ptr<Objective> objective_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<AveragedWeights> averaged_;
  GradientReducer reducer_;
  std::unique_ptr<ScalarLog> log_;
  std::unique_ptr<BatchLoader> loader_;
  int64_t per_epoch_ = 1;
  Checkpoint state_;  // counters and best weights; module and optimizer are filled in when it is saved
  std::vector<std::string> notes_;
};

}  // namespace octet::training
