// Training of a network that is a Graph: which of its constants are trained, how batch normalization and quantizer
// ranges behave meanwhile. Free of LibTorch types; the module itself is in src/training/module.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace octet {

// kLive: batch statistics normalize, running statistics follow. kFrozen: running statistics normalize and stay.
enum class BatchNormMode { kLive, kFrozen };

// What becomes of a quantizer's range in training. All pass gradients straight through inside the range and none
// outside. kFixed: the calibrated range stays. kPact: the clips lo and hi are learned, one pair per tensor
// (learn_amax; arXiv 1805.06085). kLsq: the scale is learned, per tensor or channel (arXiv 1902.08153).
enum class RangeLearning { kFixed, kPact, kLsq };

struct TrainableOptions {
  BatchNormMode batch_norm = BatchNormMode::kLive;
  std::optional<int64_t> freeze_batch_norm_after;  // optimizer steps with live statistics, then kFrozen

  // Float constants are trained when they are weights, biases, slopes or the affine part of a normalization. Names or
  // globs here add others (position embeddings) or take some out; one that matches nothing is an error.
  std::vector<std::string> train;
  std::vector<std::string> freeze;

  RangeLearning activation_ranges = RangeLearning::kLsq;
  RangeLearning weight_ranges = RangeLearning::kLsq;  // kPact only where a weight has one range
};

}  // namespace octet
