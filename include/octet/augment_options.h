// Random changes of training images, as a recipe gives them.
#pragma once

namespace octet {

// Mosaic and affine come first, then the others in the order of the fields; none by default. Boxes and masks move
// along with the image.
struct AugmentOptions {
  double horizontal_flip = 0;  // probability
  int crop_padding = 0;        // pixels on each side; a window of the old size is cut at a random place
  int crop_fill = 0;           // pixel value 0..255 of the padding; arrays that are no images are padded with 0
  double brightness = 0, contrast = 0, saturation = 0;  // factors from [max(0, 1 - x), 1 + x]
  double mixup = 0;                                     // alpha of Beta(alpha, alpha), Zhang et al. 2018; 0: off
  double scale_low = 1, scale_high = 1;                 // of the image, about a point that is moved to the centre
  double translate = 0;   // how far that point lies from the image's centre at most, as share of a side
  int affine_fill = 114;  // pixel value of what lies outside of the image
  double mosaic = 0;      // probability that an image is a window of four (for detection and segmentation)
  int mosaic_epochs = 0;  // the first epochs only; 0: all
  bool affine() const { return scale_low != 1 || scale_high != 1 || translate > 0; }
  bool colors() const { return brightness > 0 || contrast > 0 || saturation > 0; }
  bool any() const {
    return horizontal_flip > 0 || crop_padding > 0 || colors() || mixup > 0 || affine() || mosaic > 0;
  }
  bool operator==(const AugmentOptions&) const = default;
};

}  // namespace octet
