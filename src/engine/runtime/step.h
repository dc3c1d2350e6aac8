// An operation of a program, ready to run for the batch that a session has now.
#pragma once

#include <memory>
#include <vector>

#include "engine/program.h"
#include "engine/runtime/island.h"

namespace octet::engine {

// Where the tensors lie for one run. bases: the first byte of every tensor, views resolved.
struct Binding {
  const Program* program = nullptr;
  int64_t batch = 1;
  int threads = 1;
  const std::vector<uint8_t*>* bases = nullptr;

  const TensorInfo& tensor(TensorId id) const { return program->tensors[static_cast<size_t>(id)]; }
  uint8_t* base(TensorId id) const { return (*bases)[static_cast<size_t>(id)]; }
};

class Step {
 public:
  virtual ~Step() = default;
  // Sizes for the batch, and the number of tasks. No allocation.
  virtual void resize(const Binding& binding) = 0;
  // Pointers for the next run. No allocation.
  virtual void bind(const Binding& binding) = 0;
  // One of tasks(), on any thread. scratch: this worker's, scratch_bytes() long.
  virtual void run(int64_t task, uint8_t* scratch) = 0;
  // After the last task of a run; only islands can fail.
  virtual Status finish() { return Status::ok(); }
  virtual int64_t scratch_bytes() const { return 0; }

  int64_t tasks() const { return tasks_; }

 protected:
  int64_t tasks_ = 1;
};

// `program` and `islands` outlive the step.
Result<std::unique_ptr<Step>> make_step(const Program& program, size_t operation, int threads,
                                        IslandRunners& islands);

}  // namespace octet::engine
