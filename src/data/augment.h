// Random changes of training images: pure functions on [C, H, W] tensors of uint8 or float32.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/counter_random.h"
#include "data/augment_geometry.h"
#include "octet/augment_options.h"
#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

Tensor flip_horizontal(const Tensor& chw);

// The image surrounded by `padding` pixels of fill[c] (rounded for uint8) on each side; then the window of the old
// size whose corner is (top, left) of the padded image, both in 0..2 * padding. `fill` has one value per channel, or
// one.
Tensor crop_padded(const Tensor& chw, int64_t padding, int64_t top, int64_t left, const std::vector<double>& fill);

// uint8 only, rounded to nearest and clamped. As torchvision defines them: brightness scales towards black, contrast
// towards the mean of the luma, saturation (three channels in RGB order) towards the pixel's own luma;
// luma = 0.299 R + 0.587 G + 0.114 B, or the channel itself.
struct ColorFactors {
  double brightness = 1, contrast = 1, saturation = 1;
};
Tensor change_colors(const Tensor& chw, const ColorFactors& factors);

// What `options` ask for, with numbers drawn from `random` in a fixed order. Mixup is not part of it; mosaic happens
// when there are `others`. The size stays. Errors: an image that is no [C, H, W] of uint8 or float32; colours of
// anything but uint8; others of another size.
Result<LabelledImage> augment(LabelledImage labelled, const AugmentOptions& options, CounterRandom random,
                              const std::array<LabelledImage, 3>* others);
// The image alone.
Result<Tensor> augment_image(const Tensor& chw, const AugmentOptions& options, CounterRandom random);

// dst = lambda * a + (1 - lambda) * b for float32 tensors of one shape, written into a.
void mix_into(Tensor& a, const Tensor& b, float lambda);

// One number of Beta(alpha, alpha), alpha above 0: X / (X + Y) of two Gamma numbers (Marsaglia & Tsang 2000).
double draw_beta(double alpha, CounterRandom& random);

}  // namespace octet
