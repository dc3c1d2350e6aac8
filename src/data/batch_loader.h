// Batches for training, made in the background: worker threads decode and augment into a bounded queue.
//
// What a batch holds depends on the options and its step alone, never on the number of workers or on who is faster.
// Processes of one job share the batches: each takes its part of the same global order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "data/training_samples.h"
#include "octet/progress.h"

namespace octet {

struct LoaderOptions {
  int64_t batch_size = 128;  // over all ranks
  bool shuffle = true;
  bool drop_last = true;
  uint64_t seed = 0;
  int workers = 1;   // 0: batches are made when they are asked for
  int queue = 4;     // ready or half made batches at most, beside the one in use
  double mixup = 0;  // alpha; needs float32 samples
  int rank = 0, world_size = 1;
  int64_t first_step = 0;           // counted over all epochs
  std::optional<int64_t> end_step;  // the first step that is not made; absent: no end
  const CancelFlag* cancel = nullptr;
};

struct TrainingBatch {
  int64_t step = 0, epoch = 0, index = 0;  // index: within the epoch
  int64_t global_size = 0;                 // samples of this batch over all ranks
  bool is_padding = false;                 // fewer samples than ranks: this rank has one that must not count
  std::vector<Tensor> inputs;              // [n, ...], one per network input
  std::vector<int64_t> samples;            // which of the data set, n of them
  std::vector<std::string> names;          // of the samples, for messages
  std::vector<int64_t> labels;
  // Mixup: inputs are lambda * their own + (1 - lambda) * those of the next sample in the global batch (the first one
  // after the last), whose label stands here. Empty without mixup.
  std::vector<int64_t> partner_labels;
  float lambda = 1;
  // Boxes as annotated, in pixels of the image, and where the image went; both before augmentation.
  std::vector<std::vector<Box>> boxes;
  std::vector<ImagePlacement> placements;
  std::vector<std::vector<Box>> targets;  // boxes after augmentation, in pixels of the network's input
  Tensor masks;                           // uint8 [n, height, width] after augmentation; empty without masks
};

// The order of the samples in an epoch: a Fisher-Yates shuffle, or 0, 1, 2, ...
std::vector<int64_t> epoch_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch);
int64_t batches_per_epoch(int64_t size, const LoaderOptions& options);

class BatchLoader {
 public:
  // `samples` must outlive the loader. kInvalidArgument when there is no whole batch.
  static Result<std::unique_ptr<BatchLoader>> create(const TrainingSamples& samples, const LoaderOptions& options);
  ~BatchLoader();  // stops and joins the workers
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The batch of the next step; nullopt after the last. The first error, in the order of steps, ends the loader:
  // every later call returns it again. kCancelled when the flag is set while waiting.
  Result<std::optional<TrainingBatch>> next();
  int64_t steps_per_epoch() const { return steps_per_epoch_; }

 private:
  BatchLoader(const TrainingSamples& samples, const LoaderOptions& options, int64_t steps_per_epoch);
  void work();
  bool is_end(int64_t step) const { return options_.end_step && step >= *options_.end_step; }
  Result<TrainingBatch> make(int64_t step);
  Status fill(const std::vector<int64_t>& own, const std::vector<int64_t>& partners, TrainingBatch* batch) const;
  std::shared_ptr<const std::vector<int64_t>> order(int64_t epoch);

  const TrainingSamples& samples_;
  const LoaderOptions options_;
  const int64_t steps_per_epoch_;

  std::mutex order_mutex_;
  std::map<int64_t, std::shared_ptr<const std::vector<int64_t>>> orders_;

  std::mutex mutex_;
  std::condition_variable made_, taken_;
  std::map<int64_t, Result<TrainingBatch>> ready_;
  int64_t claim_, out_;
  bool stop_ = false;
  Status failure_;
  std::vector<std::thread> threads_;
};

}  // namespace octet
