#include <algorithm>
#include <chrono>

#include "engine/compiler/compile.h"
#include "pipeline/image_runner.h"
#include "pipeline/image_scores.h"

namespace octet {
namespace {

class Evaluation {
 public:
  Evaluation(Network& network, const Dataset& data, const EvalOptions& options)
      : network_(network),
        fixed_(fixed_batch(network.inputs())),
        data_(data),
        options_(options),
        count_(options.max_images > 0 ? std::min(options.max_images, data.size()) : data.size()),
        batch_(fixed_ > 0 ? fixed_ : options.batch_size),
        scores_(data, options.detection, count_, resolve_threads(options.run.threads)) {}

  Result<EvalReport> run() {
    const auto begin = std::chrono::steady_clock::now();
    const int64_t groups = (count_ + batch_ - 1) / batch_;
    Processes alone;
    Processes& processes = options_.run.processes != nullptr ? *options_.run.processes : alone;
    const int n = processes.size(), rank = processes.rank();
    const int64_t own = share_of(groups, processes);
    OCTET_RETURN_IF_ERROR(processes.agree(
        parallel_items(own, options_.run, "evaluating", batch_, n == 1 ? count_ : own * batch_,
                       [&](int worker, int64_t turn) { return run_group(worker, turn * n + rank); })));
    if (n > 1) OCTET_RETURN_IF_ERROR(scores_.exchange(processes, batch_));
    OCTET_ASSIGN(EvalReport report, scores_.report());
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report;
  }

 private:
  Status run_group(int worker, int64_t item) {
    const int64_t first = item * batch_, last = std::min(count_, first + batch_);
    std::vector<int64_t> images;
    for (int64_t i = first; i < last; ++i) images.push_back(i);
    const int64_t rows = fixed_ > 0 ? batch_ : last - first;
    OCTET_ASSIGN(const Batch batch, load_batch(network_.inputs().size(), data_, images, rows));
    OCTET_ASSIGN(const std::vector<Tensor> outputs, network_.run(worker, batch.inputs));
    if (outputs.empty()) return invalid_argument("the network has no output");
    scores_.count_nonfinite(batch.inputs, outputs[0], last - first);
    return scores_.add(worker, batch.samples, outputs, first);
  }

  Network& network_;
  const int64_t fixed_;
  const Dataset& data_;
  const EvalOptions& options_;
  const int64_t count_, batch_;
  ImageScores scores_;
};

bool is_quantized(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return node.is("QuantizeLinear") || node.is("QLinearConv") || node.is("QLinearMatMul");
  });
}

// Null when the network is not for the engine.
std::shared_ptr<const Engine> integer_engine(const Graph& graph) {
  engine::CompileOptions options;
  options.timing = false;
  Result<engine::Program> program = engine::compile(graph, options);
  if (!program.is_ok()) return nullptr;
  Result<std::shared_ptr<const Engine>> engine = Engine::from_program(std::move(*program));
  return engine.is_ok() ? *engine : nullptr;
}

}  // namespace

Result<EvalReport> evaluate(const Graph& graph, const Dataset& data, const EvalOptions& options) {
  const bool quantized = is_quantized(graph);
  if (quantized && !options.simulate)
    if (std::shared_ptr<const Engine> engine = integer_engine(graph))
      return evaluate(std::move(engine), data, options);
  OCTET_ASSIGN(const std::unique_ptr<Network> network, Network::create(graph));
  OCTET_ASSIGN(EvalReport report, Evaluation(*network, data, options).run());
  report.arithmetic = quantized ? "simulated" : "float";
  return report;
}

Result<EvalReport> evaluate(std::shared_ptr<const Engine> engine, const Dataset& data, const EvalOptions& options) {
  OCTET_ASSIGN(const std::unique_ptr<Network> network,
               Network::create(std::move(engine), resolve_threads(options.run.threads)));
  OCTET_ASSIGN(EvalReport report, Evaluation(*network, data, options).run());
  report.arithmetic = "integer";
  return report;
}

}  // namespace octet
