// Are the calibration images enough, are some of them odd, and are they like the images that the network will see?
// None of it needs labels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octet/pipeline.h"

namespace octet {

struct CalibCheckJob {
  const Dataset* calibration = nullptr;
  const Dataset* evaluation = nullptr;  // images to compare with; null: no drift is measured
  int64_t images = 0;                   // calibration images; 0: what the options say
  double tolerance = 0.1;               // relative change of a range that does not matter: less than 1 dB of noise
  double outlier_z = 6;                 // robust standard deviations that make an image odd
  uint64_t seed = 1;                    // of the splits that the drift's threshold comes from
  RunOptions run;
};

// How ranges change when the number of images doubles.
struct ConvergencePoint {
  int64_t images = 0;                                          // compared with half as many
  double median_change = 0, p95_change = 0, worst_change = 0;  // |width - width before| / width, over tensors
  std::string worst_tensor;
};

// An image with an activation much larger than those of other images: it alone may set the range.
struct OutlierImage {
  int64_t image = 0;
  std::string name;  // of the sample
  double z = 0;      // of its worst tensor: (log2 amax - median) / (1.4826 MAD), over the images
  std::string tensor;
  double amax = 0, typical = 0;  // of that tensor: in this image, median over the images
  int64_t tensors = 0;           // in how many tensors it is odd
  bool nonfinite = false;        // a NaN or an infinity, which calibration leaves out
};

struct TensorDrift {
  std::string tensor;
  double distance = 0;   // Jensen-Shannon, 0..1, between calibration and evaluation images
  double threshold = 0;  // what calibration images among themselves stay below
};

struct CalibCheckReport {
  int64_t images = 0, tensors = 0;
  std::vector<ConvergencePoint> convergence;
  int64_t enough = 0;                  // from so many images on no doubling changed 95 % of the ranges by more than
                                       // the tolerance; 0: not reached
  std::vector<OutlierImage> outliers;  // worst first
  bool drift_measured = false;
  bool drifted = false;                // distance > threshold
  double distance = 0, threshold = 0;  // mean over the tensors
  int64_t drift_images = 0;            // on each side
  std::vector<TensorDrift> drift;      // largest ratio to its threshold first
  std::vector<std::string> notes;
};

// The tensors are those that the quantizer would observe, their ranges those that its options choose. Statistics of
// parts of the images are merged, so every image runs once. Memory: 17 sets of statistics (64 KiB a tensor) and one
// for each worker. Deterministic for any number of threads. Errors: those of calibration, kInvalidArgument for fewer
// than 8 images.
Result<CalibCheckReport> check_calibration(const Graph& graph, const SelectiveQuantizer& quantizer,
                                           const CalibCheckJob& job);

std::string calib_check_to_json(const CalibCheckReport& report);

}  // namespace octet
