#include "kernels/ref/nn_sampling.h"

#include <algorithm>
#include <cmath>

namespace octet::nn {
namespace {

// Coordinates farther out than this read the same edge; keeps the conversion to int64 defined.
constexpr double kFarOutside = 0x1p40;
constexpr int64_t kMaxTaps = int64_t{1} << 24;

// R. Keys, "Cubic convolution interpolation for digital image processing", equation (4).
double cubic_kernel(double x, double a) {
  x = std::fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

double linear_kernel(double x) { return std::max(0.0, 1 - std::fabs(x)); }

// The filter is stretched by 1 / scale when antialiasing a reduction.
double filter_scale(const SampledAxis& axis, const SamplingOptions& o) {
  return o.antialias ? std::min(axis.scale, 1.0) : 1.0;
}

double filter_radius(const SampledAxis& axis, const SamplingOptions& o) {
  return (o.mode == Interpolation::kCubic ? 2.0 : 1.0) / filter_scale(axis, o);
}

double crop_coordinate(const SampledAxis& axis, double x) {
  const auto last = static_cast<double>(axis.in - 1);
  if (axis.out == 1) return 0.5 * (axis.roi_begin + axis.roi_end) * last;
  return axis.roi_begin * last + x * (axis.roi_end - axis.roi_begin) * last / static_cast<double>(axis.out - 1);
}

// A size given as such makes scale a fraction out / in: multiplying first keeps whole results whole. A scale given as
// float32 stands for a number such as 1/3 that it cannot hold; where a hair decides which element is nearest,
// rounding the quotient to float32 makes 1 / 0.33333334 the 3 that was meant (and that ONNX Runtime computes).
double unscale(const SampledAxis& axis, Interpolation mode, double x) {
  if (axis.by_size) return x * static_cast<double>(axis.in) / static_cast<double>(axis.out);
  const double quotient = x / axis.scale;
  return mode == Interpolation::kNearest ? static_cast<double>(static_cast<float>(quotient)) : quotient;
}

double raw_coordinate(const SampledAxis& axis, const SamplingOptions& o, double x) {
  switch (o.coordinates) {
    case CoordinateMode::kHalfPixel: return unscale(axis, o.mode, x + 0.5) - 0.5;
    case CoordinateMode::kHalfPixelSymmetric: {  // ONNX's formula with both centres taken out of the fractions
      const double from_center = x + 0.5 - static_cast<double>(axis.out) / 2;
      return static_cast<double>(axis.in) / 2 + unscale(axis, o.mode, from_center) - 0.5;
    }
    case CoordinateMode::kPytorchHalfPixel: return axis.out > 1 ? unscale(axis, o.mode, x + 0.5) - 0.5 : 0.0;
    case CoordinateMode::kAlignCorners:
      return axis.out == 1 ? 0.0 : x * static_cast<double>(axis.in - 1) / (axis.corner_width - 1);
    case CoordinateMode::kAsymmetric: return unscale(axis, o.mode, x);
    case CoordinateMode::kTfCropAndResize: return crop_coordinate(axis, x);
    case CoordinateMode::kTfHalfPixelForNn: return unscale(axis, o.mode, x + 0.5);
  }
  return x;
}

// Zeroes what lies outside and makes the rest sum to 1; when nothing is left, the nearest edge remains.
void exclude_outside(int64_t in, double coordinate, std::vector<Tap>& taps) {
  double sum = 0;
  for (Tap& tap : taps) {
    if (tap.position < 0 || tap.position >= in) tap.weight = 0;
    sum += tap.weight;
  }
  if (sum == 0) {
    taps = {{coordinate < 0 ? 0 : in - 1, 1.0}};
    return;
  }
  for (Tap& tap : taps) tap.weight /= sum;
}

}  // namespace

bool SampledAxis::is_identity(const SamplingOptions& options) const {
  return in == out && scale == 1 && options.coordinates != CoordinateMode::kTfCropAndResize &&
         options.coordinates != CoordinateMode::kTfHalfPixelForNn;
}

double source_coordinate(const SampledAxis& axis, const SamplingOptions& options, int64_t o) {
  return std::clamp(raw_coordinate(axis, options, static_cast<double>(o)), -kFarOutside, kFarOutside);
}

bool is_extrapolated(const SampledAxis& axis, const SamplingOptions& options, double coordinate) {
  return options.coordinates == CoordinateMode::kTfCropAndResize &&
         (coordinate < 0 || coordinate > static_cast<double>(axis.in - 1));
}

int64_t nearest_position(const SampledAxis& axis, NearestMode mode, double coordinate) {
  double rounded = 0;
  switch (mode) {
    case NearestMode::kRoundPreferFloor: rounded = std::ceil(coordinate - 0.5); break;
    case NearestMode::kRoundPreferCeil: rounded = std::floor(coordinate + 0.5); break;
    case NearestMode::kFloor: rounded = std::floor(coordinate); break;
    case NearestMode::kCeil: rounded = std::ceil(coordinate); break;
  }
  return std::clamp<int64_t>(static_cast<int64_t>(rounded), 0, axis.in - 1);
}

Result<int64_t> tap_count(const SampledAxis& axis, const SamplingOptions& options) {
  const double taps = 2 * std::ceil(filter_radius(axis, options));
  if (!(taps <= static_cast<double>(kMaxTaps)))
    return resource_limit("scale " + std::to_string(axis.scale) + " is too small for antialiasing");
  return static_cast<int64_t>(taps);
}

std::vector<Tap> interpolation_taps(const SampledAxis& axis, const SamplingOptions& options, double coordinate) {
  const double scale = filter_scale(axis, options);
  const auto radius = static_cast<int64_t>(std::ceil(filter_radius(axis, options)));
  const auto base = static_cast<int64_t>(std::floor(coordinate));
  std::vector<Tap> taps;
  double sum = 0;
  for (int64_t position = base - radius + 1; position <= base + radius; ++position) {
    const double distance = (static_cast<double>(position) - coordinate) * scale;
    const double weight =
        options.mode == Interpolation::kCubic ? cubic_kernel(distance, options.cubic_a) : linear_kernel(distance);
    taps.push_back({position, weight});
    sum += weight;
  }
  for (Tap& tap : taps) tap.weight /= sum;
  if (options.exclude_outside) exclude_outside(axis.in, coordinate, taps);
  for (Tap& tap : taps) tap.position = std::clamp<int64_t>(tap.position, 0, axis.in - 1);
  return taps;
}

}  // namespace octet::nn
