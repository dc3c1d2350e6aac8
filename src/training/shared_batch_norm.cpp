// S. Ioffe and C. Szegedy, arXiv 1502.03167, with means over the samples of all processes.
#include <algorithm>

#include "training/shared_batch.h"

namespace octet::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor wide(const at::Tensor& t) { return t.to(at::kDouble); }

// Count, mean and biased variance per channel of the whole batch; float64.
struct Moments {
  double count = 0;
  at::Tensor mean, variance;
};

Moments moments_of(const at::Tensor& x, const SharedBatch& batch) {
  const int64_t channels = x.size(1);
  const double own = batch.counts ? static_cast<double>(x.numel()) / static_cast<double>(channels) : 0.0;
  at::Tensor sums = at::zeros({2 * channels + 1}, at::TensorOptions(at::kDouble).device(x.device()));
  if (batch.counts) {
    const auto [mean, variance] = at::batch_norm_update_stats(x, {}, {}, 0.0);
    const at::Tensor m = wide(mean);
    sums.narrow(0, 0, channels).copy_(m).mul_(own);
    sums.narrow(0, channels, channels).copy_(wide(variance)).add_(m.square()).mul_(own);
    sums.narrow(0, 2 * channels, 1).fill_(own);
  }
  batch.sum(sums);
  Moments all;
  all.count = sums[2 * channels].item<double>();
  TORCH_CHECK(all.count > 1,
              "one value per channel has no variance to train with; use larger batches or freeze batch "
              "normalization");
  all.mean = sums.narrow(0, 0, channels) / all.count;
  all.variance = (sums.narrow(0, channels, channels) / all.count - all.mean.square()).clamp_min(0.0);
  return all;
}

void move_to(const at::Tensor& running, const at::Tensor& value, double momentum) {
  at::Tensor target = running;
  target.mul_(1 - momentum).add_(value.to(running.scalar_type()), momentum);
}

class SharedBatchNorm : public torch::autograd::Function<SharedBatchNorm> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& running_mean, const at::Tensor& running_var,
                            double momentum, double epsilon, int64_t batch_address) {
    const auto& batch = *reinterpret_cast<const SharedBatch*>(batch_address);
    const Moments all = moments_of(x, batch);
    move_to(running_mean, all.mean, momentum);
    move_to(running_var, all.variance * (all.count / (all.count - 1)), momentum);
    const at::Tensor mean = all.mean.to(weight.scalar_type()), variance = all.variance.to(weight.scalar_type());
    ctx->save_for_backward({x, weight, mean, variance});
    ctx->saved_data["epsilon"] = epsilon;
    ctx->saved_data["count"] = all.count;
    ctx->saved_data["batch"] = batch_address;
    return at::batch_norm(x, weight, bias, mean, variance, false, 0.0, epsilon, true);
  }

  // dx = weight / sigma (dy - mean(dy) - x^ mean(dy x^)), x^ = (x - mean) / sigma, means over the whole batch.
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &variance = saved[3];
    const double epsilon = ctx->saved_data["epsilon"].toDouble(), count = ctx->saved_data["count"].toDouble();
    const auto& batch = *reinterpret_cast<const SharedBatch*>(ctx->saved_data["batch"].toInt());
    const int64_t channels = x.size(1);
    std::vector<int64_t> view(static_cast<size_t>(x.dim()), 1);
    view[1] = channels;
    std::vector<int64_t> others;
    for (int64_t d = 0; d < x.dim(); ++d)
      if (d != 1) others.push_back(d);
    const at::Tensor normalized = at::batch_norm(x, {}, {}, mean, variance, false, 0.0, epsilon, true);
    const at::Tensor dy = grads[0].contiguous(normalized.suggest_memory_format());
    const at::Tensor d_bias = dy.sum(others), d_weight = (dy * normalized).sum(others);
    at::Tensor sums = at::cat({wide(d_bias), wide(d_weight)});
    batch.sum(sums);
    sums.div_(count);
    const auto of_channel = [&](const at::Tensor& t) { return t.to(dy.scalar_type()).reshape(view); };
    at::Tensor dx;
    if (batch.counts) {
      const at::Tensor factor = wide(weight) / at::sqrt(wide(variance) + epsilon);
      dx = at::addcmul(dy, normalized, of_channel(sums.narrow(0, channels, channels)), -1);
      dx.sub_(of_channel(sums.narrow(0, 0, channels))).mul_(of_channel(factor));
    } else {
      dx = at::zeros_like(dy);  // no part of the means, so it has no part of their gradient
    }
    return {dx,
            d_weight.to(weight.scalar_type()),
            d_bias.to(weight.scalar_type()),
            at::Tensor(),
            at::Tensor(),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor shared_batch_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                             const at::Tensor& running_mean, const at::Tensor& running_var, double momentum,
                             double epsilon, const SharedBatch& batch) {
  return SharedBatchNorm::apply(x, weight, bias, running_mean, running_var, momentum, epsilon,
                                reinterpret_cast<int64_t>(&batch));
}

}  // namespace octet::training
