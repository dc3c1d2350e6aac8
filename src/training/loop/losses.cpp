#include "training/loop/losses.h"

namespace octet::training {
namespace {

at::Tensor wide(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

at::Tensor hard_loss(const at::Tensor& log_p, const at::Tensor& labels, double smoothing) {
  const at::Tensor own = -log_p.gather(1, labels.unsqueeze(1)).squeeze(1);
  return smoothing == 0 ? own : own * (1 - smoothing) + log_p.mean(1).neg() * smoothing;
}

}  // namespace

at::Tensor cross_entropy(const at::Tensor& logits, const Targets& targets, double smoothing) {
  const at::Tensor log_p = wide(logits).log_softmax(1);
  at::Tensor loss = hard_loss(log_p, targets.labels, smoothing);
  if (targets.partner_labels.defined())
    loss = loss * targets.lambda + hard_loss(log_p, targets.partner_labels, smoothing) * (1 - targets.lambda);
  return loss.mean();
}

at::Tensor distillation_loss(const at::Tensor& student, const at::Tensor& teacher, double temperature) {
  const at::Tensor s = wide(student), t = wide(teacher);
  if (s.dim() != 2) {
    const at::Tensor scale = t.square().mean().clamp_min(1e-12);
    return (s - t).square().mean() / scale;
  }
  const at::Tensor log_s = (s / temperature).log_softmax(1), log_t = (t / temperature).log_softmax(1);
  return (log_t.exp() * (log_t - log_s)).sum(1).mean() * (temperature * temperature);
}

at::Tensor feature_loss(const at::Tensor& student, const at::Tensor& teacher) {
  return (wide(student) - wide(teacher)).square().mean();
}

}  // namespace octet::training
