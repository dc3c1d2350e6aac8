#include "training/loop/optimizer.h"

#include <cmath>
#include <map>

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;

template <class Slots, class Get>
Tensors gather(const Slots& slots, Get get) {
  Tensors out;
  out.reserve(slots.size());
  for (auto* slot : slots) out.push_back(get(*slot));
  return out;
}

}  // namespace

Optimizer::Optimizer(const OptimizerOptions& options, std::vector<OptimizerGroup> groups)
    : options_(options), groups_(std::move(groups)) {
  const bool adam = options_.kind != OptimizerKind::kSgd;
  for (const OptimizerGroup& group : groups_) {
    std::vector<Slot> slots;
    for (const NamedTensor& p : group.parameters) {
      Slot slot{p.tensor, {}, {}, p.name};
      if (adam || options_.momentum > 0) slot.first = at::zeros_like(p.tensor.detach());
      if (adam) slot.second = at::zeros_like(p.tensor.detach());
      slots.push_back(std::move(slot));
    }
    slots_.push_back(std::move(slots));
  }
}

void Optimizer::step(double lr) {
  const at::NoGradGuard no_grad;
  ++steps_;
  for (size_t g = 0; g < groups_.size(); ++g) {
    std::vector<Slot*> slots;
    for (Slot& slot : slots_[g])
      if (slot.parameter.grad().defined()) slots.push_back(&slot);
    if (slots.empty()) continue;
    if (options_.kind == OptimizerKind::kSgd) step_sgd(groups_[g], slots, lr * groups_[g].lr_ratio);
    else step_adam(groups_[g], slots, lr * groups_[g].lr_ratio);
  }
}

// The _foreach functions are one launch for all tensors on CUDA and a plain loop on the CPU.
void Optimizer::step_sgd(const OptimizerGroup& group, const std::vector<Slot*>& slots, double lr) {
  Tensors p = gather(slots, [](Slot& s) { return s.parameter.detach(); });
  Tensors g = gather(slots, [](Slot& s) { return s.parameter.grad(); });
  if (group.weight_decay != 0) g = at::_foreach_add(g, p, group.weight_decay * group.unit);
  if (options_.momentum > 0) {
    // Zeros at first: momentum * 0 + g is the g that the first step begins with.
    Tensors v = gather(slots, [](Slot& s) { return s.first; });
    at::_foreach_mul_(v, options_.momentum);
    at::_foreach_add_(v, g, 1);
    g = options_.nesterov ? at::_foreach_add(g, v, options_.momentum) : v;
  }
  at::_foreach_add_(p, g, -lr / group.unit);
}

void Optimizer::step_adam(const OptimizerGroup& group, const std::vector<Slot*>& slots, double lr) {
  Tensors p = gather(slots, [](Slot& s) { return s.parameter.detach(); });
  Tensors g = gather(slots, [](Slot& s) { return s.parameter.grad(); });
  Tensors m = gather(slots, [](Slot& s) { return s.first; });
  Tensors v = gather(slots, [](Slot& s) { return s.second; });
  if (options_.kind == OptimizerKind::kAdamW) at::_foreach_mul_(p, 1 - lr * group.weight_decay);
  else if (group.weight_decay != 0) g = at::_foreach_add(g, p, group.weight_decay * group.unit);
  at::_foreach_mul_(m, options_.beta1);
  at::_foreach_add_(m, g, 1 - options_.beta1);
  at::_foreach_mul_(v, options_.beta2);
  at::_foreach_addcmul_(v, g, g, 1 - options_.beta2);
  const auto t = static_cast<double>(steps_);
  const double bias1 = 1 - std::pow(options_.beta1, t), bias2 = 1 - std::pow(options_.beta2, t);
  Tensors denominator = at::_foreach_sqrt(v);
  at::_foreach_div_(denominator, std::sqrt(bias2));
  at::_foreach_add_(denominator, options_.eps);
  at::_foreach_addcdiv_(p, m, denominator, -lr / bias1 / group.unit);
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> out;
  for (const auto& slots : slots_)
    for (const Slot& slot : slots) {
      if (slot.first.defined()) out.push_back({slot.name + "/1", slot.first});
      if (slot.second.defined()) out.push_back({slot.name + "/2", slot.second});
    }
  return out;
}

Status Optimizer::load_state(const std::vector<NamedTensor>& state, int64_t steps) {
  std::map<std::string, at::Tensor> by_name;
  for (const NamedTensor& t : state) by_name[t.name] = t.tensor;
  const std::vector<NamedTensor> mine = this->state();
  if (by_name.size() != mine.size())
    return data_corrupt("the optimizer's state has " + std::to_string(by_name.size()) + " tensors instead of " +
                        std::to_string(mine.size()));
  for (const NamedTensor& t : mine) {
    const auto found = by_name.find(t.name);
    if (found == by_name.end() || found->second.sizes() != t.tensor.sizes() ||
        found->second.scalar_type() != t.tensor.scalar_type())
      return data_corrupt("the optimizer's state does not fit '" + t.name + "'");
  }
  const at::NoGradGuard no_grad;
  for (const NamedTensor& t : mine) t.tensor.copy_(by_name[t.name]);
  steps_ = steps;
  return Status::ok();
}

}  // namespace octet::training
