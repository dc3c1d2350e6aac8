// Samples of a training run: decoded, augmented as 8-bit images, then prepared as the network's input takes them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/preprocess.h"
#include "octet/augment_options.h"
#include "octet/data.h"

namespace octet {

struct TrainingSample : Sample {
  // The annotated boxes where augmentation brought them, in pixels of the network's input. `boxes` and `placement`
  // are those of the image before it.
  std::vector<Box> targets;
};

// Methods are const and thread-safe.
class TrainingSamples {
 public:
  // Prepares one sample, so that a wrong shape is reported here. Errors: those of open_dataset; an input that is not
  // float32; augmentation of data that has no images.
  static Result<std::unique_ptr<TrainingSamples>> open(const DataSpec& spec, const std::vector<InputInfo>& inputs,
                                                       const AugmentOptions& augment = {});

  int64_t size() const { return data_->size(); }
  const Dataset& dataset() const { return *data_; }
  // The random changes depend on (seed, epoch, index) alone.
  Result<TrainingSample> get(int64_t index, uint64_t seed, int64_t epoch) const;

 private:
  TrainingSamples() = default;
  Result<Tensor> normalised(const Tensor& chw) const;
  Status augment_input(TrainingSample* sample, size_t input, int64_t index, uint64_t seed, int64_t epoch) const;

  std::unique_ptr<Dataset> data_;
  AugmentOptions augment_;
  bool images_ = false;  // data_ gives raw bytes, plan_ and input_ say what becomes of them
  bool may_flatten_ = false;
  PreprocessPlan plan_;
  InputInfo input_;
};

}  // namespace octet
