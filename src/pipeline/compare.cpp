#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "metrics/similarity.h"
#include "pipeline/image_runner.h"

namespace octet {
namespace {

// Names of computed float values that both networks have, in the order in which the first computes them.
std::vector<std::string> common_tensors(const Graph& a, const Graph& b) {
  std::vector<std::string> names;
  const GraphIndex made_in_b(b);
  for (const Node& node : a.nodes) {
    if (node.is("QuantizeLinear") || node.is("DequantizeLinear")) continue;
    for (ValueId id : node.outputs) {
      if (id == kNoValue || a.is_constant(id)) continue;
      const Value& value = a.value(id);
      const ValueId other = b.find_value(value.name);
      const bool is_float = value.dtype == DType::kFloat32 || value.dtype == DType::kUndefined;
      if (is_float && other != kNoValue && made_in_b.producer(other) >= 0) names.push_back(value.name);
    }
  }
  return names;
}

// Sums of finished items, added up in the order of the items: the result does not depend on the number of threads,
// and only items that overtook a slower one wait in memory.
class OrderedSums {
 public:
  explicit OrderedSums(size_t tensors) : total_(tensors) {}

  void add(int64_t item, std::vector<Similarity> sums) {
    const std::lock_guard lock(mutex_);
    waiting_.emplace(item, std::move(sums));
    for (auto it = waiting_.begin(); it != waiting_.end() && it->first == next_; it = waiting_.erase(it), ++next_)
      for (size_t t = 0; t < total_.size(); ++t) total_[t].merge(it->second[t]);
  }
  const std::vector<Similarity>& total() const { return total_; }

 private:
  std::mutex mutex_;
  int64_t next_ = 0;
  std::map<int64_t, std::vector<Similarity>> waiting_;
  std::vector<Similarity> total_;
};

// Scores of classes, whose largest is a prediction: [N, classes], or the same with axes of length 1 behind.
bool are_class_scores(const Tensor& output) {
  if (output.dtype() != DType::kFloat32 || output.rank() < 2 || output.dim(1) < 2) return false;
  return output.numel() == output.dim(0) * output.dim(1);
}

}  // namespace

double agreement(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  const size_t n = std::min(a.size(), b.size());
  if (n == 0) return 100.0;
  size_t equal = 0;
  for (size_t i = 0; i < n; ++i) equal += a[i] == b[i] ? 1 : 0;
  return 100.0 * static_cast<double>(equal) / static_cast<double>(n);
}

Result<CompareReport> compare(const Graph& a, const Graph& b, const Dataset& data, int64_t images,
                              const RunOptions& options) {
  ExecutorOptions executor_options;
  executor_options.taps = common_tensors(a, b);
  OCTET_ASSIGN(const std::unique_ptr<Executor> run_a, Executor::create(a, executor_options));
  OCTET_ASSIGN(const std::unique_ptr<Executor> run_b, Executor::create(b, executor_options));
  const size_t tensors = executor_options.taps.size();
  const int64_t group = std::max<int64_t>(1, std::max(fixed_batch(a), fixed_batch(b)));
  const int64_t count = images > 0 ? std::min(images, data.size()) : data.size();
  const int64_t groups = (count + group - 1) / group;
  OrderedSums sums_in_order(tensors);
  std::atomic<bool> classifies{count > 0};
  std::vector<int64_t> predicted_a(static_cast<size_t>(count)), predicted_b(static_cast<size_t>(count));
  const auto body = [&](int, int64_t item) -> Status {
    std::vector<int64_t> members;
    for (int64_t i = item * group; i < std::min(count, (item + 1) * group); ++i) members.push_back(i);
    OCTET_ASSIGN(const Batch batch, load_batch(a, data, members, group));
    std::vector<Tensor> seen(tensors);
    OCTET_ASSIGN(const std::vector<Tensor> out_a,
                 run_a->run(batch.inputs, [&](size_t tap, const TensorView& v) { seen[tap] = v.to_tensor(); }));
    std::vector<Similarity> sums(tensors);
    OCTET_ASSIGN(const std::vector<Tensor> out_b, run_b->run(batch.inputs, [&](size_t tap, const TensorView& v) {
      const Tensor y = v.to_tensor();
      const Tensor& x = seen[tap];
      if (x.dtype() == DType::kFloat32 && y.dtype() == DType::kFloat32 && x.dims() == y.dims())
        (void)sums[tap].add(x, y);  // cannot fail: types and sizes were just compared
    }));
    sums_in_order.add(item, std::move(sums));
    if (!are_class_scores(out_a[0]) || !are_class_scores(out_b[0])) classifies = false;
    const auto n = static_cast<int64_t>(members.size());
    const std::vector<int64_t> best_a = arg_max_rows(out_a[0], n), best_b = arg_max_rows(out_b[0], n);
    std::copy(best_a.begin(), best_a.end(), predicted_a.begin() + item * group);
    std::copy(best_b.begin(), best_b.end(), predicted_b.begin() + item * group);
    return Status::ok();
  };
  OCTET_RETURN_IF_ERROR(parallel_items(groups, options, "comparing", group, count, body));
  CompareReport report;
  report.count = count;
  if (classifies) report.agreement = agreement(predicted_a, predicted_b);
  const GraphIndex index(a);
  for (size_t t = 0; t < tensors; ++t) {
    const Similarity& total = sums_in_order.total()[t];
    TensorDifference d;
    d.nonfinite = total.nonfinite();
    d.sqnr_db = total.sqnr_db();
    d.cosine = total.cosine();
    d.max_abs = total.max_abs_diff();
    d.tensor = executor_options.taps[t];
    const ValueId id = a.find_value(d.tensor);
    d.op_type = a.nodes[static_cast<size_t>(index.producer(id))].op_type;
    d.is_output = a.is_output(id);
    report.tensors.push_back(std::move(d));
  }
  std::stable_sort(report.tensors.begin(), report.tensors.end(),
                   [](const TensorDifference& x, const TensorDifference& y) { return x.sqnr_db < y.sqnr_db; });
  return report;
}

}  // namespace octet
