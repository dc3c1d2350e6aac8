// The entropy calibrator: the clip whose quantized histogram diverges least from the real one.
#pragma once

#include <vector>

#include "calibration/threshold.h"

namespace octet {

// Over a histogram c[0 .. n), for a candidate that keeps the bins [a, b):
//   P = c[a .. b), the counts outside added to the bin at the edge they lie beyond;
//   Q = c[a .. b) without them, merged into levels and spread back evenly over the level's non-empty bins;
// and the divergence is sum P/|P| log((P/|P|) / (Q/|Q|)), infinite where P has counts and Q none. (Migacz, "8-bit
// inference with TensorRT", GTC 2017.) Prefix sums of c and c log c reduce a candidate to one term per level.
//
// Zeros never enter: they are counted apart and are exact in every candidate, so that no spike needs patching.
class EntropySearch {
 public:
  // edges: levels + 1 shares of the width b - a, from 0 to 1; level g holds the bins from ceil(edges[g] * (b - a)).
  EntropySearch(std::vector<double> counts, std::vector<double> edges);

  // Infinity when an edge bin would take a tail but is empty itself, and when less than half of the counts are
  // inside: with hardly a bin left, P and Q are alike whatever the data.
  double divergence(int a, int b) const;
  int bins() const { return static_cast<int>(counts_.size()); }

 private:
  double log_of_count(double n) const;

  std::vector<double> counts_;
  std::vector<double> edges_;
  std::vector<double> sum_;      // prefix sums of the counts,
  std::vector<double> sum_log_;  // of c log c
  std::vector<int> nonempty_;    // and of c > 0
};

// Symmetric: every threshold between `levels` bins (128 for INT8, 256 for UINT8) and the last used one is tried, on
// magnitudes. Affine with both signs: both ends in turn, coarse grid then fine, until neither moves. FP8: the levels
// are its codes. Equal divergences: the widest range wins, also when the type has more levels than the histogram
// bins.
ClipRange entropy_range(const Distribution& d, const CalibratorOptions& options);

}  // namespace octet
