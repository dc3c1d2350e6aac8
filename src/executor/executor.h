// The fast float path: a graph compiled into fused steps on oneDNN, with taps on any tensor.
//
// Activations of rank 4 travel channels-last between the steps that profit; everything that has no fast step runs on
// the reference operator. Quantized graphs (Q/DQ) run as simulation: quantized weights are dequantized once, and a
// QuantizeLinear -> DequantizeLinear pair on an activation becomes one rounding pass with the definition in `arith`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet {

// A tensor as the executor holds it. The elements of a channels-last view lie in N, H, W, C order; `dims` always are
// the logical N, C, H, W.
struct TensorView {
  DType dtype = DType::kUndefined;
  Dims dims;
  bool channels_last = false;
  const void* data = nullptr;
  int64_t numel = 0;

  Tensor to_tensor() const;  // a row-major copy
};

// Values of a run by name, each in the layouts in which it was made, so that another run can go on from them. Copies
// share the elements.
struct RunValues {
  struct Value {
    Tensor plain, channels_last;  // at least one of them is defined
  };
  std::map<std::string, Value> by_name;
};

// What has to run again when some values of a run change: made by Executor::continuation.
struct Continuation {
  std::vector<size_t> steps;       // in order
  std::vector<std::string> reads;  // values of the earlier run that these steps, or the outputs, take
};

// Called while the network runs, with the position of the tensor in ExecutorOptions::taps.
using TapSink = std::function<void(size_t tap, const TensorView& view)>;

struct ExecutorOptions {
  // Threads that share the work of one run(). Results for an image do not depend on its neighbours in the batch; with
  // one thread they do not depend on anything but the image and the graph.
  int threads = 1;
  bool fuse = true;               // false: one step per node, for debugging and tests
  std::vector<std::string> taps;  // names of values to observe
};

class Executor {
 public:
  // Compiles `graph`; the graph itself is left alone. kNotFound when a tap names no value.
  static Result<std::unique_ptr<Executor>> create(const Graph& graph, const ExecutorOptions& options = {});
  ~Executor();

  // False in builds without oneDNN, where the reference operators stand in and times mean nothing.
  static bool is_fast();

  // inputs: one row-major tensor per graph input. Returns the graph outputs, row-major, in order. Safe to call from
  // several threads at once. Any batch size the graph's symbolic dimensions allow.
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs, const TapSink& sink = {}) const;

  // Like run(), and keeps every value that a step writes: the activations of the whole network stay in memory.
  Result<RunValues> run_keeping(const std::vector<Tensor>& inputs) const;
  // Like run() on inputs that are values of another executor's run, found by name; gives the outputs as values. The
  // same steps in the same layouts as inside one network, so that cutting a network in two changes no bit.
  Result<RunValues> run_values(const RunValues& inputs) const;
  // What depends on the values `changed`, without the steps that have a node among `replaced`, which others compute.
  Continuation continuation(const std::vector<std::string>& changed, const std::set<std::string>& replaced) const;
  // The outputs, row-major: steps of `what` run anew from the changed values, all else is as `kept` has it.
  Result<std::vector<Tensor>> run_again(const Continuation& what, const RunValues& kept,
                                        const RunValues& changed) const;

  // The graph after passes, which the names of steps and values are of.
  const Graph& graph() const;
  // One line per step: what was fused into it and which kernel runs it.
  std::vector<std::string> describe() const;
  // The names of the nodes in every step, in the order of describe().
  std::vector<std::vector<std::string>> step_nodes() const;
  // Milliseconds spent per step over one run, in the order of describe().
  Result<std::vector<double>> profile(const std::vector<Tensor>& inputs) const;

 private:
  struct Impl;
  explicit Executor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace octet
