#include "engine/compiler/float_times.h"

#include <chrono>
#include <cstring>

#include "executor/executor.h"
#include "passes/pass.h"

namespace octet::engine {

Result<Graph> float_twin(const Graph& graph) {
  Graph twin = graph;
  GraphIndex index(twin);
  for (const Node& dq : graph.nodes) {
    if (!dq.is("DequantizeLinear")) continue;
    const int64_t p = index.producer(dq.inputs[0]);
    if (p < 0) continue;
    const Node& q = graph.nodes[static_cast<size_t>(p)];
    if (!q.is("QuantizeLinear") || graph.is_constant(q.inputs[0])) continue;
    twin.replace_uses(dq.outputs[0], q.inputs[0]);
  }
  PassOptions options;
  options.fold_quantized_weights = true;
  OCTET_RETURN_IF_ERROR(run_passes(twin, options).status());
  return twin;
}

Result<std::map<std::string, double>> float_times(const Graph& twin, int threads, double seconds) {
  OCTET_ASSIGN(auto executor, Executor::create(twin, {.threads = threads}));
  std::vector<Tensor> inputs;
  for (ValueId id : twin.inputs) {
    const Value& value = twin.value(id);
    Dims dims;
    if (!value.shape) return unsupported("input '" + value.name + "' has no known shape");
    for (const Dim& d : *value.shape) dims.push_back(d.coefficient);
    OCTET_ASSIGN(Tensor zeros, Tensor::create(value.dtype, dims));
    std::memset(zeros.raw(), 0, static_cast<size_t>(zeros.nbytes()));
    inputs.push_back(zeros);
  }
  std::vector<double> best;
  const auto begin = std::chrono::steady_clock::now();
  for (int run = 0; run < 100; ++run) {
    OCTET_ASSIGN(const std::vector<double> ms, executor->profile(inputs));
    if (best.empty()) best = ms;
    for (size_t i = 0; i < ms.size(); ++i) best[i] = std::min(best[i], ms[i]);
    if (run >= 3 && std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > seconds) break;
  }
  std::map<std::string, double> times;
  const std::vector<std::vector<std::string>> names = executor->step_nodes();
  for (size_t i = 0; i < names.size() && i < best.size(); ++i)
    for (const std::string& name : names[i]) times[name] = best[i] * 1000;
  return times;
}

}  // namespace octet::engine
