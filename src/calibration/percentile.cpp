#include "calibration/percentile.h"

namespace octet {
namespace {

// A clip that would lose more than this share of the non-zero values is not a clip of outliers: the percentile fell
// into the zeros (a sparse ReLU output), or nearly so.
constexpr double kMostNonzeroLost = 0.5;

double symmetric_percentile(const Distribution& d, Side side, double tail) {
  const bool sparse = tail * d.total() > kMostNonzeroLost * d.nonzero(side);
  return d.magnitude_at_tail(side, tail, sparse);
}

ClipRange affine_percentile(const Distribution& d, double tail) {
  const double both = d.nonzero(Side::kBoth);
  if (tail * d.total() > kMostNonzeroLost * both) {  // the same rule, among the non-zero values
    const double share = tail * both / d.total();
    if (share < tail) return affine_percentile(d, share);
  }
  // Each sign clips half of the tail; what a sign cannot use, because it has fewer values, goes to the other.
  const double negative = d.nonzero(Side::kNegative) / d.total();
  const double positive = d.nonzero(Side::kPositive) / d.total();
  double tail_lo = tail / 2, tail_hi = tail / 2;
  if (negative < tail_lo) tail_hi = tail - negative;
  if (positive < tail_hi) tail_lo = tail - positive;
  return {-d.magnitude_at_tail(Side::kNegative, tail_lo, false),
          d.magnitude_at_tail(Side::kPositive, tail_hi, false)};
}

}  // namespace

ClipRange percentile_range(const Distribution& d, const CalibratorOptions& options) {
  const double tail = 1 - options.percentile / 100;
  if (!options.symmetric) return affine_percentile(d, tail);
  return symmetric_range(symmetric_percentile(d, symmetric_side(options), tail), options);
}

}  // namespace octet
