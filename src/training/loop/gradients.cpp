#include "training/loop/gradients.h"

#include <map>

namespace octet::training {

Status GradientReducer::reduce(const std::vector<NamedTensor>& parameters) {
  if (group_ == nullptr) return Status::ok();
  const at::NoGradGuard no_grad;
  std::map<at::ScalarType, std::vector<at::Tensor>> by_type;
  for (const NamedTensor& p : parameters)
    if (p.tensor.grad().defined()) by_type[p.tensor.grad().scalar_type()].push_back(p.tensor.grad());
  for (auto& [type, gradients] : by_type) {
    std::vector<at::Tensor> flat;
    for (const at::Tensor& g : gradients) flat.push_back(g.reshape({-1}));
    at::Tensor buffer = at::cat(flat);
    OCTET_RETURN_IF_ERROR(group_->add_up(buffer));
    int64_t at = 0;
    for (at::Tensor& g : gradients) {
      g.copy_(buffer.narrow(0, at, g.numel()).view(g.sizes()));
      at += g.numel();
    }
  }
  return Status::ok();
}

void divide_gradients(const std::vector<NamedTensor>& parameters, const std::map<std::string, double>& units) {
  const at::NoGradGuard no_grad;
  for (const NamedTensor& p : parameters)
    if (const auto unit = units.find(p.name); unit != units.end() && p.tensor.grad().defined())
      p.tensor.grad().div_(unit->second);
}

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
