// SGD, Adam and AdamW with PyTorch's arithmetic, and a state that can be saved.
#pragma once

#include <cstdint>
#include <vector>

#include "octet/training_recipe.h"
#include "training/module.h"

namespace octet::training {

struct OptimizerGroup {
  std::vector<NamedTensor> parameters;
  double weight_decay = 0;
  double lr_ratio = 1;  // of the learning rate that step() is given
  double unit = 1;      // what is trained is unit * p; gradients are with respect to that (input_units.h)
};

class Optimizer {
 public:
  Optimizer(const OptimizerOptions& options, std::vector<OptimizerGroup> groups);

  // One step along the parameters' gradients; those without one stay. For a unit of 1:
  //   SGD    g += wd p;  v = momentum v + g (v = g at first);  p -= lr (nesterov ? g + momentum v : v)
  //   Adam   g += wd p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
  //          p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
  //   AdamW  the same, with p -= lr wd p instead of g += wd p
  void step(double lr);

  // Momenta by parameter name, and the number of steps.
  std::vector<NamedTensor> state() const;
  Status load_state(const std::vector<NamedTensor>& state, int64_t steps);
  int64_t steps() const { return steps_; }

 private:
  struct Slot {
    at::Tensor parameter, first, second;  // momentum; Adam's two moments
    std::string name;
  };
  void step_sgd(const OptimizerGroup& group, const std::vector<Slot*>& slots, double lr);
  void step_adam(const OptimizerGroup& group, const std::vector<Slot*>& slots, double lr);

  OptimizerOptions options_;
  std::vector<OptimizerGroup> groups_;
  std::vector<std::vector<Slot>> slots_;  // by group
  int64_t steps_ = 0;
};

}  // namespace octet::training
