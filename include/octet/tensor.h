// Tensors: a data type, a row-major shape and a shared, 64-byte aligned buffer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "octet/status.h"

namespace octet {

// Element types. In memory every element is byte-addressable: INT4 and UINT4 take one byte each and are packed two to
// a byte only in files; FP16/BF16/FP8 are kept as their raw bits.
enum class DType : uint8_t {
  kUndefined = 0,
  kFloat32,
  kFloat64,
  kFloat16,
  kBFloat16,
  kFloat8E4M3,  // ONNX FLOAT8E4M3FN: finite only, max 448
  kFloat8E5M2,  // ONNX FLOAT8E5M2: IEEE-like, max 57344
  kInt4,
  kUint4,
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kBool,
};

// Bytes one element takes in memory; 0 for kUndefined.
size_t dtype_size(DType dtype);
// "float32", "int4", "float8e4m3", ...
const char* dtype_name(DType dtype);
// Inverse of dtype_name; kUndefined when unknown.
DType dtype_from_name(std::string_view name);
bool dtype_is_float(DType dtype);    // any floating type, FP8 included
bool dtype_is_integer(DType dtype);  // any integer type, INT4 included, bool excluded

template <class T>
constexpr DType dtype_of();
template <> constexpr DType dtype_of<float>() { return DType::kFloat32; }
template <> constexpr DType dtype_of<double>() { return DType::kFloat64; }
template <> constexpr DType dtype_of<int8_t>() { return DType::kInt8; }
template <> constexpr DType dtype_of<uint8_t>() { return DType::kUint8; }
template <> constexpr DType dtype_of<int16_t>() { return DType::kInt16; }
template <> constexpr DType dtype_of<uint16_t>() { return DType::kUint16; }
template <> constexpr DType dtype_of<int32_t>() { return DType::kInt32; }
template <> constexpr DType dtype_of<uint32_t>() { return DType::kUint32; }
template <> constexpr DType dtype_of<int64_t>() { return DType::kInt64; }
template <> constexpr DType dtype_of<uint64_t>() { return DType::kUint64; }
template <> constexpr DType dtype_of<bool>() { return DType::kBool; }

using Dims = std::vector<int64_t>;

// "[1, 3, 224, 224]"
std::string dims_to_string(const Dims& dims);
// Number of elements; kResourceLimit on overflow, kInvalidArgument on a negative dimension.
Result<int64_t> checked_numel(const Dims& dims);

// The largest single tensor that Octet agrees to allocate, in bytes (default 8 GiB). Guards against hostile files.
int64_t tensor_byte_limit();
void set_tensor_byte_limit(int64_t bytes);

// Copying a Tensor shares its buffer; clone() copies the elements. Rank 0 is a scalar (one element, empty dims).
class Tensor {
 public:
  Tensor() = default;

  // Uninitialised elements. Use this one wherever the shape comes from a file or a user.
  static Result<Tensor> create(DType dtype, Dims dims);
  // For shapes already known to be sane; throws std::length_error / std::bad_alloc otherwise.
  Tensor(DType dtype, Dims dims);
  // View on memory that `owner` keeps alive.
  Tensor(DType dtype, Dims dims, void* data, std::shared_ptr<void> owner);

  template <class T>
  static Tensor from(Dims dims, const std::vector<T>& values);
  template <class T>
  static Tensor scalar(T value) { return from<T>({}, std::vector<T>{value}); }

  bool defined() const { return dtype_ != DType::kUndefined; }
  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int64_t dim(int i) const { return dims_[static_cast<size_t>(i < 0 ? i + rank() : i)]; }
  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t numel() const { return numel_; }
  int64_t nbytes() const { return numel_ * static_cast<int64_t>(dtype_size(dtype_)); }

  template <class T>
  T* data() { return static_cast<T*>(data_); }
  template <class T>
  const T* data() const { return static_cast<const T*>(data_); }
  void* raw() { return data_; }
  const void* raw() const { return data_; }

  // True when nobody else shares the buffer, so that an operator may overwrite it.
  bool unique() const { return owner_.use_count() == 1; }

  Tensor clone() const;
  // Same buffer, other shape with the same number of elements (checked by assert).
  Tensor reshaped(Dims dims) const;

 private:
  DType dtype_ = DType::kUndefined;
  Dims dims_;
  int64_t numel_ = 0;
  void* data_ = nullptr;
  std::shared_ptr<void> owner_;
};

template <class T>
Tensor Tensor::from(Dims dims, const std::vector<T>& values) {
  Tensor t(dtype_of<T>(), std::move(dims));
  T* dst = t.data<T>();
  for (size_t i = 0; i < values.size() && static_cast<int64_t>(i) < t.numel(); ++i) dst[i] = values[i];
  return t;
}

// Bit-exact equality of dtype, shape and elements.
bool same_bits(const Tensor& a, const Tensor& b);
// Elements of an integer or bool tensor (any width) as int64; kInvalidArgument for floating types.
Result<std::vector<int64_t>> to_int64s(const Tensor& t);

}  // namespace octet
