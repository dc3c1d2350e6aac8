// Where along one axis Resize reads its input, and with which weights.
#pragma once

#include <string>
#include <vector>

#include "kernels/ref/ref_op.h"
#include "octet/tensor.h"

namespace octet::nn {

enum class Interpolation { kNearest, kLinear, kCubic };
enum class NearestMode { kRoundPreferFloor, kRoundPreferCeil, kFloor, kCeil };
enum class CoordinateMode {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kTfCropAndResize,
  kTfHalfPixelForNn,  // opsets 11 and 12 only
};

// Attributes of Resize.
struct SamplingOptions {
  Interpolation mode = Interpolation::kNearest;
  NearestMode nearest = NearestMode::kRoundPreferFloor;
  CoordinateMode coordinates = CoordinateMode::kHalfPixel;
  double cubic_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
  double extrapolation_value = 0;
};

// One axis of a resize. in and out are at least 1.
struct SampledAxis {
  int64_t in = 1;
  int64_t out = 1;
  double scale = 1;         // output elements per input element
  bool by_size = true;      // scale is out / in and nothing else
  double corner_width = 1;  // what align_corners takes for the length of the output
  double roi_begin = 0;     // of the axis, 0 .. 1
  double roi_end = 1;

  bool is_identity(const SamplingOptions& options) const;
};

// x_original of the ONNX text for output position `o`.
double source_coordinate(const SampledAxis& axis, const SamplingOptions& options, int64_t o);
// tf_crop_and_resize reads nothing there but takes extrapolation_value.
bool is_extrapolated(const SampledAxis& axis, const SamplingOptions& options, double coordinate);
// Input position of the nearest element, clamped to the axis.
int64_t nearest_position(const SampledAxis& axis, NearestMode mode, double coordinate);

struct Tap {
  int64_t position;  // inside the input
  double weight;
};
// How many taps interpolation_taps() gives at most; kResourceLimit for absurd antialiasing filters.
Result<int64_t> tap_count(const SampledAxis& axis, const SamplingOptions& options);
// Linear or cubic weights, which sum to 1.
std::vector<Tap> interpolation_taps(const SampledAxis& axis, const SamplingOptions& options, double coordinate);

// What a Resize or Upsample node does: one entry of `axes` per axis of input 0, of which only the shape is looked at.
struct ResizePlan {
  SamplingOptions options;
  std::vector<SampledAxis> axes;
};
Result<ResizePlan> resize_plan(const OpArgs& args);

}  // namespace octet::nn
