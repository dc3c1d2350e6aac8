// Small data files that the tests of this room write, and the synthetic images in them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/image.h"
#include "octet/data.h"

namespace octet::test {

// A folder of its own that goes away with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file, creating folders on the way; returns its path.
  std::string write(const std::string& name, const std::string& bytes) const;

 private:
  std::string path_;
};

std::string gzip(const std::string& bytes);
std::string xz(const std::string& bytes);

std::string idx_file(const std::vector<uint32_t>& dims, const std::string& elements, uint8_t type = 8);

// A version 1 .npy file; `shape` as NumPy prints it, "(2, 3)".
std::string npy_file(const std::string& descr, const std::string& shape, const std::string& data,
                     const std::string& fortran = "False", int version = 1);
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
std::string zip_file(const std::vector<std::pair<std::string, std::string>>& members, bool deflated);

std::string png_file(const Image& image);
std::string jpeg_file(const Image& image, int quality = 95);

// Bytes of a linear congruential generator (Numerical Recipes), row by row, channels interleaved.
Image noise_image(int width, int height, int channels);
// Pixel (x, y), channel c: (7 x + 13 y + 50 c) mod 256.
Image gradient_image(int width, int height, int channels);
// FNV-1a.
uint32_t hash_of(const std::vector<uint8_t>& bytes);

// Folder of real data: OCTET_DATA or the one beside the sources; "" when absent.
std::string real_data();

InputInfo input(const std::string& name, Dims dims, DType dtype = DType::kFloat32);
DataSpec spec_of(const std::string& text);
// The message of the failure of load_data_spec + open_dataset; "" when it succeeds.
std::string open_error(const std::string& text, const std::vector<InputInfo>& inputs);

}  // namespace octet::test
