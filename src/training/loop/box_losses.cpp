#include "training/loop/box_losses.h"

namespace octet::training {
namespace {

constexpr double kTiny = 1e-16, kLeastProbability = 1e-4;

at::Tensor low(const at::Tensor& b) { return b.narrow(1, 0, 2); }
at::Tensor high(const at::Tensor& b) { return b.narrow(1, 2, 2); }
at::Tensor area(const at::Tensor& low_corner, const at::Tensor& high_corner) {
  return (high_corner - low_corner).clamp_min(0).prod(1);
}

}  // namespace

at::Tensor box_loss(const at::Tensor& a, const at::Tensor& b, BoxLoss kind) {
  const at::Tensor both = area(at::maximum(low(a), low(b)), at::minimum(high(a), high(b)));
  const at::Tensor either = area(low(a), high(a)) + area(low(b), high(b)) - both;
  const at::Tensor iou = both / (either + kTiny);
  if (kind == BoxLoss::kSquaredIou) return 1 - iou * iou;
  const at::Tensor hull = area(at::minimum(low(a), low(b)), at::maximum(high(a), high(b)));
  return 1 - iou + (hull - either) / (hull + kTiny);
}

at::Tensor binary_loss(const at::Tensor& values, const at::Tensor& targets, bool is_logits) {
  if (is_logits) return at::binary_cross_entropy_with_logits(values, targets, {}, {}, at::Reduction::None);
  const at::Tensor p = values + (values.clamp(kLeastProbability, 1 - kLeastProbability) - values).detach();
  return -(targets * p.log() + (1 - targets) * (1 - p).log());
}

}  // namespace octet::training
