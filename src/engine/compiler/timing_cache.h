// Times of earlier compilations, one line each: problem, kernel, microseconds, separated by tabs.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "octet/status.h"

namespace octet::engine {

class TimingCache {
 public:
  // A missing file is an empty cache; kDataCorrupt names a line that is not one.
  static Result<TimingCache> load(const std::string& path);
  Status save(const std::string& path) const;

  std::optional<double> find(const std::string& problem, const std::string& kernel) const;
  void set(const std::string& problem, const std::string& kernel, double microseconds);
  bool changed() const { return changed_; }

 private:
  std::map<std::pair<std::string, std::string>, double> times_;
  bool changed_ = false;
};

}  // namespace octet::engine
