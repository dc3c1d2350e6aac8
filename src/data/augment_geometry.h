// Random changes that move pixels, and boxes and masks along with them.
#pragma once

#include <array>
#include <vector>

#include "octet/data.h"
#include "octet/tensor.h"

namespace octet {

// A training image with what is known about its places. Boxes are in pixels of the image, a pixel being one unit wide
// and the first one beginning at 0.
struct LabelledImage {
  Tensor image;  // uint8 or float32 [C, H, W]
  std::vector<Box> boxes;
  Tensor mask;  // uint8 [H, W], or empty
};

// out = scale * in + (dx, dy).
struct Placing {
  double scale = 1, dx = 0, dy = 0;
};

// A width x height image whose pixel centres read the source bilinearly between its four neighbours, and `fill` (for
// uint8; 0 for float32) where the place lies outside of the source; bytes are rounded to nearest.
Tensor place_image(const Tensor& chw, const Placing& placing, int64_t width, int64_t height, double fill);
// The same for a mask: the pixel in which the place lies, kIgnoredPixel outside.
Tensor place_mask(const Tensor& mask, const Placing& placing, int64_t width, int64_t height);
// Boxes moved and cut to width x height. One of which less than a fifth is left, or less than two pixels of a side,
// is dropped: nobody could say what it was.
std::vector<Box> place_boxes(const std::vector<Box>& boxes, const Placing& placing, int64_t width, int64_t height);

LabelledImage flip_horizontal(const LabelledImage& labelled);
// As crop_padded; the mask's padding is kIgnoredPixel.
LabelledImage crop_padded(const LabelledImage& labelled, int64_t padding, int64_t top, int64_t left, double fill);
LabelledImage place(const LabelledImage& labelled, const Placing& placing, int64_t width, int64_t height,
                    double fill);

// Four images of one shape as one of twice the width and height: 0 1 above 2 3 (Bochkovskiy et al. 2020, arXiv
// 2004.10934). All have a mask, or none has.
LabelledImage mosaic(const std::array<LabelledImage, 4>& parts);

// The annotated boxes of a prepared sample in pixels of its canvas, cut to it; what lies outside is dropped.
std::vector<Box> boxes_on_canvas(const Sample& sample);

}  // namespace octet
