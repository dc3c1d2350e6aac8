#include "training/loop/gradients.h"

namespace octet::training {

at::Tensor clip_gradients(const std::vector<NamedTensor>& parameters, double max_norm) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const NamedTensor& p : parameters)
    if (p.tensor.grad().defined()) gradients.push_back(p.tensor.grad());
  if (gradients.empty()) return at::zeros({});
  const at::Tensor norm = at::stack(at::_foreach_norm(gradients, 2)).norm();
  const at::Tensor factor = (max_norm / (norm + 1e-6)).clamp_max(1.0);  // as PyTorch's clip_grad_norm_
  for (at::Tensor& g : gradients) g.mul_(factor);
  return norm;
}

}  // namespace octet::training
