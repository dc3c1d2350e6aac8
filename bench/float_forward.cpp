// octet_float_forward: how long the float executor takes, without anything around it.
//
//   octet_float_forward NET.onnx --data npy:x.npy [--images N] [--threads T]    what calibration pays for its passes
//   octet_float_forward NET.onnx --batch 8 --threads 2 --repeat 50 [--size 224]  one caller, all threads on one batch
//   octet_float_forward NET.onnx --batch 8 --threads 2 --step [--size 224]       the same, a run per line of stdin
//
// Prints one JSON document, or with --step a line per run: wall milliseconds and CPU milliseconds of all threads.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <iostream>
#include <random>

#include "executor/executor.h"
#include "octet/onnx.h"
#include "passes/pass.h"
#include "pipeline/image_runner.h"

namespace octet {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

struct Options {
  std::string model, data;
  int64_t images = 0, batch = 8, size = 224;
  int threads = 0, repeat = 30, warmup = 3;
  bool step = false;
};

// As calibrate.cpp does it: every worker thread takes one image at a time and runs it alone.
Status run_images(const Options& o, const Graph& graph) {
  OCTET_ASSIGN(const std::unique_ptr<Executor> executor, Executor::create(graph));
  OCTET_ASSIGN(const DataSpec spec, load_data_spec(o.data));
  OCTET_ASSIGN(const std::unique_ptr<Dataset> data, open_dataset(spec, network_inputs(graph)));
  const int64_t group = std::max<int64_t>(1, fixed_batch(graph));
  const int64_t groups = (o.images > 0 ? std::min(o.images, data->size()) : data->size()) / group;
  RunOptions run;
  run.threads = o.threads;
  const std::clock_t cpu = std::clock();
  const auto begin = Clock::now();
  OCTET_RETURN_IF_ERROR(
      parallel_items(groups, run, "running", group, groups * group, [&](int, int64_t item) -> Status {
        std::vector<int64_t> members;
        for (int64_t i = item * group; i < (item + 1) * group; ++i) members.push_back(i);
        OCTET_ASSIGN(const Batch batch, load_batch(graph, *data, members, group));
        return executor->run(batch.inputs).status();
      }));
  const double seconds = seconds_since(begin);
  const double cpu_seconds = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  fmt::print(
      "{{\"images\": {}, \"threads\": {}, \"seconds\": {:.6f}, \"cpu_seconds\": {:.6f}, "
      "\"images_per_second\": {:.3f}}}\n",
      groups * group, resolve_threads(o.threads), seconds, cpu_seconds,
      static_cast<double>(groups * group) / seconds);
  return Status::ok();
}

// Normal noise of the shape that the network takes; its open dimensions become `batch` in front and `size` behind.
Result<std::vector<Tensor>> noise_inputs(const Graph& graph, int64_t batch, int64_t size) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<Tensor> inputs;
  for (const InputInfo& info : network_inputs(graph)) {
    if (info.dtype != DType::kFloat32) return unsupported("input '" + info.name + "' is not float32");
    Dims dims = info.dims;
    for (size_t i = 0; i < dims.size(); ++i)
      if (dims[i] < 0) dims[i] = i == 0 ? batch : size;
    OCTET_ASSIGN(Tensor x, Tensor::create(DType::kFloat32, dims));
    std::generate_n(x.data<float>(), x.numel(), [&] { return normal(random); });
    inputs.push_back(std::move(x));
  }
  return inputs;
}

struct RunTime {
  double wall_ms = 0, cpu_ms = 0;  // cpu: all threads together
};

Result<RunTime> time_one_run(const Executor& executor, const std::vector<Tensor>& inputs) {
  const std::clock_t cpu = std::clock();
  const auto begin = Clock::now();
  OCTET_RETURN_IF_ERROR(executor.run(inputs).status());
  return RunTime{seconds_since(begin) * 1e3, static_cast<double>(std::clock() - cpu) * 1e3 / CLOCKS_PER_SEC};
}

Status run_steps(const Executor& executor, const std::vector<Tensor>& inputs) {
  fmt::print("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    OCTET_ASSIGN(const RunTime time, time_one_run(executor, inputs));
    fmt::print("{:.4f} {:.4f}\n", time.wall_ms, time.cpu_ms);
    std::fflush(stdout);
  }
  return Status::ok();
}

Status run_batch(const Options& o, const Graph& graph) {
  ExecutorOptions options;
  options.threads = resolve_threads(o.threads);
  OCTET_ASSIGN(const std::unique_ptr<Executor> executor, Executor::create(graph, options));
  OCTET_ASSIGN(const std::vector<Tensor> inputs, noise_inputs(graph, o.batch, o.size));
  for (int i = 0; i < o.warmup; ++i) OCTET_RETURN_IF_ERROR(executor->run(inputs).status());
  if (o.step) return run_steps(*executor, inputs);
  std::vector<double> ms;
  for (int i = 0; i < o.repeat; ++i) {
    OCTET_ASSIGN(const RunTime time, time_one_run(*executor, inputs));
    ms.push_back(time.wall_ms);
  }
  std::sort(ms.begin(), ms.end());
  const size_t n = ms.size();
  const double median = n % 2 == 1 ? ms[n / 2] : (ms[n / 2 - 1] + ms[n / 2]) / 2;
  const auto p99 = static_cast<size_t>(std::ceil(0.99 * static_cast<double>(n))) - 1;
  fmt::print(
      "{{\"batch\": {}, \"threads\": {}, \"repeat\": {}, \"min_ms\": {:.4f}, \"median_ms\": {:.4f}, \"p99_ms\": "
      "{:.4f}, "
      "\"images_per_second\": {:.3f}}}\n",
      inputs[0].dim(0), options.threads, n, ms.front(), median, ms[p99],
      static_cast<double>(inputs[0].dim(0)) / median * 1e3);
  return Status::ok();
}

// With the passes that quantization runs before it calibrates.
Status run(const Options& o) {
  OCTET_ASSIGN(Graph graph, load_onnx(o.model));
  OCTET_RETURN_IF_ERROR(run_passes(graph).status());
  return o.data.empty() ? run_batch(o, graph) : run_images(o, graph);
}

}  // namespace
}  // namespace octet

int main(int argc, char** argv) {
  CLI::App app{"Times Octet's float executor."};
  octet::Options o;
  app.add_option("MODEL", o.model, "ONNX file")->required();
  app.add_option("--data", o.data, "run these images one by one on worker threads, as calibration does");
  app.add_option("--images", o.images, "with --data: the first N images; 0: all")->check(CLI::NonNegativeNumber);
  app.add_option("--batch", o.batch, "without --data: images in one run")->check(CLI::PositiveNumber);
  app.add_option("--size", o.size, "without --data: what open dimensions behind the first become")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", o.threads, "0: one per core")->check(CLI::Range(0, 1024));
  app.add_option("--repeat", o.repeat, "timed runs")->check(CLI::PositiveNumber);
  app.add_option("--warmup", o.warmup, "runs before them")->check(CLI::NonNegativeNumber);
  app.add_flag("--step", o.step, "run once per line of stdin and print its wall and CPU milliseconds");
  CLI11_PARSE(app, argc, argv);
  const octet::Status status = octet::run(o);
  if (status.is_ok()) return 0;
  fmt::print(stderr, "octet_float_forward: {}\n", status.message());
  return 1;
}
