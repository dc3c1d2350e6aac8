#include <cstring>

#include "pipeline/image_runner.h"

namespace octet {
namespace {

// Images a worker runs at once. Not an option: the float results of an image must not depend on a setting.
constexpr int64_t kGroup = 1;

// Merges the workers' statistics; the result does not depend on which worker saw which image.
std::map<std::string, TensorStatistics> merge_workers(const std::vector<std::string>& tensors,
                                                      std::vector<std::vector<TensorStatistics>>& workers) {
  std::map<std::string, TensorStatistics> merged;
  for (size_t t = 0; t < tensors.size(); ++t) {
    TensorStatistics& sum = merged[tensors[t]];
    for (std::vector<TensorStatistics>& w : workers)
      if (!w.empty()) sum.merge(w[t]);
  }
  return merged;
}

// The statistics of all processes, merged in the order of ranks.
Result<std::map<std::string, TensorStatistics>> merge_processes(Processes& processes,
                                                                std::map<std::string, TensorStatistics> mine) {
  std::string bytes;
  for (const auto& [tensor, statistics] : mine) {
    const std::string one = statistics.to_bytes();
    const uint64_t size = one.size();
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size).append(one);
  }
  OCTET_ASSIGN(const std::vector<std::string> all, processes.all_gather(bytes));
  for (auto& [tensor, statistics] : mine) statistics = TensorStatistics();
  for (const std::string& theirs : all) {
    std::string_view rest = theirs;
    for (auto& [tensor, statistics] : mine) {
      uint64_t size = 0;
      if (rest.size() >= sizeof size) std::memcpy(&size, rest.data(), sizeof size);
      if (rest.size() < sizeof size + size) return data_corrupt("another process observed other tensors");
      OCTET_ASSIGN(const TensorStatistics one, TensorStatistics::from_bytes(rest.substr(sizeof size, size)));
      statistics.merge(one);
      rest.remove_prefix(sizeof size + size);
    }
    if (!rest.empty()) return data_corrupt("another process observed other tensors");
  }
  return mine;
}

}  // namespace

Result<std::map<std::string, TensorStatistics>> QuantizationCalibrator::collect_stats(
    const Graph& graph, const std::vector<std::string>& tensors, const Dataset& data,
    const std::vector<int64_t>& images) const {
  ExecutorOptions executor_options;
  executor_options.taps = tensors;
  OCTET_ASSIGN(const std::unique_ptr<Executor> executor, Executor::create(graph, executor_options));
  const int64_t group = std::max(kGroup, fixed_batch(graph));
  const auto total = static_cast<int64_t>(images.size());
  const int64_t groups = total / group;  // a network with a fixed batch sees whole batches only
  if (groups == 0)
    return invalid_argument("calibration needs at least " + std::to_string(group) + " images, got " +
                            std::to_string(total));
  std::vector<std::vector<TensorStatistics>> workers(static_cast<size_t>(resolve_threads(options_.threads)));
  Processes alone;
  Processes& processes = options_.processes != nullptr ? *options_.processes : alone;
  const auto body = [&](int worker, int64_t turn) -> Status {
    const int64_t item = turn * processes.size() + processes.rank();
    std::vector<TensorStatistics>& mine = workers[static_cast<size_t>(worker)];
    if (mine.empty()) mine.resize(tensors.size());
    const std::vector<int64_t> members(images.begin() + item * group, images.begin() + (item + 1) * group);
    OCTET_ASSIGN(const Batch batch, load_batch(graph, data, members, group));
    const TapSink sink = [&](size_t tap, const TensorView& view) {
      if (view.dtype == DType::kFloat32) mine[tap].add(static_cast<const float*>(view.data), view.numel);
    };
    return executor->run(batch.inputs, sink).status();
  };
  const int64_t own = share_of(groups, processes);
  OCTET_RETURN_IF_ERROR(processes.agree(parallel_items(own, options_, "calibrating", group, own * group, body)));
  std::map<std::string, TensorStatistics> merged = merge_workers(tensors, workers);
  if (processes.size() == 1) return merged;
  return merge_processes(processes, std::move(merged));
}

}  // namespace octet
