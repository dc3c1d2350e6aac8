// Random changes of training images, as a recipe gives them.
#pragma once

namespace octet {

// Applied in the order of the fields; none by default.
struct AugmentOptions {
  double horizontal_flip = 0;  // probability
  int crop_padding = 0;        // pixels on each side; a window of the old size is cut at a random place
  int crop_fill = 0;           // pixel value 0..255 of the padding; arrays that are no images are padded with 0
  double brightness = 0, contrast = 0, saturation = 0;  // factors from [max(0, 1 - x), 1 + x]
  double mixup = 0;                                     // alpha of Beta(alpha, alpha), Zhang et al. 2018; 0: off
  bool any() const { return horizontal_flip > 0 || crop_padding > 0 || colors() || mixup > 0; }
  bool colors() const { return brightness > 0 || contrast > 0 || saturation > 0; }
  bool operator==(const AugmentOptions&) const = default;
};

}  // namespace octet
