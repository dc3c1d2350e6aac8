// What calibration saw, small enough to keep and to draw: statistics.json, which `octet report` reads.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "octet/calibration.h"
#include "octet/quantization.h"

namespace octet {

// A range that a calibrator would choose.
struct ClipSummary {
  float lo = 0, hi = 0;
  float outside = 0;  // share of the finite values that it clips, 0..1
};

struct TensorSummary {
  // A power of two times the bins of TensorStatistics, so that both signs together fit.
  static constexpr int kMostBins = 256;

  TensorRole role = TensorRole::kActivation;
  int64_t count = 0;  // all values; zeros and values that are not finite are among them, and in no bin
  int64_t zeros = 0, nonfinite = 0;
  double min = 0, max = 0, mean = 0;
  double bin_lo = 0, bin_width = 0;          // bin i counts the values of [bin_lo + i * bin_width, ... + bin_width)
  std::vector<int64_t> bins;                 // at most kMostBins; empty for a tensor of zeros
  std::map<std::string, ClipSummary> clips;  // by calibrator; empty for weights
  std::vector<float> channels;               // weights: largest magnitude of each output channel
};

struct CalibrationSummary {
  std::string fingerprint;  // of the network, as in Ranges
  std::map<std::string, TensorSummary> tensors;
  // Quantized layers: SQNR of the output in dB when this layer alone is quantized; selective regime only.
  std::map<std::string, double> layer_sqnr_db;
};

// Bins and moments of one tensor, without clips and channels.
TensorSummary summarize(const TensorStatistics& statistics);

// Every tensor that the plan quantizes and has statistics for, and every weight. Arguments as for
// SelectiveQuantizer::calibrate. A tensor on which a calibrator fails has no clips.
CalibrationSummary summarize_calibration(const Graph& graph, const QuantizationPlan& plan,
                                         const std::map<std::string, TensorStatistics>& statistics);

// One line per tensor; the same summary gives the same bytes.
std::string summary_to_json(const CalibrationSummary& summary);

}  // namespace octet
