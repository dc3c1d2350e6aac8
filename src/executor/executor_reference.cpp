// The executor of builds without oneDNN: node by node on the reference operators. Slow, and right.
#include <algorithm>
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

const Graph& Executor::graph() const { return impl_->graph; }

Result<RunValues> Executor::run_keeping(const std::vector<Tensor>& inputs) const {
  RunValues values;
  const Graph& graph = impl_->graph;
  OCTET_RETURN_IF_ERROR(interpret(graph, inputs, [&](ValueId id, const Tensor& x) {
                          values.by_name[graph.value(id).name].plain = x;
                        }).status());
  return values;
}

Result<RunValues> Executor::run_values(const RunValues& inputs) const {
  const Graph& graph = impl_->graph;
  std::vector<Tensor> given;
  for (ValueId id : graph.inputs) {
    const auto value = inputs.by_name.find(graph.value(id).name);
    if (value == inputs.by_name.end())
      return internal_error("there is no value '" + graph.value(id).name + "' to run from");
    given.push_back(value->second.plain);
  }
  OCTET_ASSIGN(const std::vector<Tensor> outputs, interpret(graph, given));
  RunValues values;
  for (size_t i = 0; i < outputs.size(); ++i) values.by_name[graph.value(graph.outputs[i]).name].plain = outputs[i];
  return values;
}

Continuation Executor::continuation(const std::vector<std::string>& changed,
                                    const std::set<std::string>& replaced) const {
  const Graph& graph = impl_->graph;
  std::set<std::string> is_new(changed.begin(), changed.end()), is_read;
  const auto name_of = [&](ValueId id) { return graph.value(id).name; };
  const auto is_variable = [&](ValueId id) { return id != kNoValue && !graph.is_constant(id); };
  Continuation what;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const bool depends = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](ValueId id) { return is_variable(id) && is_new.count(name_of(id)) != 0; });
    if (!depends || replaced.count(node.name) != 0) continue;
    what.steps.push_back(n);
    for (ValueId id : node.inputs)
      if (is_variable(id)) is_read.insert(name_of(id));
    for (ValueId id : node.outputs)
      if (id != kNoValue) is_new.insert(name_of(id));
  }
  for (ValueId id : graph.outputs)
    if (is_variable(id)) is_read.insert(name_of(id));
  for (const std::string& name : is_read)
    if (is_new.count(name) == 0) what.reads.push_back(name);
  return what;
}

Result<std::vector<Tensor>> Executor::run_again(const Continuation& what, const RunValues& kept,
                                                const RunValues& changed) const {
  const Graph& graph = impl_->graph;
  std::map<std::string, Tensor> values;
  for (const std::string& name : what.reads) {
    const auto value = kept.by_name.find(name);
    if (value == kept.by_name.end()) return internal_error("the earlier run did not keep '" + name + "'");
    values[name] = value->second.plain;
  }
  for (const auto& [name, value] : changed.by_name) values[name] = value.plain;
  const auto value_of = [&](ValueId id) -> const Tensor* {
    if (id == kNoValue) return nullptr;
    const Value& v = graph.value(id);
    return v.constant ? &*v.constant : &values[v.name];
  };
  for (size_t n : what.steps) {
    const Node& node = graph.nodes[n];
    std::vector<const Tensor*> inputs;
    for (ValueId id : node.inputs) inputs.push_back(value_of(id));
    OCTET_ASSIGN(const std::vector<Tensor> outputs, run_node(node, graph.opset, inputs));
    for (size_t i = 0; i < outputs.size() && i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoValue) values[graph.value(node.outputs[i]).name] = outputs[i];
  }
  std::vector<Tensor> outputs;
  for (ValueId id : graph.outputs) outputs.push_back(*value_of(id));
  return outputs;
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
