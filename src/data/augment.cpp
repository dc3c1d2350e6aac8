#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace octet {
namespace {

uint8_t to_byte(double x) { return static_cast<uint8_t>(std::clamp(std::nearbyint(x), 0.0, 255.0)); }

template <class T>
Tensor flip(const Tensor& chw) {
  Tensor out(chw.dtype(), chw.dims());
  const int64_t w = chw.dim(2), rows = chw.dim(0) * chw.dim(1);
  for (int64_t r = 0; r < rows; ++r)
    std::reverse_copy(chw.data<T>() + r * w, chw.data<T>() + (r + 1) * w, out.data<T>() + r * w);
  return out;
}

template <class T>
T fill_value(double x) {
  if constexpr (std::is_same_v<T, uint8_t>) return to_byte(x);
  else return static_cast<T>(x);
}

template <class T>
Tensor crop(const Tensor& chw, int64_t padding, int64_t top, int64_t left, const std::vector<double>& fill) {
  Tensor out(chw.dtype(), chw.dims());
  const int64_t h = chw.dim(1), w = chw.dim(2);
  const int64_t dy = top - padding, dx = left - padding;  // of the window, in the image
  const int64_t x0 = std::clamp<int64_t>(-dx, 0, w), x1 = std::clamp<int64_t>(w - dx, x0, w);
  for (int64_t c = 0; c < chw.dim(0); ++c) {
    const T empty = fill_value<T>(fill.empty() ? 0 : fill[std::min(static_cast<size_t>(c), fill.size() - 1)]);
    for (int64_t y = 0; y < h; ++y) {
      T* dst = out.data<T>() + (c * h + y) * w;
      const int64_t from = y + dy;
      if (from < 0 || from >= h) {
        std::fill(dst, dst + w, empty);
        continue;
      }
      const T* src = chw.data<T>() + (c * h + from) * w + dx;
      std::fill(dst, dst + x0, empty);
      std::copy(src + x0, src + x1, dst + x0);
      std::fill(dst + x1, dst + w, empty);
    }
  }
  return out;
}

// Rounded after every step, as images of bytes are in other tools.
struct Colors {
  Tensor& image;
  const int64_t pixels;
  uint8_t* plane(int64_t c) { return image.data<uint8_t>() + c * pixels; }
  bool rgb() const { return image.dim(0) == 3; }

  double luma(int64_t i) {
    return rgb() ? 0.299 * plane(0)[i] + 0.587 * plane(1)[i] + 0.114 * plane(2)[i] : plane(0)[i];
  }
  void blend(double factor, double other, uint8_t* value) {
    *value = to_byte(factor * *value + (1 - factor) * other);
  }

  void brightness(double f) {
    for (int64_t i = 0; i < image.numel(); ++i) blend(f, 0, image.data<uint8_t>() + i);
  }
  void contrast(double f) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += luma(i);
    const double mean = sum / static_cast<double>(pixels);
    for (int64_t i = 0; i < image.numel(); ++i) blend(f, mean, image.data<uint8_t>() + i);
  }
  void saturation(double f) {
    if (!rgb()) return;
    for (int64_t i = 0; i < pixels; ++i) {
      const double gray = luma(i);
      for (int64_t c = 0; c < 3; ++c) blend(f, gray, plane(c) + i);
    }
  }
};

// Standard normal, Box and Muller 1958.
double draw_normal(CounterRandom& random) {
  const double u = 1 - random.uniform(), v = random.uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

// Logarithm of a Gamma(alpha, 1) number: for small alpha the number itself underflows.
double draw_log_gamma(double alpha, CounterRandom& random) {
  const double shape = alpha < 1 ? alpha + 1 : alpha;
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  double log_gamma = 0;
  for (;;) {
    const double x = draw_normal(random), t = 1 + c * x;
    const double u = 1 - random.uniform();
    if (t <= 0) continue;
    const double v = t * t * t;
    if (std::log(u) >= 0.5 * x * x + d - d * v + d * std::log(v)) continue;
    log_gamma = std::log(d * v);
    break;
  }
  // Gamma(a) = Gamma(a + 1) * U^(1 / a).
  return alpha < 1 ? log_gamma + std::log(1 - random.uniform()) / alpha : log_gamma;
}

}  // namespace

Tensor flip_horizontal(const Tensor& chw) {
  return chw.dtype() == DType::kUint8 ? flip<uint8_t>(chw) : flip<float>(chw);
}

Tensor crop_padded(const Tensor& chw, int64_t padding, int64_t top, int64_t left, const std::vector<double>& fill) {
  return chw.dtype() == DType::kUint8 ? crop<uint8_t>(chw, padding, top, left, fill)
                                      : crop<float>(chw, padding, top, left, fill);
}

Tensor change_colors(const Tensor& chw, const ColorFactors& factors) {
  Tensor out = chw.clone();
  Colors colors{out, chw.dim(1) * chw.dim(2)};
  if (factors.brightness != 1) colors.brightness(factors.brightness);
  if (factors.contrast != 1) colors.contrast(factors.contrast);
  if (factors.saturation != 1) colors.saturation(factors.saturation);
  return out;
}

namespace {

Status check_augmented(const Tensor& chw, const AugmentOptions& o) {
  const bool image = chw.rank() == 3 && (chw.dtype() == DType::kUint8 || chw.dtype() == DType::kFloat32);
  if (!image)
    return invalid_argument(
        std::string("augmentation is for images of shape [channels, height, width], and this is ") +
        dtype_name(chw.dtype()) + " " + dims_to_string(chw.dims()));
  if (o.colors() && chw.dtype() != DType::kUint8)
    return invalid_argument("color_jitter is for 8-bit images; this data comes as float32 arrays");
  return Status::ok();
}

// The window that an affine change shows: `wander` is how far its centre may lie from the plane's, in sides.
Placing draw_placing(const LabelledImage& plane, int64_t width, int64_t height, double wander,
                     const AugmentOptions& o, CounterRandom& random) {
  const double scale = random.uniform(o.scale_low, o.scale_high);
  const auto centre = [&](int64_t side, int64_t window) {
    return static_cast<double>(side) / 2 + random.uniform(-wander, wander) * static_cast<double>(window);
  };
  const double x = centre(plane.image.dim(2), width), y = centre(plane.image.dim(1), height);
  return {scale, static_cast<double>(width) / 2 - scale * x, static_cast<double>(height) / 2 - scale * y};
}

}  // namespace

Result<LabelledImage> augment(LabelledImage labelled, const AugmentOptions& o, CounterRandom random,
                              const std::array<LabelledImage, 3>* others) {
  if (o.horizontal_flip <= 0 && o.crop_padding <= 0 && !o.colors() && !o.affine() && others == nullptr)
    return labelled;
  OCTET_RETURN_IF_ERROR(check_augmented(labelled.image, o));
  // Every number is drawn whatever the options say, so that switching one off does not change the others.
  const bool flipped = random.uniform() < o.horizontal_flip;
  const auto span = static_cast<uint64_t>(2 * o.crop_padding + 1);
  const auto top = static_cast<int64_t>(random.below(span)), left = static_cast<int64_t>(random.below(span));
  const auto factor = [&random](double x) { return random.uniform(std::max(0.0, 1 - x), 1 + x); };
  ColorFactors factors;
  factors.brightness = factor(o.brightness);
  factors.contrast = factor(o.contrast);
  factors.saturation = factor(o.saturation);
  const int64_t height = labelled.image.dim(1), width = labelled.image.dim(2);
  if (others != nullptr) {
    for (const LabelledImage& other : *others)
      if (other.image.dims() != labelled.image.dims())
        return invalid_argument("mosaic needs images of one size; set the preprocess keys 'resize' or 'crop'");
    labelled = mosaic({labelled, (*others)[0], (*others)[1], (*others)[2]});
  }
  if (others != nullptr || o.affine()) {
    // A mosaic's window lies anywhere in it; it needs no further way.
    const double wander = others != nullptr ? 0.5 : o.translate;
    labelled =
        place(labelled, draw_placing(labelled, width, height, wander, o, random), width, height, o.affine_fill);
  }
  if (flipped) labelled = flip_horizontal(labelled);
  const double fill = labelled.image.dtype() == DType::kUint8 ? o.crop_fill : 0;
  if (o.crop_padding > 0) labelled = crop_padded(labelled, o.crop_padding, top, left, fill);
  if (o.colors()) labelled.image = change_colors(labelled.image, factors);
  return labelled;
}

Result<Tensor> augment_image(const Tensor& chw, const AugmentOptions& o, CounterRandom random) {
  OCTET_ASSIGN(LabelledImage changed, augment({chw, {}, {}}, o, random, nullptr));
  return std::move(changed.image);
}

void mix_into(Tensor& a, const Tensor& b, float lambda) {
  float* x = a.data<float>();
  const float* y = b.data<float>();
  for (int64_t i = 0; i < a.numel(); ++i) x[i] = lambda * x[i] + (1 - lambda) * y[i];
}

double draw_beta(double alpha, CounterRandom& random) {
  const double x = draw_log_gamma(alpha, random), y = draw_log_gamma(alpha, random);
  return 1 / (1 + std::exp(y - x));
}

}  // namespace octet
