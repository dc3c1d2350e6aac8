#include <algorithm>
#include <cmath>

#include "data/image.h"

namespace octet {
namespace {

// The taps of one output position: weights.size() consecutive inputs from `first`, in fixed point.
struct Taps {
  int first = 0;
  std::vector<int> weights;
};

constexpr int kWeightBits = 22;  // 8-bit pixels, and 2 spare bits in 32 for the sum of weights and its sign

// Triangle filter over an input stretch as wide as one output pixel (never narrower than two inputs), weights
// normalised to 1 and rounded to fixed point. Positions and rounding are Pillow's, so that the bytes agree.
std::vector<Taps> antialias_taps(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double widening = std::max(scale, 1.0);
  const double support = widening;  // the triangle reaches 1 to each side
  std::vector<Taps> all(static_cast<size_t>(out));
  std::vector<double> weights;
  for (int o = 0; o < out; ++o) {
    const double centre = (o + 0.5) * scale;
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int last = std::min(static_cast<int>(centre + support + 0.5), in);
    weights.clear();
    double sum = 0;
    for (int i = first; i < last; ++i) {
      const double distance = std::abs((i - centre + 0.5) * (1.0 / widening));
      weights.push_back(distance < 1 ? 1 - distance : 0);
      sum += weights.back();
    }
    Taps& taps = all[static_cast<size_t>(o)];
    taps.first = first;
    for (double w : weights)
      taps.weights.push_back(static_cast<int>(0.5 + (sum != 0 ? w / sum : w) * (1 << kWeightBits)));
  }
  return all;
}

uint8_t from_fixed(int64_t sum) { return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kWeightBits, 0, 255)); }

Image shrink_columns(const Image& src, int width) {
  const std::vector<Taps> all = antialias_taps(src.width, width);
  Image dst = Image::filled(width, src.height, src.channels);
  for (int y = 0; y < src.height; ++y) {
    uint8_t* out = dst.row(y);
    for (const Taps& taps : all) {
      for (int c = 0; c < src.channels; ++c) {
        const uint8_t* in = src.row(y) + static_cast<size_t>(taps.first) * src.channels + c;
        int64_t sum = int64_t{1} << (kWeightBits - 1);
        for (size_t k = 0; k < taps.weights.size(); ++k)
          sum += int64_t{taps.weights[k]} * in[k * static_cast<size_t>(src.channels)];
        *out++ = from_fixed(sum);
      }
    }
  }
  return dst;
}

Image shrink_rows(const Image& src, int height) {
  const std::vector<Taps> all = antialias_taps(src.height, height);
  Image dst = Image::filled(src.width, height, src.channels);
  const size_t stride = static_cast<size_t>(src.width) * src.channels;
  std::vector<int64_t> sums(stride);
  for (int y = 0; y < height; ++y) {
    const Taps& taps = all[static_cast<size_t>(y)];
    std::fill(sums.begin(), sums.end(), int64_t{1} << (kWeightBits - 1));
    for (size_t k = 0; k < taps.weights.size(); ++k) {
      const uint8_t* in = src.row(taps.first + static_cast<int>(k));
      for (size_t i = 0; i < stride; ++i) sums[i] += int64_t{taps.weights[k]} * in[i];
    }
    std::transform(sums.begin(), sums.end(), dst.row(y), from_fixed);
  }
  return dst;
}

// Two taps per axis at (o + 0.5) * scale - 0.5, in 11-bit weights as OpenCV's 8-bit INTER_LINEAR has them; we round
// once at the end where OpenCV drops bits in between, so results may differ by one level.
std::vector<Taps> two_taps(int in, int out) {
  constexpr int kOne = 2048;
  const double scale = static_cast<double>(in) / out;
  std::vector<Taps> all(static_cast<size_t>(out));
  for (int o = 0; o < out; ++o) {
    const double at = std::clamp((o + 0.5) * scale - 0.5, 0.0, in - 1.0);
    const int first = std::min(static_cast<int>(at), std::max(in - 2, 0));
    const int second_weight = in > 1 ? static_cast<int>(std::nearbyint((at - first) * kOne)) : 0;
    all[static_cast<size_t>(o)] = {first, {kOne - second_weight, second_weight}};
  }
  return all;
}

Image resize_two_taps(const Image& src, int width, int height) {
  const std::vector<Taps> columns = two_taps(src.width, width), rows = two_taps(src.height, height);
  Image dst = Image::filled(width, height, src.channels);
  for (int y = 0; y < height; ++y) {
    const Taps& r = rows[static_cast<size_t>(y)];
    const uint8_t* above = src.row(r.first);
    const uint8_t* below = src.row(std::min(r.first + 1, src.height - 1));
    uint8_t* out = dst.row(y);
    for (const Taps& t : columns) {
      const int left = t.first * src.channels;
      const int right = std::min(t.first + 1, src.width - 1) * src.channels;
      for (int c = 0; c < src.channels; ++c) {
        const int top = t.weights[0] * above[left + c] + t.weights[1] * above[right + c];
        const int bottom = t.weights[0] * below[left + c] + t.weights[1] * below[right + c];
        *out++ =
            static_cast<uint8_t>((int64_t{r.weights[0]} * top + int64_t{r.weights[1]} * bottom + (1 << 21)) >> 22);
      }
    }
  }
  return dst;
}

// The input under the centre of each output pixel. Adding up the steps decides the ties as Pillow does.
std::vector<int> nearest_inputs(int in, int out) {
  const double step = static_cast<double>(in) / out;
  std::vector<int> all(static_cast<size_t>(out));
  double at = step * 0.5;
  for (int& from : all) {
    from = std::min(static_cast<int>(at), in - 1);
    at += step;
  }
  return all;
}

Image resize_nearest(const Image& src, int width, int height) {
  const std::vector<int> columns = nearest_inputs(src.width, width), rows = nearest_inputs(src.height, height);
  Image dst = Image::filled(width, height, src.channels);
  uint8_t* out = dst.pixels.data();
  for (int row : rows)
    for (int column : columns) out = std::copy_n(src.row(row) + column * src.channels, src.channels, out);
  return dst;
}

}  // namespace

Image resize_image(const Image& image, int width, int height, Interpolation interpolation) {
  if (image.width == width && image.height == height) return image;
  switch (interpolation) {
    case Interpolation::kNearest: return resize_nearest(image, width, height);
    case Interpolation::kBilinearOpencv: return resize_two_taps(image, width, height);
    case Interpolation::kBilinear: break;
  }
  if (image.width == width) return shrink_rows(image, height);
  Image columns = shrink_columns(image, width);
  return image.height == height ? columns : shrink_rows(columns, height);
}

}  // namespace octet
