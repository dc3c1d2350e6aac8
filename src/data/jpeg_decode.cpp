// jpeglib.h needs <cstdio> first, jerror.h needs jpeglib.h.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <csetjmp>
#include <cstring>

#include "data/image.h"

namespace octet {
namespace {

// Everything libjpeg's callbacks touch. Plain data: a longjmp runs no destructors.
struct JpegReader {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
  bool damaged;
};

JpegReader* reader_of(j_common_ptr info) { return static_cast<JpegReader*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  JpegReader* reader = reader_of(info);
  info->err->format_message(info, reader->message);
  std::longjmp(reader->escape, 1);
}

// libjpeg decodes on after damage, with invented pixels; only bytes between two segments are harmless.
void on_message(j_common_ptr info, int level) {
  JpegReader* reader = reader_of(info);
  const int code = info->err->msg_code;
  if (level >= 0 || reader->damaged || code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR) return;
  reader->damaged = true;
  info->err->format_message(info, reader->message);
}

// A small progressive file can ask for thousands of passes over a large image.
void on_progress(j_common_ptr info) {
  constexpr int kMostScans = 500;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  std::snprintf(reader_of(info)->message, JMSG_LENGTH_MAX, "it has more than %d progressive scans", kMostScans);
  std::longjmp(reader_of(info)->escape, 1);
}

void prepare(JpegReader* reader) {
  reader->info.err = jpeg_std_error(&reader->errors);
  reader->errors.error_exit = on_error;
  reader->errors.emit_message = on_message;
  reader->info.client_data = reader;
}

bool read_header(JpegReader* reader, const std::string& bytes) {
  if (setjmp(reader->escape) != 0) return false;
  jpeg_create_decompress(&reader->info);  // keeps err and client_data
  reader->progress.progress_monitor = on_progress;
  reader->info.progress = &reader->progress;
  jpeg_mem_src(&reader->info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&reader->info, TRUE);
  const J_COLOR_SPACE space = reader->info.jpeg_color_space;
  if (space == JCS_GRAYSCALE) reader->info.out_color_space = JCS_GRAYSCALE;
  else if (space == JCS_CMYK || space == JCS_YCCK) reader->info.out_color_space = JCS_CMYK;
  else reader->info.out_color_space = JCS_RGB;
  return true;
}

bool read_pixels(JpegReader* reader, uint8_t* pixels, size_t stride) {
  if (setjmp(reader->escape) != 0) return false;
  jpeg_start_decompress(&reader->info);
  while (reader->info.output_scanline < reader->info.output_height) {
    JSAMPROW row = pixels + stride * reader->info.output_scanline;
    jpeg_read_scanlines(&reader->info, &row, 1);
  }
  jpeg_finish_decompress(&reader->info);
  return true;
}

// Adobe stores CMYK inverted: a stored sample is 255 minus the ink. As Pillow: RGB = clip(stored K - ink * stored
// K/255).
Image cmyk_to_rgb(const Image& cmyk) {
  Image rgb = Image::filled(cmyk.width, cmyk.height, 3);
  const size_t n = static_cast<size_t>(cmyk.width) * cmyk.height;
  for (size_t i = 0; i < n; ++i) {
    const int white = cmyk.pixels[4 * i + 3];
    for (size_t c = 0; c < 3; ++c) {
      const int product = (255 - cmyk.pixels[4 * i + c]) * white + 128;
      rgb.pixels[3 * i + c] = static_cast<uint8_t>(white - (((product >> 8) + product) >> 8));
    }
  }
  return rgb;
}

Result<Image> decode(JpegReader* reader, const std::string& bytes) {
  if (!read_header(reader, bytes)) return data_corrupt(std::string("the JPEG is damaged: ") + reader->message);
  OCTET_RETURN_IF_ERROR(check_image_size(reader->info.image_width, reader->info.image_height));
  const J_COLOR_SPACE space = reader->info.out_color_space;
  const int channels = space == JCS_GRAYSCALE ? 1 : space == JCS_CMYK ? 4 : 3;
  Image image = Image::filled(static_cast<int>(reader->info.image_width), static_cast<int>(reader->info.image_height),
                              channels);
  const size_t stride = static_cast<size_t>(image.width) * channels;
  if (!read_pixels(reader, image.pixels.data(), stride) || reader->damaged)
    return data_corrupt(std::string("the JPEG is damaged or truncated: ") + reader->message);
  if (channels == 4) return cmyk_to_rgb(image);
  return image;
}

}  // namespace

Result<Image> decode_jpeg(const std::string& bytes) {
  JpegReader reader{};
  prepare(&reader);
  Result<Image> image = decode(&reader, bytes);
  jpeg_destroy_decompress(&reader.info);
  return image;
}

}  // namespace octet
