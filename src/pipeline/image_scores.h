// What the outputs of a network are worth on labelled images: counted image by image, in any order.
#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "metrics/classification.h"
#include "metrics/segmentation.h"
#include "octet/pipeline.h"

namespace octet {

class ImageScores {
 public:
  // `count` images of the data; each worker has a number below `workers`.
  ImageScores(const Dataset& data, const DetectionSpec& detection, int64_t count, int workers);

  // The outputs for images first, first + 1, ... of which `samples` tells the labels; rows beyond them are ignored.
  // Different workers may call it at once. Errors: labels and outputs do not go together.
  Status add(int worker, const std::vector<Sample>& samples, const std::vector<Tensor>& outputs, int64_t first);
  void count_nonfinite(const std::vector<Tensor>& inputs, const Tensor& output, int64_t images);

  // Brings what each process saw to all: process r saw the groups r, r + n, ... of `batch` images.
  Status exchange(Processes& processes, int64_t batch);
  // Everything but `arithmetic` and `seconds`.
  Result<EvalReport> report() const;

 private:
  Result<std::string> shard(const Processes& processes, int64_t batch) const;
  Status detect_images(const std::vector<Sample>& samples, const std::vector<Tensor>& outputs, int64_t first);
  Status segment_images(const std::vector<Sample>& samples, const Tensor& output, int worker);
  Result<std::optional<ConfusionMatrix>> all_pixels() const;

  bool detection_, segmentation_, labels_;
  int64_t classes_;  // that the data names; 0: none
  DetectionSpec spec_;
  std::vector<TopKAccuracy> accuracy_;                      // by worker: integer counts, so merging is exact
  std::vector<std::optional<ConfusionMatrix>> pixels_;      // by worker
  std::vector<std::vector<Box>> detections_, annotations_;  // by image
  std::vector<int64_t> predictions_;                        // by image
  std::atomic<int64_t> nonfinite_inputs_{0}, nonfinite_outputs_{0};
};

}  // namespace octet
