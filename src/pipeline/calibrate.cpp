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
  const auto body = [&](int worker, int64_t item) -> Status {
    std::vector<TensorStatistics>& mine = workers[static_cast<size_t>(worker)];
    if (mine.empty()) mine.resize(tensors.size());
    const std::vector<int64_t> members(images.begin() + item * group, images.begin() + (item + 1) * group);
    OCTET_ASSIGN(const Batch batch, load_batch(graph, data, members, group));
    const TapSink sink = [&](size_t tap, const TensorView& view) {
      if (view.dtype == DType::kFloat32) mine[tap].add(static_cast<const float*>(view.data), view.numel);
    };
    return executor->run(batch.inputs, sink).status();
  };
  OCTET_RETURN_IF_ERROR(parallel_items(groups, options_, "calibrating", group, total, body));
  return merge_workers(tensors, workers);
}

}  // namespace octet
