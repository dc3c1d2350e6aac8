// What processes tell each other: numbers and lists as they lie in memory, for another process of the same build.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace octet {

class ShardWriter {
 public:
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  template <class T>
  void put_list(const std::vector<T>& list) {
    put(static_cast<uint64_t>(list.size()));
    for (const T& value : list) put(value);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class ShardReader {
 public:
  explicit ShardReader(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  T get() {
    T value{};
    good_ = good_ && rest_.size() >= sizeof value;
    if (!good_) return value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  template <class T>
  std::vector<T> get_list() {
    std::vector<T> list;
    for (auto n = get<uint64_t>(); n > 0 && good_; --n) list.push_back(get<T>());
    return list;
  }
  bool is_good() const { return good_; }
  bool is_through() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace octet
