// Feeds images to a network from several worker threads.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "executor/executor.h"
#include "octet/data.h"
#include "octet/pipeline.h"
#include "octet/runtime.h"

namespace octet {

int resolve_threads(int threads);  // 0: as many as cores that this process may use

// Runs body(worker, item) for items 0..count-1 on `threads` threads, each item once; stops at the first error, which
// is returned, or when cancelled. Progress is reported in items.
Status parallel_items(int64_t count, const RunOptions& options, const std::string& stage, int64_t units_per_item,
                      int64_t total_units, const std::function<Status(int worker, int64_t item)>& body);

// How many of `count` items process r of n does, when it takes r, r + n, r + 2 n, ...
int64_t share_of(int64_t count, const Processes& processes);

// A network that several workers run at once: a graph on the executor, or a compiled engine with a session per
// worker.
class Network {
 public:
  static Result<std::unique_ptr<Network>> create(const Graph& graph);
  static Result<std::unique_ptr<Network>> create(std::shared_ptr<const Engine> engine, int workers);
  virtual ~Network() = default;
  virtual const std::vector<InputInfo>& inputs() const = 0;
  // `worker` is what parallel_items gives.
  virtual Result<std::vector<Tensor>> run(int worker, const std::vector<Tensor>& inputs) = 0;
};

// The batch size that a network's inputs fix, or 0 when it is open.
int64_t fixed_batch(const std::vector<InputInfo>& inputs);
int64_t fixed_batch(const Graph& graph);

// Reads the samples and stacks them into one tensor per network input, [group size, ...]; a group smaller than
// `batch` is filled up with its last sample.
struct Batch {
  std::vector<Tensor> inputs;
  std::vector<Sample> samples;  // without their input tensors
};
Result<Batch> load_batch(const Graph& graph, const Dataset& data, const std::vector<int64_t>& images, int64_t batch);
Result<Batch> load_batch(size_t network_inputs, const Dataset& data, const std::vector<int64_t>& images,
                         int64_t batch);

// First axis index arg-max per image of a [N, ...] float tensor; ties go to the lower index, NaN never wins.
std::vector<int64_t> arg_max_rows(const Tensor& scores, int64_t images);

}  // namespace octet
