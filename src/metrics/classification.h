// Classification accuracy: top-1 and top-5 with confidence intervals, and how often two networks agree.
#pragma once

#include <cstdint>
#include <vector>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

// A share with its bounds, all in 0..1.
struct Interval {
  double low = 0;
  double high = 1;
};

// Wilson's score interval for `successes` out of `trials` (E. B. Wilson, 1927); the default z is 95 %.
// 0..1 for no trials.
Interval wilson_interval(int64_t successes, int64_t trials, double z = 1.959963984540054);

// Indices of the k largest of n scores, best first. Equal scores: the lower index first; NaN counts as the lowest.
std::vector<int64_t> top_k(const float* scores, int64_t n, int64_t k);

// Counts of right answers, fed batch by batch. Integer counts: merging is exact in any order.
class TopKAccuracy {
 public:
  // scores: float32 or float64 [N, C], trailing axes of length 1 allowed ([N, C, 1, 1]); labels: N ids in 0..C-1.
  // A label out of range or another shape is kInvalidArgument and leaves the counts alone. A row with a NaN counts
  // as wrong.
  Status add(const Tensor& scores, const std::vector<int64_t>& labels);
  void merge(const TopKAccuracy& other);
  // The counts of another process.
  static TopKAccuracy of(int64_t count, int64_t top1, int64_t top5);

  int64_t count() const { return count_; }
  int64_t correct_top1() const { return top1_; }
  int64_t correct_top5() const { return top5_; }
  double top1() const { return share(top1_); }
  double top5() const { return share(top5_); }
  Interval top1_interval() const { return wilson_interval(top1_, count_); }
  Interval top5_interval() const { return wilson_interval(top5_, count_); }

 private:
  double share(int64_t n) const { return count_ == 0 ? 0 : static_cast<double>(n) / static_cast<double>(count_); }

  int64_t count_ = 0, top1_ = 0, top5_ = 0;
};

// How often two networks give the same top-1 class.
class Agreement {
 public:
  // Two score tensors of one shape, as in TopKAccuracy::add.
  Status add(const Tensor& a, const Tensor& b);
  void merge(const Agreement& other);
  int64_t count() const { return count_; }
  int64_t same() const { return same_; }
  double share() const { return count_ == 0 ? 0 : static_cast<double>(same_) / static_cast<double>(count_); }
  Interval interval() const { return wilson_interval(same_, count_); }

 private:
  int64_t count_ = 0, same_ = 0;
};

}  // namespace octet
