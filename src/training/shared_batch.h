// A batch that several processes share: each runs its part, and what depends on the whole batch is made the same
// everywhere.
#pragma once

#include <cstdint>
#include <functional>

#include "training/torch.h"

namespace octet::training {

struct SharedBatch {
  // Adds up a float64 tensor over all processes, in place; throws c10::Error. Empty: there is only this process.
  std::function<void(at::Tensor&)> sum;
  int64_t own = 1, all = 1;  // samples here and in the whole batch
  bool counts = true;        // false: the samples here only keep this process in step, and belong to nobody

  bool is_shared() const { return static_cast<bool>(sum); }
};

// Batch normalization of x [n, c, ...] with the statistics of the whole batch, as one process would compute it:
// forward needs one sum over the processes, backward another. Running statistics move as PyTorch's do, by `momentum`
// and with the unbiased variance. Gradients of weight and bias are those of the own samples. `batch` must outlive
// backward.
at::Tensor shared_batch_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                             const at::Tensor& running_mean, const at::Tensor& running_var, double momentum,
                             double epsilon, const SharedBatch& batch);

}  // namespace octet::training
