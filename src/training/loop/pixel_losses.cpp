#include "training/loop/pixel_losses.h"

namespace octet::training {

at::Tensor pixel_cross_entropy(const at::Tensor& scores, const at::Tensor& labels, int64_t ignored,
                               double smoothing) {
  const at::Tensor log_p = scores.log_softmax(1);
  const at::Tensor counts = labels.ne(ignored);
  const at::Tensor own = -log_p.gather(1, labels.masked_fill(labels.eq(ignored), 0).unsqueeze(1)).squeeze(1);
  const at::Tensor loss = smoothing == 0 ? own : own * (1 - smoothing) + log_p.mean(1).neg() * smoothing;
  return (loss * counts.to(loss.scalar_type())).sum();
}

at::Tensor dice_loss(const at::Tensor& scores, const at::Tensor& labels, int64_t ignored) {
  const at::Tensor counts = labels.ne(ignored).unsqueeze(1).to(scores.scalar_type());
  const at::Tensor p = scores.softmax(1) * counts;
  at::Tensor y = at::zeros(scores.sizes(), scores.options());
  y.scatter_(1, labels.masked_fill(labels.eq(ignored), 0).unsqueeze(1), 1);
  y = y * counts;
  const auto total = [](const at::Tensor& x) { return x.flatten(2).sum(2); };
  const at::Tensor dice = (total(p * y) * 2 + 1) / (total(p) + total(y) + 1);
  return (1 - dice.mean(1)).sum();
}

}  // namespace octet::training
