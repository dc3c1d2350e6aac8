#include "pipeline/image_runner.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "metrics/classification.h"

namespace octet {

int resolve_threads(int threads) {
  if (threads > 0) return threads;
#if defined(__linux__)
  // Not all that the machine has: taskset, containers and batch systems give a process some of them.
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (sched_getaffinity(0, sizeof(usable), &usable) == 0 && CPU_COUNT(&usable) > 0) return CPU_COUNT(&usable);
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

Status parallel_items(int64_t count, const RunOptions& options, const std::string& stage, int64_t units_per_item,
                      int64_t total_units, const std::function<Status(int worker, int64_t item)>& body) {
  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  Status first_error;
  int64_t first_failed = count;
  int64_t done = 0;
  auto fail = [&](int64_t item, Status status) {
    std::lock_guard lock(mutex);
    if (item < first_failed) {
      first_failed = item;
      first_error = std::move(status);
    }
    stop = true;
  };
  auto work = [&](int worker) {
    for (;;) {
      const int64_t item = next++;
      if (item >= count || stop) return;
      if (options.cancel != nullptr && *options.cancel) return fail(item, cancelled("interrupted"));
      Status status = Status::ok();
      try {
        status = body(worker, item);
      } catch (const std::bad_alloc&) {
        status = resource_limit("not enough memory");
      } catch (const std::exception& e) {
        status = internal_error(e.what());
      }
      if (!status.is_ok()) return fail(item, std::move(status));
      std::lock_guard lock(mutex);
      ++done;
      if (options.progress) options.progress(stage, std::min(total_units, done * units_per_item), total_units);
    }
  };
  const int threads =
      static_cast<int>(std::min<int64_t>(resolve_threads(options.threads), std::max<int64_t>(1, count)));
  std::vector<std::thread> workers;
  for (int w = 1; w < threads; ++w) workers.emplace_back(work, w);
  work(0);
  for (std::thread& t : workers) t.join();
  return first_error;
}

int64_t share_of(int64_t count, const Processes& processes) {
  return std::max<int64_t>(0, (count - processes.rank() + processes.size() - 1) / processes.size());
}

std::vector<InputInfo> network_inputs(const Graph& graph) {
  std::vector<InputInfo> infos;
  for (ValueId id : graph.inputs) {
    const Value& v = graph.value(id);
    InputInfo info{v.name, v.dtype, {}};
    if (v.shape)
      for (const Dim& d : *v.shape) info.dims.push_back(d.is_static() ? d.coefficient : -1);
    infos.push_back(std::move(info));
  }
  return infos;
}

std::vector<InputInfo> network_inputs(const Engine& engine) {
  std::vector<InputInfo> infos;
  for (const TensorDesc& input : engine.inputs()) infos.push_back({input.name, input.dtype, input.dims});
  return infos;
}

int64_t fixed_batch(const std::vector<InputInfo>& inputs) {
  for (const InputInfo& info : inputs)
    if (!info.dims.empty() && info.dims[0] > 0) return info.dims[0];
  return 0;
}

int64_t fixed_batch(const Graph& graph) { return fixed_batch(network_inputs(graph)); }

namespace {

class GraphNetwork : public Network {
 public:
  GraphNetwork(std::unique_ptr<Executor> executor, std::vector<InputInfo> inputs)
      : executor_(std::move(executor)), inputs_(std::move(inputs)) {}
  const std::vector<InputInfo>& inputs() const override { return inputs_; }
  Result<std::vector<Tensor>> run(int, const std::vector<Tensor>& inputs) override { return executor_->run(inputs); }

 private:
  std::unique_ptr<Executor> executor_;
  std::vector<InputInfo> inputs_;
};

class EngineNetwork : public Network {
 public:
  EngineNetwork(std::shared_ptr<const Engine> engine, int workers)
      : engine_(std::move(engine)), inputs_(network_inputs(*engine_)), sessions_(static_cast<size_t>(workers)) {}
  const std::vector<InputInfo>& inputs() const override { return inputs_; }
  Result<std::vector<Tensor>> run(int worker, const std::vector<Tensor>& inputs) override {
    std::unique_ptr<Session>& session = sessions_[static_cast<size_t>(worker)];
    if (session == nullptr) {
      OCTET_ASSIGN(session, Session::create(engine_, {.threads = 1}));
    }
    return session->run(inputs);
  }

 private:
  std::shared_ptr<const Engine> engine_;
  std::vector<InputInfo> inputs_;
  std::vector<std::unique_ptr<Session>> sessions_;  // each touched by its own worker only
};

}  // namespace

Result<std::unique_ptr<Network>> Network::create(const Graph& graph) {
  OCTET_ASSIGN(std::unique_ptr<Executor> executor, Executor::create(graph));
  return std::unique_ptr<Network>(std::make_unique<GraphNetwork>(std::move(executor), network_inputs(graph)));
}

Result<std::unique_ptr<Network>> Network::create(std::shared_ptr<const Engine> engine, int workers) {
  return std::unique_ptr<Network>(std::make_unique<EngineNetwork>(std::move(engine), workers));
}

Result<Batch> load_batch(const Graph& graph, const Dataset& data, const std::vector<int64_t>& images, int64_t batch) {
  return load_batch(graph.inputs.size(), data, images, batch);
}

Result<Batch> load_batch(size_t network_inputs, const Dataset& data, const std::vector<int64_t>& images,
                         int64_t batch) {
  Batch out;
  for (size_t n = 0; n < images.size(); ++n) {
    OCTET_ASSIGN(Sample sample, data.get(images[n]));
    if (sample.inputs.size() != network_inputs)
      return invalid_argument("the network has " + std::to_string(network_inputs) + " inputs, the data provides " +
                              std::to_string(sample.inputs.size()));
    for (size_t i = 0; i < sample.inputs.size(); ++i) {
      const Tensor& x = sample.inputs[i];
      if (n == 0) {
        Dims dims = x.dims();
        dims.insert(dims.begin(), batch);
        OCTET_ASSIGN(Tensor stacked, Tensor::create(x.dtype(), dims));
        out.inputs.push_back(std::move(stacked));
      }
      Tensor& stacked = out.inputs[i];
      if (x.dtype() != stacked.dtype() || x.numel() * batch != stacked.numel())
        return invalid_argument("sample " + sample.name + " has shape " + dims_to_string(x.dims()) +
                                ", unlike the first of its batch");
      const auto bytes = static_cast<size_t>(x.nbytes());
      auto* to = static_cast<char*>(stacked.raw());
      std::memcpy(to + n * bytes, x.raw(), bytes);
      if (n + 1 == images.size())
        for (auto rest = static_cast<int64_t>(n) + 1; rest < batch; ++rest)
          std::memcpy(to + static_cast<size_t>(rest) * bytes, x.raw(), bytes);
    }
    sample.inputs.clear();
    out.samples.push_back(std::move(sample));
  }
  return out;
}

std::vector<int64_t> arg_max_rows(const Tensor& scores, int64_t images) {
  std::vector<int64_t> best(static_cast<size_t>(images), 0);
  if (scores.dtype() != DType::kFloat32 || scores.rank() < 1 || scores.dim(0) < images || scores.numel() == 0)
    return best;
  const int64_t row = scores.numel() / scores.dim(0);
  for (int64_t n = 0; n < images; ++n) {
    best[static_cast<size_t>(n)] = top_k(scores.data<float>() + n * row, row, 1)[0];
  }
  return best;
}

}  // namespace octet
