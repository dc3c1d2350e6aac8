#include "engine/compiler/float_times.h"

#include <chrono>
#include <cstring>

#include "executor/executor.h"
#include "kernels/cpu/features.h"
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
    // A pass takes the Identity out, or keeps it where the value is an output of the graph and must keep its name.
    Node& identity = twin.nodes[static_cast<size_t>(&dq - graph.nodes.data())];
    identity.op_type = "Identity";
    identity.domain.clear();
    identity.attributes.clear();
    identity.inputs = {q.inputs[0]};
  }
  PassOptions options;
  options.fold_quantized_weights = true;
  OCTET_RETURN_IF_ERROR(run_passes(twin, options).status());
  return twin;
}

namespace {

using Times = std::map<std::string, double>;

Result<Times> measure(const Graph& twin, int threads, double seconds) {
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
  Times times;
  const std::vector<std::vector<std::string>> names = executor->step_nodes();
  for (size_t i = 0; i < names.size() && i < best.size(); ++i)
    for (const std::string& name : names[i]) times[name] = best[i] * 1000;
  return times;
}

}  // namespace

Result<Times> float_times(const Graph& twin, int threads, double seconds, TimingCache& cache) {
  const std::string key = "float " + fingerprint(twin) + TimingCache::machine(threads, cpu::cpu_features());
  const auto place = [](size_t n) { return "node " + std::to_string(n); };
  bool complete = true;
  for (size_t n = 0; n < twin.nodes.size(); ++n) complete = complete && cache.find(key, place(n));
  if (!complete) {
    OCTET_ASSIGN(const Times times, measure(twin, threads, seconds));
    for (size_t n = 0; n < twin.nodes.size(); ++n) {
      const auto it = times.find(twin.nodes[n].name);
      cache.set(key, place(n), it == times.end() ? 0 : it->second);  // 0: no step of its own
    }
  }
  Times times;
  for (size_t n = 0; n < twin.nodes.size(); ++n) times[twin.nodes[n].name] = *cache.find(key, place(n));
  return times;
}

}  // namespace octet::engine
