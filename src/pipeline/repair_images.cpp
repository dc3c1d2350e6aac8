#include "pipeline/repair_images.h"

#include <map>
#include <mutex>

#include "pipeline/image_runner.h"

namespace octet {
namespace {

class DatasetHost : public RepairHost {
 public:
  DatasetHost(const Graph& graph, const Dataset& data, std::vector<int64_t> images, const RunOptions& options)
      : inputs_(graph.inputs.size()),
        data_(data),
        images_(std::move(images)),
        options_(options),
        group_(std::max<int64_t>(1, fixed_batch(graph))) {}

  int64_t batches() const override { return static_cast<int64_t>(images_.size()) / group_; }

  Result<std::vector<Tensor>> load(int64_t batch) const override {
    {
      const std::lock_guard lock(mutex_);
      const auto known = kept_.find(batch);
      if (known != kept_.end()) return known->second;
    }
    const auto begin = images_.begin() + batch * group_;
    OCTET_ASSIGN(Batch loaded, load_batch(inputs_, data_, std::vector<int64_t>(begin, begin + group_), group_));
    int64_t bytes = 0;
    for (const Tensor& t : loaded.inputs) bytes += t.nbytes();
    const std::lock_guard lock(mutex_);
    if (kept_bytes_ + bytes <= kMostKept && kept_.emplace(batch, loaded.inputs).second) kept_bytes_ += bytes;
    return std::move(loaded.inputs);
  }

  Status parallel(int64_t count, const std::function<Status(int64_t item)>& body) const override {
    RunOptions quiet = options_;
    quiet.progress = {};
    return parallel_items(count, quiet, "", 1, count, [&](int, int64_t item) { return body(item); });
  }

  void progress(const std::string& stage, int64_t done, int64_t total) const override {
    if (options_.progress) options_.progress("repairing: " + stage, done, total);
  }

 private:
  // Methods that go layer by layer ask for each image once a layer; decoding it every time would cost more than they
  // do.
  static constexpr int64_t kMostKept = int64_t{256} << 20;

  size_t inputs_;
  const Dataset& data_;
  std::vector<int64_t> images_;
  const RunOptions& options_;
  int64_t group_;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, std::vector<Tensor>> kept_;
  mutable int64_t kept_bytes_ = 0;
};

}  // namespace

std::unique_ptr<RepairHost> repair_host(const Graph& graph, const Dataset& data, std::vector<int64_t> images,
                                        const RunOptions& options) {
  return std::make_unique<DatasetHost>(graph, data, std::move(images), options);
}

}  // namespace octet
