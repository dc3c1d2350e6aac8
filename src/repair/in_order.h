// Batches in parallel, their results in order.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "octet/repair.h"

namespace octet::repair {

// Bounds the memory of results that wait for their turn. Not an option: sums over a chunk depend on it.
constexpr int64_t kBatchesPerChunk = 32;

// run(batch, &result) for every batch of the host, on its threads; then, chunk by chunk, merge(results) with the
// results in the order of the batches. What merge adds up is the same for any number of threads. An empty stage
// reports no progress.
template <class T>
Status run_in_order(const RepairHost& host, const std::string& stage,
                    const std::function<Status(int64_t batch, T* result)>& run,
                    const std::function<Status(std::vector<T>& chunk)>& merge) {
  const int64_t total = host.batches();
  if (total == 0) return invalid_argument("repair needs calibration images, and there are none");
  for (int64_t begin = 0; begin < total; begin += kBatchesPerChunk) {
    std::vector<T> chunk(static_cast<size_t>(std::min(kBatchesPerChunk, total - begin)));
    OCTET_RETURN_IF_ERROR(host.parallel(static_cast<int64_t>(chunk.size()), [&](int64_t item) {
      return run(begin + item, &chunk[static_cast<size_t>(item)]);
    }));
    OCTET_RETURN_IF_ERROR(merge(chunk));
    if (!stage.empty()) host.progress(stage, begin + static_cast<int64_t>(chunk.size()), total);
  }
  return Status::ok();
}

}  // namespace octet::repair
