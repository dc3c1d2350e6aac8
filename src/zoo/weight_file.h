// Tensors by name in a file that nobody vouches for: safetensors and both forms of PyTorch's .pth.
#pragma once

#include <string>
#include <vector>

#include "data/random_access.h"
#include "octet/status.h"
#include "octet/tensor.h"

namespace octet::zoo {

struct WeightEntry {
  std::string name;
  DType dtype = DType::kUndefined;  // kUndefined: a type that Octet does not have
  Dims dims;
  Dims strides;        // in elements
  int64_t offset = 0;  // in elements
  size_t storage = 0;  // in WeightTable::storages
};

// What a reader finds; names are unique, and all elements lie within their storages.
struct WeightTable {
  std::vector<ByteWindow> storages;
  std::vector<WeightEntry> entries;
};

class WeightFile {
 public:
  // Reads the directory, not the tensors.
  static Result<WeightFile> open(const std::string& path);
  const std::vector<WeightEntry>& entries() const { return table_.entries; }
  // Row-major float32. Allocates what the dims say: compare them with what is wanted first. kUnsupported for types
  // that are not floating.
  Result<Tensor> read(const WeightEntry& entry) const;

 private:
  explicit WeightFile(WeightTable table) : table_(std::move(table)) {}
  WeightTable table_;
};

// The readers; errors do not name the file.
Result<WeightTable> read_safetensors(const ByteWindow& file);
Result<WeightTable> read_pth_zip(const std::string& path);
Result<WeightTable> read_pth_legacy(const ByteWindow& file);

// Row-major strides.
Dims contiguous_strides(const Dims& dims);
// kDataCorrupt when an element of the tensor lies outside of its storage, or a number is negative or overflows.
Status check_extent(const WeightEntry& entry, int64_t storage_bytes);

}  // namespace octet::zoo
