#include <cstring>

#include "base/files.h"
#include "base/text.h"
#include "data/image.h"

namespace octet {

Image Image::filled(int width, int height, int channels, uint8_t value) {
  Image image{width, height, channels, {}};
  image.pixels.assign(static_cast<size_t>(width) * height * channels, value);
  return image;
}

Status check_image_size(int64_t width, int64_t height) {
  if (width < 1 || height < 1) return data_corrupt("the image has no pixels");
  if (width > kLargestImageSide || height > kLargestImageSide || width * height > kMostImagePixels)
    return resource_limit("an image of " + std::to_string(width) + " x " + std::to_string(height) +
                          " pixels is beyond the limit of " + std::to_string(kLargestImageSide) + " a side and " +
                          std::to_string(kMostImagePixels >> 20) + " Mi pixels");
  return Status::ok();
}

bool has_image_extension(const std::string& name) {
  const std::string low = to_lower(name);
  return low.ends_with(".jpg") || low.ends_with(".jpeg") || low.ends_with(".png");
}

Result<Image> read_image_file(const std::string& path) {
  const Result<std::string> file = read_file(path, kLargestImageFile);
  if (!file.is_ok()) return file.status();
  const std::string& bytes = *file;
  try {
    if (bytes.starts_with("\xff\xd8")) return decode_jpeg(bytes).at("'" + path + "'");
    if (bytes.starts_with("\x89PNG")) return decode_png(bytes).at("'" + path + "'");
  } catch (const std::bad_alloc&) {
    return resource_limit("'" + path + "': not enough memory for the image");
  }
  return data_corrupt("'" + path + "' is neither a JPEG nor a PNG image");
}

Image with_channels(Image image, int channels) {
  if (image.channels == channels) return image;
  Image out = Image::filled(image.width, image.height, channels);
  const size_t n = static_cast<size_t>(image.width) * image.height;
  const uint8_t* src = image.pixels.data();
  uint8_t* dst = out.pixels.data();
  if (channels == 3) {
    for (size_t i = 0; i < n; ++i) dst[3 * i] = dst[3 * i + 1] = dst[3 * i + 2] = src[i];
    return out;
  }
  // 0.299, 0.587 and 0.114 in 16 bits; their sum is exactly 65536.
  for (size_t i = 0; i < n; ++i)
    dst[i] =
        static_cast<uint8_t>((19595u * src[3 * i] + 38470u * src[3 * i + 1] + 7471u * src[3 * i + 2] + 32768u) >> 16);
  return out;
}

}  // namespace octet
