#include <png.h>

#include <csetjmp>
#include <cstring>

#include "data/image.h"

namespace octet {
namespace {

// What libpng's callbacks touch. Plain data: a longjmp runs no destructors.
struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const char* bytes = nullptr;
  size_t left = 0;
  char message[160] = "";
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, text, sizeof reader->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep dst, size_t n) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (n > reader->left) png_error(png, "the file is truncated");
  std::memcpy(dst, reader->bytes, n);
  reader->bytes += n;
  reader->left -= n;
}

bool read_header(PngReader* reader) {
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  png_set_user_limits(reader->png, kLargestImageSide, kLargestImageSide);
  png_set_chunk_malloc_max(reader->png, png_alloc_size_t{64} << 20);
  png_set_read_fn(reader->png, reader, on_read);
  png_read_info(reader->png, reader->info);
  return true;
}

// Asks for one byte of gray value or palette index a pixel, as the file has it.
bool start_indices(PngReader* reader) {
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  png_set_packing(reader->png);
  png_set_interlace_handling(reader->png);
  png_read_update_info(reader->png, reader->info);
  return true;
}

// Asks for 8-bit gray or RGB without alpha.
bool start_pixels(PngReader* reader) {
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  png_set_strip_16(reader->png);
  png_set_packing(reader->png);
  png_set_palette_to_rgb(reader->png);
  if (png_get_color_type(reader->png, reader->info) == PNG_COLOR_TYPE_GRAY)
    png_set_expand_gray_1_2_4_to_8(reader->png);
  png_set_strip_alpha(reader->png);
  png_set_interlace_handling(reader->png);
  png_read_update_info(reader->png, reader->info);
  return true;
}

bool read_pixels(PngReader* reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  png_read_image(reader->png, rows);
  png_read_end(reader->png, nullptr);
  return true;
}

// Whether a pixel is one number of at most 8 bits.
bool holds_indices(const PngReader& reader) {
  const int type = png_get_color_type(reader.png, reader.info);
  return (type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_PALETTE) &&
         png_get_bit_depth(reader.png, reader.info) <= 8;
}

Result<Image> decode(PngReader* reader, bool indices) {
  const auto damaged = [&] { return data_corrupt(std::string("the PNG is damaged: ") + reader->message); };
  if (!read_header(reader)) return damaged();
  const int64_t width = png_get_image_width(reader->png, reader->info);
  const int64_t height = png_get_image_height(reader->png, reader->info);
  OCTET_RETURN_IF_ERROR(check_image_size(width, height));
  if (indices && !holds_indices(*reader))
    return unsupported("a mask must be a PNG of class indices: 8-bit gray or palette, without alpha");
  if (!(indices ? start_indices : start_pixels)(reader)) return damaged();
  const int channels = png_get_channels(reader->png, reader->info);
  if (channels != 1 && channels != 3) return unsupported("the PNG has an unusual colour type");
  Image image = Image::filled(static_cast<int>(width), static_cast<int>(height), channels);
  if (png_get_rowbytes(reader->png, reader->info) != static_cast<size_t>(width) * channels)
    return unsupported("the PNG has an unusual bit depth");
  std::vector<png_bytep> rows(static_cast<size_t>(height));
  for (int y = 0; y < image.height; ++y) rows[static_cast<size_t>(y)] = image.row(y);
  if (!read_pixels(reader, rows.data())) return damaged();
  return image;
}

Result<Image> decode(const std::string& bytes, bool indices) {
  PngReader reader;
  reader.bytes = bytes.data();
  reader.left = bytes.size();
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
  if (reader.png == nullptr) return resource_limit("not enough memory to decode a PNG");
  reader.info = png_create_info_struct(reader.png);
  Result<Image> image = reader.info == nullptr ? Result<Image>(resource_limit("not enough memory to decode a PNG"))
                                               : decode(&reader, indices);
  png_destroy_read_struct(&reader.png, &reader.info, nullptr);
  return image;
}

}  // namespace

Result<Image> decode_png(const std::string& bytes) { return decode(bytes, false); }
Result<Image> decode_png_mask(const std::string& bytes) { return decode(bytes, true); }

}  // namespace octet
