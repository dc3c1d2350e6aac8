// What a long run measures, while it runs: JSON lines for programs, event files for TensorBoard.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "octet/status.h"

namespace octet {

class ScalarLog {
 public:
  // Writes FOLDER/metrics.jsonl and, with `tensorboard`, FOLDER/events.out.tfevents.TIME.octet. A run that goes on at
  // `first_step` keeps the lines below it and drops the others, which are about to be measured again; 0 begins anew.
  static Result<std::unique_ptr<ScalarLog>> open(const std::string& folder, int64_t first_step, bool tensorboard);

  // One line {"step": s, "time": seconds since 1970, tags...} and one event each. A value that is not finite is
  // written as null to JSON, which has no NaN. Lines reach the file at once.
  Status add(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);

 private:
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  using File = std::unique_ptr<std::FILE, Close>;
  ScalarLog() = default;
  Status write(std::FILE* file, const std::string& bytes, const std::string& path) const;

  File lines_, events_;
  std::string lines_path_, events_path_;
};

}  // namespace octet
