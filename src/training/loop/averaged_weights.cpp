#include "training/loop/averaged_weights.h"

namespace octet::training {

AveragedWeights::AveragedWeights(const EmaOptions& options, const TrainableModule& module) : options_(options) {
  const at::NoGradGuard no_grad;
  for (const auto* list : {&module.parameters(), &module.buffers()})
    for (const NamedTensor& t : *list) {
      live_.push_back({t.name, t.tensor.detach()});
      averages_.push_back({t.name, t.tensor.detach().clone()});
    }
}

void AveragedWeights::update(int64_t total) {
  const at::NoGradGuard no_grad;
  const double keep = ema_decay(options_, ++updates_, total);
  for (size_t i = 0; i < live_.size(); ++i) {
    at::Tensor& average = averages_[i].tensor;
    if (average.is_floating_point()) average.mul_(keep).add_(live_[i].tensor, 1 - keep);
    else average.copy_(live_[i].tensor);
  }
}

void AveragedWeights::swap() {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < live_.size(); ++i) {
    const at::Tensor before = live_[i].tensor.clone();
    live_[i].tensor.copy_(averages_[i].tensor);
    averages_[i].tensor.copy_(before);
  }
}

Status AveragedWeights::load_state(const std::vector<NamedTensor>& state, int64_t updates) {
  if (state.size() != averages_.size())
    return data_corrupt("the averaged weights have " + std::to_string(state.size()) + " tensors instead of " +
                        std::to_string(averages_.size()));
  for (size_t i = 0; i < state.size(); ++i)
    if (state[i].name != averages_[i].name || state[i].tensor.sizes() != averages_[i].tensor.sizes() ||
        state[i].tensor.scalar_type() != averages_[i].tensor.scalar_type())
      return data_corrupt("the averaged weights do not fit '" + averages_[i].name + "'");
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < state.size(); ++i) averages_[i].tensor.copy_(state[i].tensor);
  updates_ = updates;
  return Status::ok();
}

}  // namespace octet::training
