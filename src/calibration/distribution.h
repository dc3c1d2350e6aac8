// What a calibrator may ask about the values of a tensor, whether it has their histogram or the values themselves.
#pragma once

#include <cstdint>
#include <vector>

#include "arith/choose_params.h"
#include "arith/quantize.h"
#include "octet/calibration.h"

namespace octet {

enum class Side { kNegative, kPositive, kBoth };

// A per-tensor quantizer, as far as its error is concerned.
struct Quantizer {
  DType dtype = DType::kInt8;
  CodeRange codes;
  float scale = 1;
  int32_t zero_point = 0;
};

// The quantizer that covers [lo, hi] for these options; an unsigned symmetric one covers [0, hi], a signed symmetric
// one max(-lo, hi) on both sides. degenerate as ScaleZero says.
Quantizer make_quantizer(double lo, double hi, const CalibratorOptions& options, bool* degenerate = nullptr);

struct ErrorMoments {
  double mean = 0;
  double mean_sq = 0;
};

// Counts of non-zero values by magnitude; both sides have the same length (the last bin of the longer is not empty).
struct MagnitudeBins {
  double width = 1;
  std::vector<double> positive;
  std::vector<double> negative;
};

class Distribution {
 public:
  virtual ~Distribution() = default;

  double total() const { return total_; }  // finite values, zeros included
  double nonzero(Side side) const;
  double largest(Side side) const;  // magnitude; 0 when the side is empty
  double mean() const { return mean_; }
  double second_moment() const { return second_moment_; }

  // The magnitude on `side` exceeded by a share `tail` of all values, or of the non-zero ones of that side only. 0
  // when the side has fewer values than that.
  virtual double magnitude_at_tail(Side side, double tail, bool among_nonzero) const = 0;
  // Moments of fake_quantize(x) - x over all values.
  virtual ErrorMoments error(const Quantizer& q) const = 0;
  virtual MagnitudeBins magnitude_bins() const = 0;

 protected:
  double total_ = 0;
  double nonzero_[2] = {0, 0};  // negative, positive
  double largest_[2] = {0, 0};
  double mean_ = 0;
  double second_moment_ = 0;
};

// From statistics: values are taken as uniform in their bin.
class HistogramDistribution final : public Distribution {
 public:
  explicit HistogramDistribution(const TensorStatistics& statistics);

  double magnitude_at_tail(Side side, double tail, bool among_nonzero) const override;
  ErrorMoments error(const Quantizer& q) const override;
  MagnitudeBins magnitude_bins() const override { return bins_; }

 private:
  // Sums over the bins from j on: count, count * centre, count * centre^2, centres in bins.
  struct Tail {
    double n = 0, c = 0, c_sq = 0;
  };
  // Sums of Q(y) - y and its square over the magnitudes y of one side, Q clipping at `limit`.
  ErrorMoments side_sums(const std::vector<double>& counts, const std::vector<Tail>& tails, double limit,
                         const Quantizer& q) const;
  static std::vector<Tail> tails_of(const std::vector<double>& counts);

  MagnitudeBins bins_;
  std::vector<Tail> positive_tails_;
  std::vector<Tail> negative_tails_;
};

// From the values themselves, which must outlive it: exact errors and order statistics (with linear interpolation).
class SampleDistribution final : public Distribution {
 public:
  SampleDistribution(const float* values, int64_t n);  // all finite

  double magnitude_at_tail(Side side, double tail, bool among_nonzero) const override;
  ErrorMoments error(const Quantizer& q) const override;
  MagnitudeBins magnitude_bins() const override;

 private:
  const std::vector<float>& sorted(Side side) const;  // non-zero magnitudes, largest first

  const float* values_;
  int64_t n_;
  mutable std::vector<float> sorted_[3];  // filled on demand; a Distribution serves one thread
};

}  // namespace octet
