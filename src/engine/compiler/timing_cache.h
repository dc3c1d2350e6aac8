// Times of earlier compilations, one line each after the header: what was timed, how, microseconds, separated by
// tabs.
//
// The keys, which never collide: "conv ..." by kernel, "program FINGERPRINT ..." by operation, "float FINGERPRINT
// ..." by node, "whole FINGERPRINTS ..." by program. All end in machine(): other threads or another CPU take other
// times.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "octet/graph.h"
#include "octet/status.h"

namespace octet::engine {

struct Program;

class TimingCache {
 public:
  // A missing file is an empty cache. kDataCorrupt: the file is something else, or a line (named) is no measurement.
  static Result<TimingCache> load(const std::string& path);
  Status save(const std::string& path) const;

  std::optional<double> find(const std::string& problem, const std::string& kernel) const;
  // To a nanosecond, which is what the file keeps: find() gives the same number before and after a save.
  void set(const std::string& problem, const std::string& kernel, double microseconds);
  bool changed() const { return changed_; }

  // " threads 2 cpu AVX2, AVX-512 on <model of the processor>"
  static std::string machine(int threads, uint32_t features);

 private:
  std::map<std::pair<std::string, std::string>, double> times_;
  bool changed_ = false;
};

// The structure of a program or graph as 16 digits: shapes, parameters and node names, not large constants, not the
// times in notes.
std::string fingerprint(const Program& program);
std::string fingerprint(const Graph& graph);

}  // namespace octet::engine
