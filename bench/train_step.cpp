// What a step of quantization-aware training costs against a step of float training: forward, backward and a plain
// SGD update, in turns in one process, on random data.
//
//   octet_train_step NETWORK.onnx [--batch 32] [--steps 20] [--device cpu|cuda:0] [--threads N]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>

#include "octet/onnx.h"
#include "passes/pass.h"
#include "training/module.h"

namespace octet::training {
namespace {

struct Arguments {
  std::string network;
  std::string device = "cpu";
  int64_t batch = 32;
  int steps = 20;
  int threads = 0;
};

std::vector<at::Tensor> random_inputs(const Graph& graph, const Arguments& a, at::Device device) {
  std::vector<at::Tensor> inputs;
  for (ValueId id : graph.inputs) {
    std::vector<int64_t> dims = {a.batch};
    const Shape& shape = *graph.value(id).shape;
    for (size_t d = 1; d < shape.size(); ++d) dims.push_back(std::max<int64_t>(1, shape[d].coefficient));
    inputs.push_back(at::randn(dims).to(device));
  }
  return inputs;
}

// A plan from one batch of random data, calibrated as PTQ does.
Result<QuantizationPlan> plan_of(const Graph& graph, const Arguments& a) {
  QuantizationOptions options;
  options.target = "octet";
  options.regime = Regime::kNaive;
  const SelectiveQuantizer quantizer(options);
  OCTET_ASSIGN(const QuantizationPlan decisions, quantizer.prepare(graph));
  OCTET_ASSIGN(auto module, TrainableModule::create(graph));
  const std::vector<std::string> names = decisions.tensors_to_observe();
  OCTET_RETURN_IF_ERROR(module->keep(names));
  const at::NoGradGuard guard;
  OCTET_RETURN_IF_ERROR(module->forward(random_inputs(graph, a, at::kCPU)).status());
  std::map<std::string, TensorStatistics> statistics;
  for (const std::string& name : names) {
    OCTET_ASSIGN(const Tensor value, from_torch(module->kept(name)));
    statistics[name].add(value.data<float>(), value.numel());
  }
  OCTET_ASSIGN(const Ranges ranges, quantizer.calibrate(graph, decisions, statistics));
  return quantizer.finish(graph, ranges);
}

Result<double> step(TrainableModule& module, const std::vector<at::Tensor>& inputs) {
  const auto start = std::chrono::steady_clock::now();
  module.zero_grad();
  OCTET_ASSIGN(const std::vector<at::Tensor> outputs, module.forward(inputs));
  at::Tensor loss = outputs[0].square().mean();
  loss.backward();
  {
    const at::NoGradGuard guard;
    std::vector<at::Tensor> weights, gradients;
    for (const NamedTensor& p : module.parameters())
      if (p.tensor.grad().defined()) weights.push_back(p.tensor), gradients.push_back(p.tensor.grad());
    at::_foreach_add_(weights, gradients, -1e-6);
  }
  module.after_step();
  (void)loss.item<float>();  // waits for a GPU
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

Status run(const Arguments& a) {
  if (a.threads > 0) at::set_num_threads(a.threads);
  at::globalContext().setAllowTF32CuBLAS(true);
  at::globalContext().setAllowTF32CuDNN(true);
  OCTET_ASSIGN(Graph graph, load_onnx(a.network));
  OCTET_RETURN_IF_ERROR(run_passes(graph).status());
  OCTET_ASSIGN(const QuantizationPlan plan, plan_of(graph, a));
  const at::Device device(a.device);
  const std::vector<at::Tensor> inputs = random_inputs(graph, a, device);
  std::vector<std::pair<std::string, std::unique_ptr<TrainableModule>>> modules;
  for (const char* kind : {"float", "fixed", "lsq"}) {
    TrainableOptions options;
    options.activation_ranges = options.weight_ranges =
        std::string(kind) == "lsq" ? RangeLearning::kLsq : RangeLearning::kFixed;
    auto module = std::string(kind) == "float" ? TrainableModule::create(graph, options)
                                               : TrainableModule::create(graph, plan, options);
    if (!module.is_ok()) return module.status();
    OCTET_RETURN_IF_ERROR((*module)->to(device));
    OCTET_RETURN_IF_ERROR((*module)->channels_last());
    (*module)->train();
    modules.emplace_back(kind, std::move(*module));
  }
  std::map<std::string, std::vector<double>> times;
  for (int i = -3; i < a.steps; ++i)
    for (auto& [kind, module] : modules) {
      OCTET_ASSIGN(const double ms, step(*module, inputs));
      if (i >= 0) times[kind].push_back(ms);
    }
  for (auto& [kind, ms] : times) std::sort(ms.begin(), ms.end());
  const auto median = [&](const std::string& kind) { return times[kind][times[kind].size() / 2]; };
  for (const auto& [kind, module] : modules)
    fmt::print("{:6} median {:9.2f} ms  min {:9.2f} ms  ratio of medians {:.3f}  of minima {:.3f}\n", kind,
               median(kind), times[kind][0], median(kind) / median("float"), times[kind][0] / times["float"][0]);
  return Status::ok();
}

}  // namespace
}  // namespace octet::training

int main(int argc, char** argv) {
  CLI::App app("Times float and quantization-aware training steps in turns");
  octet::training::Arguments a;
  app.add_option("network", a.network)->required();
  app.add_option("--batch", a.batch);
  app.add_option("--steps", a.steps);
  app.add_option("--device", a.device);
  app.add_option("--threads", a.threads);
  CLI11_PARSE(app, argc, argv);
  const octet::Status status = octet::training::run(a);
  if (!status.is_ok()) fmt::print(stderr, "octet_train_step: {}\n", status.message());
  return status.is_ok() ? 0 : 1;
}
