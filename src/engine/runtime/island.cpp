#include "engine/runtime/island.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "engine/runtime/step.h"
#include "executor/executor.h"
#include "tensor/buffer_pool.h"

namespace octet::engine {
namespace {

// Nodes whose work is worth sharing between threads; all others take less time than it takes to wake a thread.
bool is_heavy(const Node& node) {
  for (const char* type : {"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "LSTM", "GRU"})
    if (node.is(type)) return true;
  return false;
}

// The whole batch at once: nodes may look at all images (a Softmax along the batch, Shape of a tensor).
class IslandStep final : public Step {
 public:
  IslandStep(const IslandOp& op, std::shared_ptr<const Executor> executor)
      : op_(op), executor_(std::move(executor)) {}

  void resize(const Binding& binding) override {
    // Another batch needs other sizes: what lies in the pool would stay unused.
    if (binding.batch != batch_) pool_ = std::make_shared<BufferPool>();
    batch_ = binding.batch;
    tasks_ = 1;
  }

  void bind(const Binding& binding) override { binding_ = binding; }

  void run(int64_t, uint8_t*) override {
    const PoolScope scope(pool_);  // what operators make goes where that of the last run was
    try {
      status_ = run_batch();
    } catch (const std::bad_alloc&) {
      status_ = resource_limit("not enough memory");
    } catch (const std::exception& error) {
      status_ = internal_error(error.what());
    }
  }

  Status finish() override {
    Status status = std::move(status_);
    status_ = Status::ok();
    return status;
  }

 private:
  Dims dims_of(const TensorInfo& tensor) const {
    Dims dims = tensor.dims;
    if (!dims.empty()) dims[0] *= batch_;
    return dims;
  }

  Status run_batch() {
    std::vector<Tensor> inputs;
    for (TensorId id : op_.inputs) {
      const TensorInfo& t = binding_.tensor(id);
      inputs.emplace_back(t.dtype, dims_of(t), binding_.base(id), nullptr);  // without owner: never overwritten
    }
    OCTET_ASSIGN(const std::vector<Tensor> outputs, executor_->run(inputs));
    if (outputs.size() != op_.outputs.size()) return internal_error("an island has the wrong number of results");
    for (size_t i = 0; i < outputs.size(); ++i) {
      const TensorInfo& t = binding_.tensor(op_.outputs[i]);
      const Tensor& made = outputs[i];
      if (made.dtype() != t.dtype || made.dims() != dims_of(t))
        return data_corrupt("the result '" + t.name + "' became " + dtype_name(made.dtype()) + " " +
                            dims_to_string(made.dims()) + " instead of " + dtype_name(t.dtype) + " " +
                            dims_to_string(dims_of(t)));
      std::memcpy(binding_.base(op_.outputs[i]), made.raw(), static_cast<size_t>(made.nbytes()));
    }
    return Status::ok();
  }

  const IslandOp& op_;
  std::shared_ptr<const Executor> executor_;
  std::shared_ptr<BufferPool> pool_ = std::make_shared<BufferPool>();
  int64_t batch_ = 1;
  Binding binding_;
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
  return std::unique_ptr<Step>(std::make_unique<IslandStep>(op, std::move(executor)));
}

}  // namespace octet::engine
