#include "engine/compiler/timing_cache.h"

#include <charconv>
#include <filesystem>

#include "base/files.h"

namespace octet::engine {

Result<TimingCache> TimingCache::load(const std::string& path) {
  TimingCache cache;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return cache;
  OCTET_ASSIGN(const std::string text, read_file(path));
  size_t begin = 0, number = 1;
  for (; begin < text.size(); ++number) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t first = line.find('\t'), second = first == std::string::npos ? first : line.find('\t', first + 1);
    double time = 0;
    const bool parsed =
        second != std::string::npos &&
        std::from_chars(line.data() + second + 1, line.data() + line.size(), time).ec == std::errc() && time >= 0;
    if (!parsed)
      return data_corrupt("line " + std::to_string(number) + " is not a measurement; delete the file to measure anew")
          .at(path);
    cache.times_[{line.substr(0, first), line.substr(first + 1, second - first - 1)}] = time;
  }
  return cache;
}

Status TimingCache::save(const std::string& path) const {
  std::string text;
  for (const auto& [key, time] : times_) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, time, std::chars_format::fixed, 3).ptr;
    text += key.first + '\t' + key.second + '\t' + std::string(digits, end) + '\n';
  }
  return write_file_atomically(path, text);
}

std::optional<double> TimingCache::find(const std::string& problem, const std::string& kernel) const {
  const auto it = times_.find({problem, kernel});
  return it == times_.end() ? std::nullopt : std::optional(it->second);
}

void TimingCache::set(const std::string& problem, const std::string& kernel, double microseconds) {
  times_[{problem, kernel}] = microseconds;
  changed_ = true;
}

}  // namespace octet::engine
