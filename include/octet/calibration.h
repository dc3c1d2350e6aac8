// From streams of values to quantization ranges: statistics in one pass and bounded memory, then calibrators.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octet/quant_params.h"
#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

enum class CalibrationMethod {
  kMax,         // the largest magnitude seen
  kPercentile,  // the magnitude within which a given percentage of all values lies
  kEntropy,     // least Kullback-Leibler divergence between the values and their quantized histogram
  kMse,         // least expected squared fake-quantization error
  kAuto,        // whichever of the four predicts the least output error
};

// "max", "percentile", "entropy", "mse", "auto".
const char* calibration_method_name(CalibrationMethod method);
// kInvalidArgument with the nearest names when unknown.
Result<CalibrationMethod> calibration_method_from_name(std::string_view name);

// What calibration remembers of one tensor. The state is a function of the multiset of values alone: batches, order,
// threads and the tree of merges leave no trace, not in one bit. About 64 KiB, however many values are added.
//
// Magnitudes of negative and of positive values are counted in kBins bins of width 2^k each: bin = floor(|x| * 2^-k),
// exactly. k follows from the largest magnitude alone (2^k = 2^(floor(log2 amax) - 11), at least 2^-149), so that at
// least half of the bins are in use; when a larger value arrives, k grows and pairs of bins are merged. Zeros (of
// both signs), NaN and infinities are counted apart.
//
// Not synchronised: give each thread its own and merge them.
class TensorStatistics {
 public:
  static constexpr int kBins = 4096;

  void add(const float* x, int64_t n);
  void merge(const TensorStatistics& other);

  uint64_t count() const { return finite_count_ + nan_count_ + inf_count_; }
  uint64_t finite_count() const { return finite_count_; }
  uint64_t zero_count() const { return zero_count_; }
  uint64_t nan_count() const { return nan_count_; }
  uint64_t inf_count() const { return inf_count_; }
  // Over the finite values; 0 when there are none. Exact.
  float min() const;
  float max() const;
  float amax() const;
  // Over the finite values, from the bin centres in exact integer sums: the mean is within 2^(k-1) of the exact one
  // (amax / 4096 at most, for normal amax), the second moment E[x^2] within 2^k * (amax + 2^k). 0 when empty.
  double mean() const;
  double second_moment() const;

  int bin_exponent() const { return exponent_; }  // k; meaningful once there is a non-zero value
  double bin_width() const;
  // Counts by magnitude, kBins each; empty spans before the first non-zero value.
  std::span<const uint64_t> positive_bins() const;
  std::span<const uint64_t> negative_bins() const;

  bool operator==(const TensorStatistics& other) const = default;
  // The whole state as bytes, for another process of the same build.
  std::string to_bytes() const;
  // kDataCorrupt when the bytes are no statistics.
  static Result<TensorStatistics> from_bytes(std::string_view bytes);
  // The whole state as text, equal exactly when the statistics are: for tests and caches.
  std::string fingerprint() const;

 private:
  void add_chunk(const float* x, int64_t n, bool use_scratch);
  void add_irregular_chunk(const float* x, int64_t n, bool use_scratch);
  void add_indices(const uint16_t* indices, int64_t n, bool use_scratch);
  void flush_scratch();
  void grow_to(uint32_t amax_bits);

  uint64_t finite_count_ = 0;
  uint64_t zero_count_ = 0;
  uint64_t nan_count_ = 0;
  uint64_t inf_count_ = 0;
  uint32_t amax_bits_ = 0;  // IEEE bits of the largest finite magnitude
  int32_t min_key_ = 0;     // order-preserving integers of the smallest and largest finite value
  int32_t max_key_ = 0;
  int exponent_ = 0;
  std::vector<uint64_t> bins_;  // empty, or kBins of the positive side and then kBins of the negative side
};

struct CalibratorOptions {
  CalibrationMethod method = CalibrationMethod::kMax;
  double percentile = 99.99;   // in (0, 100]; of all finite values, zeros included
  DType dtype = DType::kInt8;  // what the range will be quantized to
  bool symmetric = true;       // zero point 0; an unsigned type then covers [0, amax]
  bool narrow_range = false;
};

struct CalibratedRange {
  float lo = 0;  // real values that map onto the lowest and highest code (0 is always inside)
  float hi = 0;
  float scale = 1;
  int32_t zero_point = 0;
  CalibrationMethod method = CalibrationMethod::kMax;  // the one used; never kAuto
  bool degenerate = false;  // no value above 2^-24 in magnitude: everything quantizes to 0 with scale 1
  std::string reason;       // one sentence
  // Predicted for e = fake_quantize(x) - x.
  double error_mean = 0;
  double error_mean_sq = 0;
  double sqnr_db = 0;  // 10 log10(E[x^2] / E[e^2]), kept within +-300
};

// How a weighted consumer turns an error e of its input into an error of its output: Var(e) * mean_sq_sum +
// mean(e)^2 * mean_sum_sq, errors of different elements taken as independent.
struct ConsumerWeights {
  double mean_sq_sum = 1;  // mean over output channels of sum w^2
  double mean_sum_sq = 1;  // mean over output channels of (sum w)^2
};
// output_axis: the axis of w that counts output channels. kInvalidArgument for a bad axis or non-finite weights.
Result<ConsumerWeights> consumer_weights(const Tensor& w, int output_axis);

// The range of one tensor.
//  max: all finite values. percentile: interpolated inside the bin; for an affine target each sign clips half of the
//  tail mass (a sign with less mass than that passes the rest to the other); a clip that would lose more than half of
//  the non-zero values is taken among the non-zero values instead, so that a sparse tensor never loses its range.
//  entropy: see entropy.h. mse: see mse.h. auto: least output error by ConsumerWeights, or E[e^2] without; a later
//  method in the order max, percentile, entropy, mse must be at least 0.1 % better than an earlier one.
// An unsigned symmetric target sees only the positive values; the negative ones count as zeros in percentile and
// entropy and as clipping errors in every prediction.
// NaN and infinities are left out, and the reason says how many. Errors:
//  kNotFound: no value was seen, so calibration never ran this branch;
//  kDataCorrupt: every value was NaN or infinite;
//  kInvalidArgument: bad options (percentile, dtype, affine FP8).
// A tensor of zeros only is not an error: see CalibratedRange::degenerate.
Result<CalibratedRange> calibrate(const TensorStatistics& statistics, const CalibratorOptions& options,
                                  const std::optional<ConsumerWeights>& consumer = std::nullopt);

// Ranges of weights from their exact values (from a histogram where one scale covers more than 65536 of them). w: any
// floating type. axis -1: one range; axis >= 0: one per channel; block_size > 0: one per group along axis, row-major
// as in QuantParams. kDataCorrupt, with the channel, when a weight is NaN or infinite.
Result<std::vector<CalibratedRange>> calibrate_weights(const Tensor& w, int axis, const CalibratorOptions& options,
                                                       int64_t block_size = 0);

// The ranges as parameters for quantize(); zero_point stays empty when every one is 0.
QuantParams to_quant_params(std::span<const CalibratedRange> ranges, const CalibratorOptions& options, int axis = -1,
                            int64_t block_size = 0);

}  // namespace octet
