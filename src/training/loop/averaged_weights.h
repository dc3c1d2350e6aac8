// An exponential moving average of all parameters and running statistics.
#pragma once

#include <vector>

#include "octet/training_recipe.h"
#include "training/module.h"

namespace octet::training {

class AveragedWeights {
 public:
  AveragedWeights(const EmaOptions& options, const TrainableModule& module);

  // After every optimizer step; total: optimizer steps of the whole run.
  void update(int64_t total);
  // Exchanges the module's values and the averages; called twice it changes nothing.
  void swap();

  std::vector<NamedTensor> state() const { return averages_; }
  Status load_state(const std::vector<NamedTensor>& state, int64_t updates);
  int64_t updates() const { return updates_; }

 private:
  EmaOptions options_;
  std::vector<NamedTensor> live_, averages_;
  int64_t updates_ = 0;
};

}  // namespace octet::training
