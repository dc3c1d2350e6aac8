// octet_sensitivity_speed: what it saves to compute only what depends on a changed layer.
//
//   octet_sensitivity_speed NET.onnx [--images N] [--every K] [--threads T]
//
// One sweep over all layers, each quantized alone, against evaluations of whole networks, of which every K-th is
// really timed and the others are taken alike: simulated as 'octet eval --simulate' does, and in the engine's
// integers as 'octet eval' does. The outputs of those are compared bit by bit. Images are noise in memory, so reading
// them costs nothing on either side.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <random>

#include "octet/onnx.h"
#include "pipeline/image_runner.h"
#include "search/sweep.h"
#include "search/units.h"

namespace octet {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

class Noise : public Dataset {
 public:
  Noise(const Graph& graph, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      std::mt19937 random(static_cast<unsigned>(i + 1));
      std::normal_distribution<float> normal;
      Sample s;
      for (const InputInfo& info : network_inputs(graph)) {
        Tensor x(DType::kFloat32, Dims(info.dims.begin() + 1, info.dims.end()));
        std::generate_n(x.data<float>(), x.numel(), [&] { return normal(random); });
        s.inputs.push_back(x);
      }
      samples_.push_back(std::move(s));
    }
  }
  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  Result<Sample> get(int64_t index) const override { return samples_[static_cast<size_t>(index)]; }
  std::string describe() const override { return "noise"; }

 private:
  std::vector<Sample> samples_;
};

struct Options {
  std::string model;
  int64_t images = 8;
  size_t every = 6;
  int threads = 0;
};

bool same_outputs(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_bits);
}

Status run(const Options& o) {
  OCTET_ASSIGN(const Graph graph, load_onnx(o.model));
  const Noise data(graph, o.images);
  QuantizationOptions options;
  options.regime = Regime::kHybrid;
  const SelectiveQuantizer quantizer(options);
  QuantizeJob job;
  job.calibration = &data;
  job.images = std::min<int64_t>(8, o.images);
  job.run.threads = o.threads;
  OCTET_ASSIGN(const QuantizeResult q, quantize_network(graph, quantizer, job));
  const std::vector<DecisionUnit> units = decision_units(q.prepared, q.plan);
  std::vector<Graph> graphs;
  for (const DecisionUnit& unit : units) {
    OCTET_ASSIGN(Graph only, quantizer.quantize_module(q.prepared, plan_of_unit(q.plan, unit)));
    graphs.push_back(std::move(only));
  }
  auto begin = Clock::now();
  OCTET_ASSIGN(std::unique_ptr<BaseNetwork> made, BaseNetwork::create(q.prepared));
  const std::shared_ptr<const BaseNetwork> base = std::move(made);
  std::vector<std::unique_ptr<Variant>> variants;
  for (const DecisionUnit& unit : units) {
    OCTET_ASSIGN(std::unique_ptr<Variant> v, Variant::of_unit(base, quantizer, q.plan, unit));
    variants.push_back(std::move(v));
  }
  const double preparing = seconds_since(begin);
  begin = Clock::now();
  SweepOptions sweep_options;
  sweep_options.run.threads = o.threads;
  sweep_options.similarity = true;
  OCTET_RETURN_IF_ERROR(
      sweep(q.prepared, *base, variants, data, deterministic_subset(o.images, o.images, 0), sweep_options).status());
  const double sweeping = seconds_since(begin);
  double simulated = 0, integers = 0;
  int64_t timed = 0, equal = 0;
  OCTET_ASSIGN(const Batch batch, load_batch(q.prepared, data, {0}, std::max<int64_t>(1, fixed_batch(q.prepared))));
  OCTET_ASSIGN(const RunValues values, base->run(batch.inputs));
  for (size_t u = o.every / 2; u < units.size(); u += o.every) {
    EvalOptions eval;
    eval.run.threads = o.threads;
    eval.batch_size = 1;
    eval.simulate = true;
    begin = Clock::now();
    OCTET_RETURN_IF_ERROR(evaluate(graphs[u], data, eval).status());
    simulated += seconds_since(begin);
    eval.simulate = false;
    begin = Clock::now();
    OCTET_RETURN_IF_ERROR(evaluate(graphs[u], data, eval).status());
    integers += seconds_since(begin);
    OCTET_ASSIGN(const std::unique_ptr<Executor> whole, Executor::create(graphs[u]));
    OCTET_ASSIGN(const std::vector<Tensor> expected, whole->run(batch.inputs));
    OCTET_ASSIGN(const std::vector<Tensor> again, variants[u]->run(values));
    equal += same_outputs(expected, again) ? 1 : 0;
    ++timed;
  }
  if (timed == 0) return invalid_argument("--every is larger than the number of layers");
  const double scale = static_cast<double>(units.size()) / static_cast<double>(timed);
  fmt::print("{} layers, {} images, {} threads\n", units.size(), o.images, resolve_threads(o.threads));
  fmt::print("sweep: {:.2f} s to prepare, {:.2f} s to run\n", preparing, sweeping);
  fmt::print(
      "whole networks ({} of {} timed): {:.2f} s simulated ({:.2f} times the sweep), {:.2f} s in integers "
      "({:.2f} times)\n",
      timed, units.size(), simulated * scale, simulated * scale / (preparing + sweeping), integers * scale,
      integers * scale / (preparing + sweeping));
  fmt::print("outputs equal bit for bit: {} of {}\n", equal, timed);
  return Status::ok();
}

}  // namespace
}  // namespace octet

int main(int argc, char** argv) {
  octet::Options o;
  CLI::App app{"What a sweep over layers saves."};
  app.add_option("NET", o.model)->required();
  app.add_option("--images", o.images)->check(CLI::Range(1, 100000));
  app.add_option("--every", o.every)->check(CLI::PositiveNumber);
  app.add_option("--threads", o.threads);
  CLI11_PARSE(app, argc, argv);
  const octet::Status status = octet::run(o);
  if (!status.is_ok()) fmt::print(stderr, "{}\n", status.message());
  return status.is_ok() ? 0 : 1;
}
