// Timing networks against each other: all stay loaded and take turns, so that whatever else the machine does meets
// all of them alike.
#pragma once

#include <string>
#include <vector>

#include "cli/network_file.h"
#include "octet/progress.h"

namespace octet::cli {

struct BenchOptions {
  std::vector<std::string> models;
  std::vector<int64_t> batches = {1};
  std::vector<int> threads;
  int64_t warm_up = 3;  // runs that are not counted
  int64_t runs = 0;     // counted runs of each model and setting; 0: for `seconds`
  double seconds = 2;
  bool profile = false;
  ProgressSink progress;
  const CancelFlag* cancel = nullptr;
};

constexpr size_t kSpreadBins = 24;
struct Spread {
  int64_t count = 0;
  double min = 0, median = 0, p99 = 0, max = 0, mean = 0, deviation = 0;
  std::vector<int64_t> bins;  // counts of kSpreadBins equal parts of min to p99; what is above counts in the last
};
// Of at least one value.
Spread spread_of(std::vector<double> values);

struct GroupTime {
  Group group;
  double ms = 0;     // median
  double share = 0;  // of the sum of all groups, 0..1
  double gmacs = 0;  // 1e9 multiply-adds a second; 0: not known
  // Milliseconds beyond what the group would take at the best rate that any group of this network reaches: what there
  // is to win. For groups without multiply-adds, all of it.
  double lost_ms = 0;
};

// One model at one setting.
struct BenchRow {
  std::string model;
  int threads = 1;
  int64_t batch = 1;
  Spread ms;         // inputs read and outputs written where they lie
  Spread copied_ms;  // with fresh copies of the inputs before, and fresh outputs
  double images_per_second = 0;
  double ratio = 1;      // of medians, to the first model at the same setting
  double min_ratio = 1;  // the same of minima
  double load_ms = 0;
  int64_t load_bytes = 0;         // growth of peak resident memory by loading and the first run
  int64_t session_bytes = 0;      // arena and scratch; 0: not known
  std::vector<GroupTime> groups;  // most to win first; with `profile` only
};

// Errors: a model that cannot be loaded, an input whose size is not known, a batch that a model does not take.
Result<std::vector<BenchRow>> run_bench(const BenchOptions& options);

std::string bench_table(const std::vector<BenchRow>& rows);
std::string bench_json(const std::vector<BenchRow>& rows);

}  // namespace octet::cli
