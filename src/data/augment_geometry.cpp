#include "data/augment_geometry.h"

#include <algorithm>
#include <cmath>

#include "data/augment.h"

namespace octet {
namespace {

constexpr double kLeastShare = 0.2, kLeastSide = 2;

// Where the centre of output pixel i lies in the source, in source pixels.
double source_of(int64_t i, double scale, double offset) { return (static_cast<double>(i) + 0.5 - offset) / scale; }

// Two neighbouring pixels of a source of n and the weight of the second; both the same at the edges.
struct Tap {
  bool inside = false;
  int64_t first = 0, second = 0;
  double weight = 0;
};

std::vector<Tap> taps_of(int64_t count, double scale, double offset, int64_t n) {
  std::vector<Tap> taps(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    Tap& tap = taps[static_cast<size_t>(i)];
    const double at = source_of(i, scale, offset);
    tap.inside = at >= 0 && at < static_cast<double>(n);
    if (!tap.inside) continue;
    const double from = std::clamp(at - 0.5, 0.0, static_cast<double>(n - 1));
    tap.first = static_cast<int64_t>(from);
    tap.second = std::min(tap.first + 1, n - 1);
    tap.weight = from - static_cast<double>(tap.first);
  }
  return taps;
}

template <class T>
T stored(double x) {
  if constexpr (std::is_same_v<T, uint8_t>) return static_cast<uint8_t>(std::clamp(std::nearbyint(x), 0.0, 255.0));
  else return static_cast<T>(x);
}

template <class T>
Tensor place_pixels(const Tensor& chw, const Placing& p, int64_t width, int64_t height, double fill) {
  const int64_t h = chw.dim(1), w = chw.dim(2);
  Tensor out(chw.dtype(), {chw.dim(0), height, width});
  const std::vector<Tap> columns = taps_of(width, p.scale, p.dx, w), rows = taps_of(height, p.scale, p.dy, h);
  T* dst = out.data<T>();
  for (int64_t c = 0; c < chw.dim(0); ++c) {
    for (const Tap& row : rows) {
      const T* above = chw.data<T>() + (c * h + row.first) * w;
      const T* below = chw.data<T>() + (c * h + row.second) * w;
      for (const Tap& column : columns) {
        if (!row.inside || !column.inside) {
          *dst++ = stored<T>(fill);
          continue;
        }
        const auto mix = [&](const T* line) {
          const double left = line[column.first], right = line[column.second];
          return left + (right - left) * column.weight;
        };
        const double top = mix(above), bottom = mix(below);
        *dst++ = stored<T>(top + (bottom - top) * row.weight);
      }
    }
  }
  return out;
}

Tensor as_planes(const Tensor& mask) { return mask.reshaped({1, mask.dim(0), mask.dim(1)}); }
Tensor as_mask(const Tensor& planes) { return planes.reshaped({planes.dim(1), planes.dim(2)}); }
bool has_mask(const LabelledImage& labelled) { return labelled.mask.rank() == 2; }

// Copies a [C, h, w] image into the [C, H, W] one at (top, left).
void put(const Tensor& part, int64_t top, int64_t left, Tensor* whole) {
  const int64_t h = part.dim(1), w = part.dim(2);
  const auto size = static_cast<int64_t>(dtype_size(part.dtype()));
  for (int64_t c = 0; c < part.dim(0); ++c)
    for (int64_t y = 0; y < h; ++y)
      std::copy_n(part.data<char>() + (c * h + y) * w * size, w * size,
                  whole->data<char>() + ((c * whole->dim(1) + top + y) * whole->dim(2) + left) * size);
}

}  // namespace

Tensor place_image(const Tensor& chw, const Placing& placing, int64_t width, int64_t height, double fill) {
  return chw.dtype() == DType::kUint8 ? place_pixels<uint8_t>(chw, placing, width, height, fill)
                                      : place_pixels<float>(chw, placing, width, height, 0);
}

Tensor place_mask(const Tensor& mask, const Placing& p, int64_t width, int64_t height) {
  Tensor out(DType::kUint8, {height, width});
  const int64_t h = mask.dim(0), w = mask.dim(1);
  uint8_t* dst = out.data<uint8_t>();
  for (int64_t y = 0; y < height; ++y) {
    const double from_y = std::floor(source_of(y, p.scale, p.dy));
    for (int64_t x = 0; x < width; ++x) {
      const double from_x = std::floor(source_of(x, p.scale, p.dx));
      const bool inside =
          from_x >= 0 && from_x < static_cast<double>(w) && from_y >= 0 && from_y < static_cast<double>(h);
      *dst++ = inside ? mask.data<uint8_t>()[static_cast<int64_t>(from_y) * w + static_cast<int64_t>(from_x)]
                      : static_cast<uint8_t>(kIgnoredPixel);
    }
  }
  return out;
}

std::vector<Box> place_boxes(const std::vector<Box>& boxes, const Placing& p, int64_t width, int64_t height) {
  std::vector<Box> out;
  const auto moved = [&](float v, double offset) { return p.scale * static_cast<double>(v) + offset; };
  for (const Box& b : boxes) {
    const double x1 = moved(b.x1, p.dx), y1 = moved(b.y1, p.dy), x2 = moved(b.x2, p.dx), y2 = moved(b.y2, p.dy);
    const double area = (x2 - x1) * (y2 - y1);
    const auto cut = [](double v, int64_t side) { return std::clamp(v, 0.0, static_cast<double>(side)); };
    const double w = cut(x2, width) - cut(x1, width), h = cut(y2, height) - cut(y1, height);
    if (w < kLeastSide || h < kLeastSide || w * h < kLeastShare * area) continue;
    Box kept = b;
    kept.x1 = static_cast<float>(cut(x1, width));
    kept.y1 = static_cast<float>(cut(y1, height));
    kept.x2 = static_cast<float>(cut(x2, width));
    kept.y2 = static_cast<float>(cut(y2, height));
    out.push_back(kept);
  }
  return out;
}

LabelledImage flip_horizontal(const LabelledImage& labelled) {
  LabelledImage out{flip_horizontal(labelled.image), labelled.boxes, {}};
  const auto width = static_cast<float>(labelled.image.dim(2));
  for (Box& b : out.boxes) {
    const float left = width - b.x2;
    b.x2 = width - b.x1;
    b.x1 = left;
  }
  if (has_mask(labelled)) out.mask = as_mask(flip_horizontal(as_planes(labelled.mask)));
  return out;
}

LabelledImage crop_padded(const LabelledImage& labelled, int64_t padding, int64_t top, int64_t left, double fill) {
  LabelledImage out;
  out.image = crop_padded(labelled.image, padding, top, left, {fill});
  const Placing placing{1, static_cast<double>(padding - left), static_cast<double>(padding - top)};
  out.boxes = place_boxes(labelled.boxes, placing, labelled.image.dim(2), labelled.image.dim(1));
  if (has_mask(labelled))
    out.mask = as_mask(crop_padded(as_planes(labelled.mask), padding, top, left, {kIgnoredPixel}));
  return out;
}

LabelledImage place(const LabelledImage& labelled, const Placing& placing, int64_t width, int64_t height,
                    double fill) {
  LabelledImage out;
  out.image = place_image(labelled.image, placing, width, height, fill);
  out.boxes = place_boxes(labelled.boxes, placing, width, height);
  if (has_mask(labelled)) out.mask = place_mask(labelled.mask, placing, width, height);
  return out;
}

LabelledImage mosaic(const std::array<LabelledImage, 4>& parts) {
  const Tensor& first = parts[0].image;
  const int64_t h = first.dim(1), w = first.dim(2);
  LabelledImage out;
  out.image = Tensor(first.dtype(), {first.dim(0), 2 * h, 2 * w});
  Tensor mask(DType::kUint8, {1, 2 * h, 2 * w});
  for (size_t i = 0; i < 4; ++i) {
    const int64_t top = i < 2 ? 0 : h, left = i % 2 == 0 ? 0 : w;
    put(parts[i].image, top, left, &out.image);
    if (has_mask(parts[i])) put(as_planes(parts[i].mask), top, left, &mask);
    for (Box b : parts[i].boxes) {
      b.x1 += static_cast<float>(left);
      b.x2 += static_cast<float>(left);
      b.y1 += static_cast<float>(top);
      b.y2 += static_cast<float>(top);
      out.boxes.push_back(b);
    }
  }
  if (has_mask(parts[0])) out.mask = as_mask(mask);
  return out;
}

std::vector<Box> boxes_on_canvas(const Sample& sample) {
  const ImagePlacement& at = sample.placement;
  std::vector<Box> out;
  for (Box b : sample.boxes) {
    const auto map = [](float v, double scale, double offset, int64_t side) {
      return static_cast<float>(std::clamp(v * scale + offset, 0.0, static_cast<double>(side)));
    };
    b.x1 = map(b.x1, at.scale_x, at.offset_x, at.canvas_width);
    b.x2 = map(b.x2, at.scale_x, at.offset_x, at.canvas_width);
    b.y1 = map(b.y1, at.scale_y, at.offset_y, at.canvas_height);
    b.y2 = map(b.y2, at.scale_y, at.offset_y, at.canvas_height);
    if (b.x2 > b.x1 && b.y2 > b.y1) out.push_back(b);
  }
  return out;
}

}  // namespace octet
