#include "zoo/weight_file.h"

#include <algorithm>
#include <cstring>

#include "arith/float_formats.h"

namespace octet::zoo {
namespace {

bool is_contiguous(const WeightEntry& entry) {
  const Dims strides = contiguous_strides(entry.dims);
  for (size_t i = 0; i < entry.dims.size(); ++i)
    if (entry.dims[i] > 1 && entry.strides[i] != strides[i]) return false;
  return true;
}

// Elements between the first and the last one of the tensor, both included; check_extent has been passed.
int64_t span_of(const WeightEntry& entry) {
  int64_t last = 0;
  for (size_t i = 0; i < entry.dims.size(); ++i) last += (entry.dims[i] - 1) * entry.strides[i];
  return last + 1;
}

// Row-major copy of strided elements.
void gather(const WeightEntry& entry, const char* from, char* to, size_t width) {
  Dims index(entry.dims.size(), 0);
  int64_t at = 0;
  for (;;) {
    std::memcpy(to, from + static_cast<size_t>(at) * width, width);
    to += width;
    size_t axis = index.size();
    for (; axis-- > 0;) {
      at += entry.strides[axis];
      if (++index[axis] < entry.dims[axis]) break;
      at -= entry.strides[axis] * entry.dims[axis];
      index[axis] = 0;
    }
    if (axis == static_cast<size_t>(-1)) return;
  }
}

Result<WeightTable> read_table(const std::string& path) {
  OCTET_ASSIGN(const ByteWindow file, ByteWindow::open(path));
  char head[16] = {};
  OCTET_RETURN_IF_ERROR(file.read(0, head, std::min<int64_t>(file.length(), sizeof head)));
  if (std::memcmp(head, "PK", 2) == 0) return read_pth_zip(path);
  // A pickle of protocol 2 that begins with the integer 0x1950a86a20f9469cfc6c.
  constexpr char kLegacy[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  if (std::memcmp(head, kLegacy, sizeof kLegacy - 1) == 0) return read_pth_legacy(file);
  if (std::memcmp(head, "version https://", 16) == 0)
    return unsupported("it is a pointer of Git LFS, not the weights themselves; fetch them with 'git lfs pull'");
  if (file.length() > 8 && head[8] == '{') return read_safetensors(file);
  return unsupported(
      "it is neither a safetensors file nor a PyTorch state dict; save one with torch.save(model.state_dict(), "
      "FILE)");
}

}  // namespace

Dims contiguous_strides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;)
    if (__builtin_mul_overflow(strides[i], dims[i], &strides[i - 1])) strides[i - 1] = 0;  // checked_numel refuses it
  return strides;
}

Status check_extent(const WeightEntry& entry, int64_t storage_bytes) {
  const Status outside =
      data_corrupt("tensor '" + entry.name + "' " + dims_to_string(entry.dims) + " does not lie within its storage");
  OCTET_ASSIGN(const int64_t numel, checked_numel(entry.dims));
  if (entry.offset < 0 || entry.strides.size() != entry.dims.size()) return outside;
  if (std::any_of(entry.strides.begin(), entry.strides.end(), [](int64_t s) { return s < 0; })) return outside;
  if (numel == 0) return Status::ok();
  int64_t last = entry.offset;
  for (size_t i = 0; i < entry.dims.size(); ++i) {
    int64_t step = 0;
    if (__builtin_mul_overflow(entry.dims[i] - 1, entry.strides[i], &step) ||
        __builtin_add_overflow(last, step, &last))
      return outside;
  }
  const auto width = static_cast<int64_t>(dtype_size(entry.dtype));
  return width == 0 || last < storage_bytes / width ? Status::ok() : outside;
}

Result<WeightFile> WeightFile::open(const std::string& path) {
  Result<WeightTable> table = read_table(path);
  if (!table.is_ok()) {
    const bool named = table.status().message().find("'" + path + "'") != std::string::npos;
    return named ? table.status() : table.status().at("'" + path + "'");
  }
  return WeightFile(std::move(table).value());
}

Result<Tensor> WeightFile::read(const WeightEntry& entry) const {
  if (!dtype_is_float(entry.dtype))
    return unsupported("tensor '" + entry.name + "' is of type " + dtype_name(entry.dtype) +
                       "; weights must be floating point");
  const auto width = static_cast<int64_t>(dtype_size(entry.dtype));
  const ByteWindow& storage = table_.storages[entry.storage];
  OCTET_ASSIGN(Tensor raw, Tensor::create(entry.dtype, entry.dims));
  if (raw.numel() == 0) return cast_tensor(raw, DType::kFloat32);
  if (is_contiguous(entry)) {
    OCTET_RETURN_IF_ERROR(storage.read(entry.offset * width, raw.raw(), raw.nbytes()));
  } else {
    const int64_t span = span_of(entry) * width;  // at most the storage, whose bytes are there
    OCTET_ASSIGN(Tensor strided, Tensor::create(DType::kUint8, {span}));
    OCTET_RETURN_IF_ERROR(storage.read(entry.offset * width, strided.raw(), span));
    gather(entry, strided.data<char>(), raw.data<char>(), static_cast<size_t>(width));
  }
  if (entry.dtype == DType::kFloat32) return raw;
  return cast_tensor(raw, DType::kFloat32);
}

}  // namespace octet::zoo
