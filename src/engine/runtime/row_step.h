// Steps that are calls of pixel_ops.h or row_ops.h: independent rows that threads share evenly.
#pragma once

#include <algorithm>
#include <memory>

#include "engine/runtime/step.h"

namespace octet::engine {

// Below this many bytes read and written, sharing costs more than it saves: waking and finishing takes a few
// microseconds, in which one core moves some 30 KB.
constexpr int64_t kBytesOfTask = int64_t{16} << 10;
constexpr int64_t kTasksPerThread = 4;  // so that a thread that loses its core for a while holds up little

inline int64_t task_count(int64_t rows, int64_t bytes, int threads) {
  if (threads == 1) return 1;
  return std::clamp<int64_t>(bytes / kBytesOfTask, 1, std::min(rows, threads * kTasksPerThread));
}

class RowStep : public Step {
 public:
  void run(int64_t task, uint8_t*) override { run_rows(rows_ * task / tasks_, rows_ * (task + 1) / tasks_); }

 protected:
  virtual void run_rows(int64_t begin, int64_t end) = 0;
  void share(int64_t rows, int64_t bytes, int threads) {
    rows_ = rows;
    tasks_ = task_count(rows, bytes, threads);
  }

  int64_t rows_ = 1;
};

std::unique_ptr<Step> make_softmax_step(const Program& program, const SoftmaxOp& op);
std::unique_ptr<Step> make_layer_norm_step(const Program& program, const LayerNormOp& op);
std::unique_ptr<Step> make_transpose_step(const Program& program, const TransposeOp& op);
std::unique_ptr<Step> make_matmul_step(const Program& program, const MatMulOp& op);

}  // namespace octet::engine
