#include "test_files.h"

// jpeglib.h needs <cstdio> first.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
// clang-format on

#include <gtest/gtest.h>
#include <lzma.h>
#include <png.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace octet::test {
namespace {

namespace fs = std::filesystem;

template <class T>
void put(std::string* out, T v) {  // little-endian
  for (size_t i = 0; i < sizeof(T); ++i) out->push_back(static_cast<char>(v >> (8 * i) & 0xff));
}

std::string deflate_bytes(const std::string& bytes, int window_bits) {
  z_stream z{};
  EXPECT_EQ(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&z, bytes.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

}  // namespace

TempFolder::TempFolder() {
  std::string name = (fs::temp_directory_path() / "octet-test-XXXXXX").string();
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string TempFolder::write(const std::string& name, const std::string& bytes) const {
  const fs::path path = fs::path(path_) / name;
  fs::create_directories(path.parent_path());
  fs::remove(path);  // ext4 waits for the disk when a file is cut to nothing and written again
  std::ofstream(path, std::ios::binary) << bytes;
  return path.string();
}

std::string gzip(const std::string& bytes) { return deflate_bytes(bytes, 15 + 16); }

std::string xz(const std::string& bytes) {
  std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
  size_t at = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(bytes.data()),
                                    bytes.size(), reinterpret_cast<uint8_t*>(out.data()), &at, out.size()),
            LZMA_OK);
  out.resize(at);
  return out;
}

std::string idx_file(const std::vector<uint32_t>& dims, const std::string& elements, uint8_t type) {
  std::string out = {0, 0, static_cast<char>(type), static_cast<char>(dims.size())};
  for (uint32_t d : dims)
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(d >> shift & 0xff));
  return out + elements;
}

std::string npy_file(const std::string& descr, const std::string& shape, const std::string& data,
                     const std::string& fortran, int version) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
  const size_t prefix = version == 1 ? 10 : 12;
  while ((header.size() + prefix + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out = std::string("\x93NUMPY") + static_cast<char>(version) + '\0';
  if (version == 1) put(&out, static_cast<uint16_t>(header.size()));
  else put(&out, static_cast<uint32_t>(header.size()));
  return out + header + data;
}

std::string zip_file(const std::vector<std::pair<std::string, std::string>>& members, bool deflated) {
  std::string out, directory;
  for (const auto& [name, content] : members) {
    const std::string packed = deflated ? deflate_bytes(content, -15) : content;
    const auto crc = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
    std::string common;  // from "version needed" to the lengths, the same in both headers
    put<uint16_t>(&common, 20), put<uint16_t>(&common, 0), put<uint16_t>(&common, deflated ? 8 : 0);
    put<uint32_t>(&common, 0), put<uint32_t>(&common, crc);
    put<uint32_t>(&common, static_cast<uint32_t>(packed.size()));
    put<uint32_t>(&common, static_cast<uint32_t>(content.size()));
    put<uint16_t>(&common, static_cast<uint16_t>(name.size())), put<uint16_t>(&common, 0);
    put<uint32_t>(&directory, 0x02014b50), put<uint16_t>(&directory, 20);
    directory += common;
    put<uint16_t>(&directory, 0), put<uint16_t>(&directory, 0), put<uint16_t>(&directory, 0);
    put<uint32_t>(&directory, 0), put<uint32_t>(&directory, static_cast<uint32_t>(out.size()));
    directory += name;
    put<uint32_t>(&out, 0x04034b50);
    out += common + name + packed;
  }
  const auto offset = static_cast<uint32_t>(out.size()), size = static_cast<uint32_t>(directory.size());
  const auto count = static_cast<uint16_t>(members.size());
  out += directory;
  put<uint32_t>(&out, 0x06054b50), put<uint16_t>(&out, 0), put<uint16_t>(&out, 0);
  put<uint16_t>(&out, count), put<uint16_t>(&out, count), put<uint32_t>(&out, size), put<uint32_t>(&out, offset);
  put<uint16_t>(&out, 0);
  return out;
}

std::string png_file(const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 1   ? static_cast<png_uint_32>(PNG_FORMAT_GRAY)
               : image.channels == 3 ? static_cast<png_uint_32>(PNG_FORMAT_RGB)
                                     : static_cast<png_uint_32>(PNG_FORMAT_RGBA);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string out(size, '\0');
  EXPECT_NE(png_image_write_to_memory(&png, out.data(), &size, 0, image.pixels.data(), 0, nullptr), 0);
  out.resize(size);
  return out;
}

std::string jpeg_file(const Image& image, int quality) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = image.channels;
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : image.channels == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < image.height; ++y) {
    JSAMPROW row = const_cast<JSAMPROW>(image.row(y));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  const std::string out(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return out;
}

Image noise_image(int width, int height, int channels) {
  Image image = Image::filled(width, height, channels);
  uint32_t state = 12345;
  for (uint8_t& v : image.pixels) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<uint8_t>(state >> 24);
  }
  return image;
}

Image gradient_image(int width, int height, int channels) {
  Image image = Image::filled(width, height, channels);
  size_t i = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) image.pixels[i++] = static_cast<uint8_t>(x * 7 + y * 13 + c * 50);
  return image;
}

uint32_t hash_of(const std::vector<uint8_t>& bytes) {
  uint32_t h = 2166136261u;
  for (uint8_t v : bytes) h = (h ^ v) * 16777619u;
  return h;
}

std::string real_data() {
  const char* set = std::getenv("OCTET_DATA");
  const fs::path path = set != nullptr ? fs::path(set) : fs::path(OCTET_SOURCE_DIR) / ".." / "shared" / "data";
  std::error_code error;
  return fs::is_directory(path, error) ? path.string() : "";
}

InputInfo input(const std::string& name, Dims dims, DType dtype) { return {name, dtype, std::move(dims)}; }

DataSpec spec_of(const std::string& text) {
  Result<DataSpec> spec = load_data_spec(text);
  EXPECT_TRUE(spec.is_ok()) << spec.status().message();
  return spec.is_ok() ? *spec : DataSpec{};
}

std::string open_error(const std::string& text, const std::vector<InputInfo>& inputs) {
  Result<DataSpec> spec = load_data_spec(text);
  if (!spec.is_ok()) return spec.status().message();
  const auto set = open_dataset(*spec, inputs);
  return set.is_ok() ? "" : set.status().message();
}

}  // namespace octet::test
