#include "engine/compiler/timing_cache.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "engine/checksum.h"
#include "engine/graph_codec.h"
#include "engine/program.h"
#include "engine/program_file.h"
#include "kernels/cpu/features.h"

namespace octet::engine {
namespace {

constexpr std::string_view kHeader = "octet timing cache 1";

// Large constants do not decide a time.
class NoTensors final : public TensorSink {
 public:
  uint64_t put(const Tensor&) override { return 0; }
};

std::string digits_of(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  const uint64_t sum = checksum(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[(sum >> shift) & 15];
  return text;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (!line.starts_with("model name") || colon == std::string::npos) continue;
    std::string name = line.substr(colon + 2);
    for (char& c : name)
      if (c == '\t') c = ' ';
    return name;
  }
  return "unknown";
}

}  // namespace

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
    if (number == 1) {
      if (line != kHeader) return data_corrupt("this is not a timing cache of Octet").at(path);
      continue;
    }
    const size_t first = line.find('\t'), second = first == std::string::npos ? first : line.find('\t', first + 1);
    double time = 0;
    bool parsed = second != std::string::npos;
    if (parsed) {
      const char* last = line.data() + line.size();
      const auto [stop, problem] = std::from_chars(line.data() + second + 1, last, time);
      parsed = problem == std::errc() && stop == last && std::isfinite(time) && time >= 0;
    }
    if (!parsed)
      return data_corrupt("line " + std::to_string(number) + " is not a measurement; delete the file to measure anew")
          .at(path);
    cache.times_[{line.substr(0, first), line.substr(first + 1, second - first - 1)}] = time;
  }
  return cache;
}

Status TimingCache::save(const std::string& path) const {
  std::string text = std::string(kHeader) + '\n';
  for (const auto& [key, time] : times_) {
    char digits[32];  // the shortest text that gives the same number again
    const auto end = std::to_chars(digits, digits + sizeof digits, time).ptr;
    text += key.first + '\t' + key.second + '\t' + std::string(digits, end) + '\n';
  }
  return write_file_atomically(path, text);
}

std::optional<double> TimingCache::find(const std::string& problem, const std::string& kernel) const {
  const auto it = times_.find({problem, kernel});
  return it == times_.end() ? std::nullopt : std::optional(it->second);
}

void TimingCache::set(const std::string& problem, const std::string& kernel, double microseconds) {
  times_[{problem, kernel}] = std::round(microseconds * 1000) / 1000;
  changed_ = true;
}

std::string TimingCache::machine(int threads, uint32_t features) {
  static const std::string processor = processor_name();
  return " threads " + std::to_string(threads) + " cpu " + cpu::features_to_string(features) + " on " + processor;
}

std::string fingerprint(const Program& program) {
  Program plain = program;
  for (OpNote& note : plain.notes) note = {.nodes = note.nodes};
  NoTensors sink;
  return digits_of(encode_program(plain, sink));
}

std::string fingerprint(const Graph& graph) {
  NoTensors sink;
  Writer writer(&sink);
  writer(graph);
  return digits_of(writer.take());
}

}  // namespace octet::engine
