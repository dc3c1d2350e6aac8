// The executor of builds without oneDNN: node by node on the reference operators. Slow, and right.
#include <chrono>
#include <cstring>

#include "base/text.h"
#include "executor/executor.h"
#include "graph/shape_inference.h"
#include "interp/interpreter.h"

namespace octet {

struct Executor::Impl {
  Graph graph;
  std::vector<std::vector<size_t>> taps_of_value;  // by ValueId
  std::vector<int64_t> producer;                   // index of the node, by ValueId; -1: none

  Status find_taps(const std::vector<std::string>& names);
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs, const TapSink& sink,
                                  std::vector<double>* times) const;
};

Tensor TensorView::to_tensor() const {
  Tensor out(dtype, dims);
  if (numel != 0) std::memcpy(out.raw(), data, static_cast<size_t>(out.nbytes()));
  return out;
}

Status Executor::Impl::find_taps(const std::vector<std::string>& names) {
  taps_of_value.resize(graph.value_count());
  for (size_t t = 0; t < names.size(); ++t) {
    const ValueId id = graph.find_value(names[t]);
    if (id == kNoValue) {
      std::vector<std::string> all;
      for (size_t v = 0; v < graph.value_count(); ++v) all.push_back(graph.value(static_cast<ValueId>(v)).name);
      return not_found("there is no tensor '" + names[t] + "' to observe." + did_you_mean(names[t], all));
    }
    taps_of_value[static_cast<size_t>(id)].push_back(t);
  }
  return Status::ok();
}

Result<std::vector<Tensor>> Executor::Impl::run(const std::vector<Tensor>& inputs, const TapSink& sink,
                                                std::vector<double>* times) const {
  using Clock = std::chrono::steady_clock;
  Clock::time_point last = Clock::now();
  return interpret(graph, inputs, [&](ValueId id, const Tensor& x) {
    const auto index = static_cast<size_t>(id);
    if (times != nullptr && producer[index] >= 0) {
      // From the end of the node before to the end of this one; a node's second output adds next to nothing.
      const Clock::time_point now = Clock::now();
      (*times)[static_cast<size_t>(producer[index])] += std::chrono::duration<double, std::milli>(now - last).count();
      last = now;
    }
    if (!sink) return;
    for (size_t t : taps_of_value[index]) sink(t, {x.dtype(), x.dims(), false, x.raw(), x.numel()});
  });
}

Executor::Executor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executor::~Executor() = default;
bool Executor::is_fast() { return false; }

Result<std::unique_ptr<Executor>> Executor::create(const Graph& graph, const ExecutorOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->graph = graph;
  OCTET_RETURN_IF_ERROR(infer_shapes(impl->graph));
  OCTET_RETURN_IF_ERROR(impl->find_taps(options.taps));
  const GraphIndex index(impl->graph);
  for (size_t v = 0; v < impl->graph.value_count(); ++v)
    impl->producer.push_back(index.producer(static_cast<ValueId>(v)));
  return std::unique_ptr<Executor>(new Executor(std::move(impl)));
}

Result<std::vector<Tensor>> Executor::run(const std::vector<Tensor>& inputs, const TapSink& sink) const {
  return impl_->run(inputs, sink, nullptr);
}

Result<std::vector<double>> Executor::profile(const std::vector<Tensor>& inputs) const {
  std::vector<double> times(impl_->graph.nodes.size(), 0.0);
  OCTET_RETURN_IF_ERROR(impl_->run(inputs, {}, &times).status());
  return times;
}

std::vector<std::string> Executor::describe() const {
  std::vector<std::string> lines;
  for (const Node& node : impl_->graph.nodes) lines.push_back(node.op_type + " '" + node.name + "' on reference");
  return lines;
}

std::vector<std::vector<std::string>> Executor::step_nodes() const {
  std::vector<std::vector<std::string>> names;
  for (const Node& node : impl_->graph.nodes) names.push_back({node.name});
  return names;
}

}  // namespace octet
