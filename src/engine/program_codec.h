// Binary form of values: little-endian, no padding, one list of fields for writing and reading.
//
// A type with fields has a specialization of Fields; whatever is added there must raise kFormatVersion
// (program_file.cpp). Everything that is read is checked for range, never for meaning: verify_program does that.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "octet/graph.h"

namespace octet::engine {

static_assert(std::endian::native == std::endian::little, "the .octet format is little-endian");

// template <class Archive, class V> static void visit(Archive& a, V& v) { a(v.first, v.second); } where V may be
// const.
template <class T>
struct Fields;

// The highest value of an enumeration that is stored.
template <class E>
struct LastOf;

// Where the elements of large tensors go: behind the constants, so that they are used in the mapped file.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  virtual uint64_t put(const Tensor& tensor) = 0;  // returns its offset
};
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  // Null when the range does not exist or is not aligned for its type.
  virtual Tensor get(DType dtype, const Dims& dims, uint64_t offset, uint64_t bytes) = 0;
};

class Writer {
 public:
  explicit Writer(TensorSink* tensors = nullptr) : tensors_(tensors) {}

  template <class... Ts>
  void operator()(const Ts&... values) {
    (put(values), ...);
  }
  std::string take() { return std::move(bytes_); }

 private:
  void raw(const void* data, size_t size) { bytes_.append(static_cast<const char*>(data), size); }
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) bytes_.push_back(value ? 1 : 0);
    else if constexpr (std::is_enum_v<T>) put(static_cast<std::underlying_type_t<T>>(value));
    else if constexpr (std::is_arithmetic_v<T>) raw(&value, sizeof(value));
    else Fields<T>::visit(*this, value);
  }
  void put(const std::string& text) {
    put(static_cast<uint64_t>(text.size()));
    raw(text.data(), text.size());
  }
  template <class T>
  void put(const std::vector<T>& list) {
    put(static_cast<uint64_t>(list.size()));
    for (const T& element : list) put(element);
  }
  template <size_t n>
  void put(const std::array<uint8_t, n>& bytes) {
    raw(bytes.data(), n);
  }
  template <class K, class V>
  void put(const std::map<K, V>& map) {
    put(static_cast<uint64_t>(map.size()));
    for (const auto& [key, value] : map) (*this)(key, value);
  }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class... Ts>
  void put(const std::variant<Ts...>& value) {
    put(static_cast<uint8_t>(value.index()));
    std::visit([this](const auto& alternative) { put(alternative); }, value);
  }
  void put(const Tensor& tensor);

  std::string bytes_;
  TensorSink* tensors_;
};

// Reads as long as everything is in order; after the first error all further reads leave their targets alone.
class Reader {
 public:
  Reader(const uint8_t* data, size_t size, TensorSource* tensors = nullptr)
      : next_(data), left_(size), tensors_(tensors) {}

  template <class... Ts>
  void operator()(Ts&... values) {
    (get(values), ...);
  }
  bool ok() const { return ok_; }
  void fail() { ok_ = false; }
  size_t left() const { return left_; }

 private:
  void raw(void* data, size_t size) {
    if (!ok_ || size > left_) {
      ok_ = false;
      return;
    }
    std::memcpy(data, next_, size);
    next_ += size;
    left_ -= size;
  }
  template <class T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      const uint8_t byte = number<uint8_t>();
      ok_ = ok_ && byte <= 1;
      if (ok_) value = byte == 1;
    } else if constexpr (std::is_enum_v<T>) {
      const auto code = number<std::underlying_type_t<T>>();
      ok_ = ok_ && code >= 0 && code <= static_cast<std::underlying_type_t<T>>(LastOf<T>::value);
      if (ok_) value = static_cast<T>(code);
    } else if constexpr (std::is_arithmetic_v<T>) {
      raw(&value, sizeof(value));
    } else {
      Fields<T>::visit(*this, value);
    }
  }
  template <class T>
  T number() {
    T value{};
    raw(&value, sizeof(value));
    return value;
  }
  // Of a list whose elements take at least one byte each.
  uint64_t count() {
    const auto n = number<uint64_t>();
    ok_ = ok_ && n <= left_;
    return ok_ ? n : 0;
  }
  void get(std::string& text) {
    text.resize(count());
    raw(text.data(), text.size());
  }
  template <class T>
  void get(std::vector<T>& list) {
    list.clear();
    // Grows as it goes: a damaged count must not reserve memory for what is not there.
    for (uint64_t i = 0, n = count(); ok_ && i < n; ++i) get(list.emplace_back());
  }
  template <size_t n>
  void get(std::array<uint8_t, n>& bytes) {
    raw(bytes.data(), n);
  }
  template <class K, class V>
  void get(std::map<K, V>& map) {
    map.clear();
    for (uint64_t i = 0, n = count(); ok_ && i < n; ++i) {
      K key{};
      get(key);
      V& value = map[key];
      get(value);
    }
  }
  template <class T>
  void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    if (!ok_ || !present) return;
    T read{};
    get(read);
    value = std::move(read);
  }
  template <class... Ts>
  void get(std::variant<Ts...>& value) {
    const auto index = number<uint8_t>();
    ok_ = ok_ && index < sizeof...(Ts);
    if (!ok_) return;
    uint8_t i = 0;
    ((i++ == index ? get(value.template emplace<Ts>()) : void()), ...);
  }
  void get(Tensor& tensor);

  const uint8_t* next_;
  size_t left_;
  TensorSource* tensors_;
  bool ok_ = true;
};

}  // namespace octet::engine
