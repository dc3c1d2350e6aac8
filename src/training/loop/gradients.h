// What becomes of gradients between backward() and the optimizer.
#pragma once

#include <vector>

#include "training/module.h"

namespace octet::training {

// The one place where gradients of several processes would be averaged; a single process leaves them alone.
class GradientReducer {
 public:
  virtual ~GradientReducer() = default;
  virtual Status reduce(const std::vector<NamedTensor>& parameters) = 0;
};

class SingleProcess : public GradientReducer {
 public:
  Status reduce(const std::vector<NamedTensor>&) override { return Status::ok(); }
};

// Scales all gradients by max_norm / norm when their joint 2-norm is larger; returns the norm before.
at::Tensor clip_gradients(const std::vector<NamedTensor>& parameters, double max_norm);

}  // namespace octet::training
