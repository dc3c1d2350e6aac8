#include "engine/runtime/island.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "engine/runtime/step.h"
#include "executor/executor.h"

namespace octet::engine {
namespace {

// Nodes whose work is worth sharing between threads; all others take less time than it takes to wake a thread.
bool is_heavy(const Node& node) {
  for (const char* type : {"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "LSTM", "GRU"})
    if (node.is(type)) return true;
  return false;
}

// Image by image, so that an image's result does not depend on its neighbours. The images of a light island are the
// tasks; a heavy one shares the work of one image after the other.
class IslandStep final : public Step {
 public:
  IslandStep(const IslandOp& op, std::shared_ptr<const Executor> executor, bool heavy)
      : op_(op), executor_(std::move(executor)), heavy_(heavy) {}

  void resize(const Binding& binding) override {
    batch_ = binding.batch;
    tasks_ = heavy_ ? 1 : batch_;
  }

  void bind(const Binding& binding) override { binding_ = binding; }

  void run(int64_t task, uint8_t*) override {
    try {
      const int64_t end = heavy_ ? batch_ : task + 1;
      for (int64_t image = task; image < end; ++image) keep(run_image(image));
    } catch (const std::bad_alloc&) {
      keep(resource_limit("not enough memory"));
    } catch (const std::exception& error) {
      keep(internal_error(error.what()));
    }
  }

  Status finish() override {
    Status status = std::move(status_);
    status_ = Status::ok();
    return status;
  }

 private:
  void keep(Status status) {
    if (status.is_ok()) return;
    std::lock_guard lock(mutex_);
    if (status_.is_ok()) status_ = std::move(status);
  }

  uint8_t* image_of(TensorId id, int64_t image) const {
    return binding_.base(id) + image * tensor_bytes(binding_.tensor(id));
  }

  Status run_image(int64_t image) {
    std::vector<Tensor> inputs;
    for (TensorId id : op_.inputs) {
      const TensorInfo& t = binding_.tensor(id);
      inputs.emplace_back(t.dtype, t.dims, image_of(id, image), nullptr);  // without owner: never overwritten
    }
    OCTET_ASSIGN(const std::vector<Tensor> outputs, executor_->run(inputs));
    if (outputs.size() != op_.outputs.size()) return internal_error("an island has the wrong number of results");
    for (size_t i = 0; i < outputs.size(); ++i) {
      const TensorInfo& t = binding_.tensor(op_.outputs[i]);
      const Tensor& made = outputs[i];
      if (made.dtype() != t.dtype || made.dims() != t.dims)
        return data_corrupt("the result '" + t.name + "' became " + dtype_name(made.dtype()) + " " +
                            dims_to_string(made.dims()) + " instead of " + dtype_name(t.dtype) + " " +
                            dims_to_string(t.dims));
      std::memcpy(image_of(op_.outputs[i], image), made.raw(), static_cast<size_t>(made.nbytes()));
    }
    return Status::ok();
  }

  const IslandOp& op_;
  std::shared_ptr<const Executor> executor_;
  bool heavy_;
  int64_t batch_ = 1;
  Binding binding_;
  std::mutex mutex_;
  Status status_;
};

}  // namespace

IslandRunners::IslandRunners() = default;
IslandRunners::~IslandRunners() = default;

Result<std::shared_ptr<const Executor>> IslandRunners::get(const IslandOp& island, int threads) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<const Executor>& executor = executors_[{&island, threads}];
  if (executor == nullptr) {
    ExecutorOptions options;
    options.threads = threads;
    OCTET_ASSIGN(executor, Executor::create(island.graph, options));
  }
  return executor;
}

Result<std::unique_ptr<Step>> make_island_step(const IslandOp& op, int threads, IslandRunners& islands) {
  const bool heavy = std::any_of(op.graph.nodes.begin(), op.graph.nodes.end(), is_heavy);
  OCTET_ASSIGN(std::shared_ptr<const Executor> executor, islands.get(op, heavy ? threads : 1));
  return std::unique_ptr<Step>(std::make_unique<IslandStep>(op, std::move(executor), heavy));
}

}  // namespace octet::engine
