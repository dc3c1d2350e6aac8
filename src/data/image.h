// 8-bit images, decoding and resizing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octet/data.h"
#include "octet/status.h"

namespace octet {

// Rows from the top, channels interleaved: pixels[(y * width + x) * channels + c]; 1 channel is gray, 3 are RGB.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;

  static Image filled(int width, int height, int channels, uint8_t value = 0);
  uint8_t* row(int y) { return pixels.data() + static_cast<size_t>(y) * width * channels; }
  const uint8_t* row(int y) const { return pixels.data() + static_cast<size_t>(y) * width * channels; }
};

constexpr int kLargestImageSide = 16384;
constexpr int64_t kMostImagePixels = int64_t{128} << 20;
constexpr int64_t kLargestImageFile = int64_t{512} << 20;

// kResourceLimit for a side or an area beyond the limits above.
Status check_image_size(int64_t width, int64_t height);

// JPEG: baseline or progressive; gray stays gray, CMYK and YCCK become RGB the way Pillow converts them. Damaged or
// truncated data is kDataCorrupt. EXIF orientation is ignored.
Result<Image> decode_jpeg(const std::string& bytes);
// PNG: palette and bit depths 1, 2, 4 expand to 8 bits, 16 bits keep their high byte, alpha is dropped.
Result<Image> decode_png(const std::string& bytes);
// One channel of class indices: gray values of up to 8 bits as they are written (a 2-bit 3 stays 3), palette images
// their indices. kUnsupported for any other PNG.
Result<Image> decode_png_mask(const std::string& bytes);
// Decides by the first bytes. Errors name the path.
Result<Image> read_image_file(const std::string& path);
// By name: .jpg .jpeg .png in any case.
bool has_image_extension(const std::string& name);

// Gray to RGB by repetition, RGB to gray as ITU-R 601 luma in Pillow's 16-bit fixed point.
Image with_channels(Image image, int channels);
// width and height at least 1. The bilinear filter gives the same bytes as Pillow's Image.resize(BILINEAR).
Image resize_image(const Image& image, int width, int height, Interpolation interpolation);

}  // namespace octet
