// How close two tensors are: signal-to-quantization-noise ratio, cosine, largest difference, KL divergence.
#pragma once

#include <cstdint>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

// Sums over one or many pairs of tensors, in double. Feed pairs in a fixed order to get the same bits again.
class Similarity {
 public:
  // Two float32 or float64 tensors with the same number of elements. Pairs with a NaN or infinity are counted in
  // nonfinite() and left out of the sums.
  Status add(const Tensor& reference, const Tensor& test);
  Status add(const float* reference, const float* test, int64_t n);
  void merge(const Similarity& other);

  int64_t count() const { return count_; }
  int64_t nonfinite() const { return nonfinite_; }
  // 10 log10(sum r^2 / sum (r - t)^2) in dB; +infinity when equal, -infinity when only the reference is all zero.
  double sqnr_db() const;
  // In -1..1; 1 when both are all zero, 0 when one of them is.
  double cosine() const;
  double max_abs_diff() const { return max_abs_diff_; }
  double mse() const { return count_ == 0 ? 0 : noise_ / static_cast<double>(count_); }

 private:
  int64_t count_ = 0, nonfinite_ = 0;
  double signal_ = 0, test_power_ = 0, product_ = 0, noise_ = 0, max_abs_diff_ = 0;
};

Result<double> sqnr_db(const Tensor& reference, const Tensor& test);
Result<double> cosine_similarity(const Tensor& reference, const Tensor& test);
Result<double> max_abs_difference(const Tensor& reference, const Tensor& test);

// Mean over the rows of KL(softmax(reference) || softmax(test)) in nats, for scores of shape [N, C] (trailing axes of
// length 1 allowed). kInvalidArgument when a score is not finite.
Result<double> softmax_kl_divergence(const Tensor& reference, const Tensor& test);

}  // namespace octet
