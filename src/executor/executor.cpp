#include "executor/executor.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/text.h"
#include "executor/layout.h"
#include "executor/step.h"
#include "graph/shape_inference.h"
#include "passes/pass.h"

namespace octet {

struct Executor::Impl {
  Graph graph;
  ExecutorOptions options;
  std::vector<exec::StepPtr> steps;
  std::vector<std::vector<size_t>> taps_of_value;  // by ValueId
  std::shared_ptr<BufferPool> pool = std::make_shared<BufferPool>();

  Status compile(const Graph& source);
  Status check_inputs(const std::vector<Tensor>& inputs) const;
  void tap(const exec::Frame& frame, ValueId id, const TapSink& sink) const;
  void set_constants(exec::Frame& frame) const;
  Status run_step(const exec::Step& step, exec::Frame& frame) const;
  Result<std::vector<Tensor>> outputs_of(exec::Frame& frame) const;
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs, const TapSink& sink,
                                  std::vector<double>* times) const;
};

namespace {

// Makes every tapped value a graph output while passes run, so that none of them removes or renames it.
Result<std::vector<ValueId>> find_taps(const Graph& graph, const std::vector<std::string>& names) {
  std::vector<ValueId> ids;
  for (const std::string& name : names) {
    const ValueId id = graph.find_value(name);
    if (id == kNoValue) {
      std::vector<std::string> all;
      for (size_t v = 0; v < graph.value_count(); ++v) all.push_back(graph.value(static_cast<ValueId>(v)).name);
      return not_found("there is no tensor '" + name + "' to observe." + did_you_mean(name, all));
    }
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

Tensor TensorView::to_tensor() const {
  Tensor out(dtype, dims);
  if (numel == 0) return out;
  if (channels_last) exec::to_plain(static_cast<const float*>(data), out.data<float>(), dims);
  else std::memcpy(out.raw(), data, static_cast<size_t>(out.nbytes()));
  return out;
}

Status Executor::Impl::compile(const Graph& source) {
  graph = source;
  const size_t real_outputs = graph.outputs.size();
  OCTET_ASSIGN(const std::vector<ValueId> taps, find_taps(graph, options.taps));
  graph.outputs.insert(graph.outputs.end(), taps.begin(), taps.end());
  PassOptions passes;
  passes.fold_quantized_weights = true;  // dequantize weights once, now
  passes.verify_each = false;
  OCTET_RETURN_IF_ERROR(run_passes(graph, passes).status());
  const std::vector<ValueId> tapped(graph.outputs.begin() + static_cast<int64_t>(real_outputs), graph.outputs.end());
  graph.outputs.resize(real_outputs);
  taps_of_value.resize(graph.value_count());
  std::vector<bool> is_protected(graph.value_count(), false);
  for (ValueId id : graph.outputs) is_protected[static_cast<size_t>(id)] = true;
  for (size_t t = 0; t < tapped.size(); ++t) {
    is_protected[static_cast<size_t>(tapped[t])] = true;
    taps_of_value[static_cast<size_t>(tapped[t])].push_back(t);
  }
  steps = exec::make_steps(graph, is_protected, options.fuse);
  return Status::ok();
}

Status Executor::Impl::check_inputs(const std::vector<Tensor>& inputs) const {
  if (inputs.size() != graph.inputs.size())
    return invalid_argument("the network has " + std::to_string(graph.inputs.size()) + " inputs, got " +
                            std::to_string(inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& declared = graph.value(graph.inputs[i]);
    bool fits = declared.dtype == DType::kUndefined || declared.dtype == inputs[i].dtype();
    if (declared.shape) {
      fits = fits && declared.shape->size() == inputs[i].dims().size();
      for (size_t d = 0; fits && d < declared.shape->size(); ++d)
        fits = !(*declared.shape)[d].is_static() || (*declared.shape)[d].coefficient == inputs[i].dims()[d];
    }
    if (!fits)
      return invalid_argument("input '" + declared.name + "' expects " + dtype_name(declared.dtype) + " " +
                              (declared.shape ? shape_to_string(*declared.shape) : "?") + ", got " +
                              dtype_name(inputs[i].dtype()) + " " + dims_to_string(inputs[i].dims()));
  }
  return Status::ok();
}

void Executor::Impl::tap(const exec::Frame& frame, ValueId id, const TapSink& sink) const {
  for (size_t t : taps_of_value[static_cast<size_t>(id)]) {
    const Tensor& x = frame.any(id);
    if (x.defined()) sink(t, {x.dtype(), x.dims(), frame.only_channels_last(id), x.raw(), x.numel()});
  }
}

void Executor::Impl::set_constants(exec::Frame& frame) const {
  omp_set_num_threads(options.threads);  // of this calling thread only
  for (size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    if (graph.is_constant(id)) frame.set(id, *graph.value(id).constant, false);
  }
}

Status Executor::Impl::run_step(const exec::Step& step, exec::Frame& frame) const {
  const Status done = step.run(frame);
  if (done.is_ok()) return done;
  const Node& node = graph.nodes[step.nodes[0]];
  const bool named = done.message().find("'" + node.name + "'") != std::string::npos;
  return named ? done : done.at("node '" + node.name + "' (" + node.op_type + ")");
}

Result<std::vector<Tensor>> Executor::Impl::outputs_of(exec::Frame& frame) const {
  std::vector<Tensor> outputs;
  for (ValueId id : graph.outputs) {
    OCTET_ASSIGN(Tensor out, frame.plain(id));
    outputs.push_back(std::move(out));
  }
  return outputs;
}

Result<std::vector<Tensor>> Executor::Impl::run(const std::vector<Tensor>& inputs, const TapSink& sink,
                                                std::vector<double>* times) const {
  OCTET_RETURN_IF_ERROR(check_inputs(inputs));
  exec::Frame frame(graph, pool);
  set_constants(frame);
  for (size_t i = 0; i < inputs.size(); ++i) {
    frame.set(graph.inputs[i], inputs[i], false);
    if (sink) tap(frame, graph.inputs[i], sink);
  }
  for (const exec::StepPtr& step : steps) {
    const auto begin = std::chrono::steady_clock::now();
    OCTET_RETURN_IF_ERROR(run_step(*step, frame));
    if (times != nullptr)
      times->push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    if (sink)
      for (ValueId id : step->writes) tap(frame, id, sink);
    for (ValueId id : step->dying) frame.release(id);
  }
  return outputs_of(frame);
}

Executor::Executor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executor::~Executor() = default;
bool Executor::is_fast() { return true; }

Result<std::unique_ptr<Executor>> Executor::create(const Graph& graph, const ExecutorOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  if (impl->options.threads < 1) impl->options.threads = std::max(1, omp_get_num_procs());
  OCTET_RETURN_IF_ERROR(impl->compile(graph));
  return std::unique_ptr<Executor>(new Executor(std::move(impl)));
}

Result<std::vector<Tensor>> Executor::run(const std::vector<Tensor>& inputs, const TapSink& sink) const {
  return impl_->run(inputs, sink, nullptr);
}

Result<std::vector<double>> Executor::profile(const std::vector<Tensor>& inputs) const {
  std::vector<double> times;
  OCTET_RETURN_IF_ERROR(impl_->run(inputs, {}, &times).status());
  return times;
}

const Graph& Executor::graph() const { return impl_->graph; }

Result<RunValues> Executor::run_keeping(const std::vector<Tensor>& inputs) const {
  OCTET_RETURN_IF_ERROR(impl_->check_inputs(inputs));
  const Graph& graph = impl_->graph;
  exec::Frame frame(graph, impl_->pool);
  frame.keep_all();
  impl_->set_constants(frame);
  RunValues values;
  for (size_t i = 0; i < inputs.size(); ++i) frame.set(graph.inputs[i], inputs[i], false);
  for (const exec::StepPtr& step : impl_->steps) OCTET_RETURN_IF_ERROR(impl_->run_step(*step, frame));
  for (size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    if (!graph.is_constant(id) && frame.any(id).defined()) values.by_name[graph.value(id).name] = frame.share(id);
  }
  return values;
}

Result<RunValues> Executor::run_values(const RunValues& inputs) const {
  const Graph& graph = impl_->graph;
  exec::Frame frame(graph, impl_->pool);
  impl_->set_constants(frame);
  for (ValueId id : graph.inputs) {
    const auto given = inputs.by_name.find(graph.value(id).name);
    if (given == inputs.by_name.end())
      return internal_error("there is no value '" + graph.value(id).name + "' to run from");
    frame.adopt(id, given->second);
  }
  for (const exec::StepPtr& step : impl_->steps) {
    OCTET_RETURN_IF_ERROR(impl_->run_step(*step, frame));
    for (ValueId id : step->dying) frame.release(id);
  }
  RunValues values;
  for (ValueId id : graph.outputs) values.by_name[graph.value(id).name] = frame.share(id);
  return values;
}

Continuation Executor::continuation(const std::vector<std::string>& changed,
                                    const std::set<std::string>& replaced) const {
  const Graph& graph = impl_->graph;
  std::vector<bool> is_new(graph.value_count(), false), is_read(graph.value_count(), false);
  for (const std::string& name : changed)
    if (const ValueId id = graph.find_value(name); id != kNoValue) is_new[static_cast<size_t>(id)] = true;
  const auto read = [&](ValueId id) {
    if (id != kNoValue && !graph.is_constant(id)) is_read[static_cast<size_t>(id)] = true;
  };
  Continuation what;
  for (size_t s = 0; s < impl_->steps.size(); ++s) {
    const exec::Step& step = *impl_->steps[s];
    const bool is_replaced = std::any_of(step.nodes.begin(), step.nodes.end(),
                                         [&](size_t n) { return replaced.count(graph.nodes[n].name) != 0; });
    const bool depends = std::any_of(step.reads.begin(), step.reads.end(),
                                     [&](ValueId id) { return is_new[static_cast<size_t>(id)]; });
    if (is_replaced || !depends) continue;
    what.steps.push_back(s);
    for (ValueId id : step.reads) read(id);
    for (ValueId id : step.writes) is_new[static_cast<size_t>(id)] = true;
  }
  for (ValueId id : graph.outputs) read(id);
  for (size_t v = 0; v < is_read.size(); ++v)
    if (is_read[v] && !is_new[v]) what.reads.push_back(graph.value(static_cast<ValueId>(v)).name);
  return what;
}

Result<std::vector<Tensor>> Executor::run_again(const Continuation& what, const RunValues& kept,
                                                const RunValues& changed) const {
  const Graph& graph = impl_->graph;
  exec::Frame frame(graph, impl_->pool);
  impl_->set_constants(frame);
  for (const std::string& name : what.reads) {
    const auto value = kept.by_name.find(name);
    if (value == kept.by_name.end()) return internal_error("the earlier run did not keep '" + name + "'");
    frame.adopt(graph.find_value(name), value->second);
  }
  for (const auto& [name, value] : changed.by_name)
    if (const ValueId id = graph.find_value(name); id != kNoValue) frame.adopt(id, value);
  for (size_t s : what.steps) {
    OCTET_RETURN_IF_ERROR(impl_->run_step(*impl_->steps[s], frame));
    for (ValueId id : impl_->steps[s]->dying) frame.release(id);
  }
  return impl_->outputs_of(frame);
}

std::vector<std::vector<std::string>> Executor::step_nodes() const {
  std::vector<std::vector<std::string>> names;
  for (const exec::StepPtr& step : impl_->steps) {
    names.emplace_back();
    for (size_t n : step->nodes) names.back().push_back(impl_->graph.nodes[n].name);
  }
  return names;
}

std::vector<std::string> Executor::describe() const {
  std::vector<std::string> lines;
  for (const exec::StepPtr& step : impl_->steps) {
    std::string line;
    for (size_t n : step->nodes) line += (line.empty() ? "" : "+") + impl_->graph.nodes[n].op_type;
    lines.push_back(line + " '" + impl_->graph.nodes[step->nodes[0]].name + "' on " + step->kernel());
  }
  return lines;
}

}  // namespace octet
