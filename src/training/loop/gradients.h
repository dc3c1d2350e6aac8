// What becomes of gradients between backward() and the optimizer.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "training/loop/process_group.h"
#include "training/module.h"

namespace octet::training {

// The one place where gradients of several processes are put together: they are added up, because each process weighs
// its loss by its share of the batch. A null group leaves them alone.
class GradientReducer {
 public:
  explicit GradientReducer(ProcessGroup* group = nullptr) : group_(group) {}
  // Gradients of one type travel in one flat buffer; every process has the same ones.
  Status reduce(const std::vector<NamedTensor>& parameters);

 private:
  ProcessGroup* group_;
};

// From gradients with respect to p to those with respect to unit * p, for parameters that `units` names.
void divide_gradients(const std::vector<NamedTensor>& parameters, const std::map<std::string, double>& units);

// Scales all gradients by max_norm / norm when their joint 2-norm is larger; returns the norm before.
at::Tensor clip_gradients(const std::vector<NamedTensor>& parameters, double max_norm);

}  // namespace octet::training
