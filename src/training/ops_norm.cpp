// Normalizations and dropout.
#include <algorithm>

#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;

double epsilon(const Call& c) { return static_cast<double>(c.node.attr_float("epsilon", 1e-5F)); }

// One value per channel, to broadcast over x.
std::vector<int64_t> channel_view(const at::Tensor& x) {
  std::vector<int64_t> view(static_cast<size_t>(std::max<int64_t>(1, x.dim())), 1);
  if (x.dim() >= 2) view[1] = -1;
  return view;
}

// In a live run input 3 and 4 (the module's buffers) take up the batch's statistics, as PyTorch does: the variance
// without bias. ONNX counts the momentum from the other end.
Tensors batch_normalization(const Call& c) {
  const at::Tensor& x = c.in(0);
  if (!c.owns_statistics) {  // computed by the network itself: they have gradients, which at::batch_norm would refuse
    const std::vector<int64_t> view = channel_view(x);
    const at::Tensor factor = c.in(1) * at::rsqrt(c.in(4) + epsilon(c));
    return {(x - c.in(3).reshape(view)) * factor.reshape(view) + c.in(2).reshape(view)};
  }
  const bool live = c.norm != NormRun::kFrozen;
  const bool shared = live && c.batch != nullptr && c.batch->is_shared() && x.dim() >= 2;
  const double momentum =
      c.norm == NormRun::kAverage ? c.average_factor : 1.0 - static_cast<double>(c.node.attr_float("momentum", 0.9F));
  if (shared) return {shared_batch_norm(x, c.in(1), c.in(2), c.in(3), c.in(4), momentum, epsilon(c), *c.batch)};
  if (live && x.dim() >= 2 && x.numel() <= x.size(1))
    fail(
        invalid_argument("one value per channel has no variance to train with; use larger batches or freeze batch "
                         "normalization"));
  return {at::batch_norm(x, c.in(1), c.in(2), c.in(3), c.in(4), live, momentum, epsilon(c), true)};
}

Tensors instance_normalization(const Call& c) {
  return {at::group_norm(c.in(0), c.in(0).size(1), c.in(1), c.in(2), epsilon(c))};
}

// Opset 18 has one scale and bias per group, opset 21 one per channel.
Tensors group_normalization(const Call& c) {
  const int64_t groups = c.node.attr_int("num_groups", 0);
  const int64_t channels = c.in(0).dim() < 2 ? 0 : c.in(0).size(1);
  if (groups < 1 || channels % groups != 0) fail(invalid_argument("num_groups does not divide the channels"));
  const auto per_channel = [&](const at::Tensor& t) {
    return c.opset >= 21 ? t : at::repeat_interleave(t, channels / groups);
  };
  return {at::group_norm(c.in(0), groups, per_channel(c.in(1)), per_channel(c.in(2)), epsilon(c))};
}

Tensors layer_normalization(const Call& c) {
  const at::Tensor& x = c.in(0);
  const int64_t axis = c.axis(-1, x.dim());
  const std::vector<int64_t> shape(x.sizes().begin() + axis, x.sizes().end());
  const bool fits = c.in(1).sizes() == at::IntArrayRef(shape) && (!c.has(2) || c.in(2).sizes() == c.in(1).sizes());
  Tensors outputs;
  if (fits) {
    outputs = {at::layer_norm(x, shape, c.in(1), c.has(2) ? c.in(2) : at::Tensor(), epsilon(c))};
  } else {
    const at::Tensor y = at::layer_norm(x, shape, {}, {}, epsilon(c)) * c.in(1);
    outputs = {c.has(2) ? y + c.in(2) : y};
  }
  if (!c.wants(1) && !c.wants(2)) return outputs;
  std::vector<int64_t> axes;
  for (int64_t d = axis; d < x.dim(); ++d) axes.push_back(d);
  const at::Tensor mean = at::mean(x, axes, true);
  const at::Tensor centred = x - mean;
  outputs.push_back(mean);
  outputs.push_back(at::rsqrt(at::mean(centred * centred, axes, true) + epsilon(c)));
  return outputs;
}

// A vector of norm 0 stays 0.
Tensors lp_normalization(const Call& c) {
  const at::Tensor& x = c.in(0);
  const int64_t axis = c.axis(-1, x.dim());
  const at::Tensor norm = at::linalg_vector_norm(x, c.node.attr_int("p", 2), axis, true);
  return {x / at::where(norm == 0, at::ones_like(norm), norm)};
}

// The ratio is an attribute before opset 12 and input 1 since then. Exported networks say training_mode = false; a
// module that trains drops out all the same.
Tensors dropout(const Call& c) {
  const at::Tensor& x = c.in(0);
  const double ratio = c.has(1) ? c.number(1) : static_cast<double>(c.node.attr_float("ratio", 0.5F));
  if (!c.training || ratio <= 0) return {x, c.wants(1) ? at::ones_like(x, at::kBool) : at::Tensor()};
  if (!c.wants(1)) return {at::dropout(x, ratio, true)};
  const at::Tensor mask = at::rand_like(x) >= ratio;
  return {at::where(mask, x / (1 - ratio), at::zeros_like(x)), mask};
}

constexpr TorchOpEntry kOps[] = {
    {"BatchNormalization", batch_normalization}, {"Dropout", dropout},
    {"GroupNormalization", group_normalization}, {"InstanceNormalization", instance_normalization},
    {"LayerNormalization", layer_normalization}, {"LpNormalization", lp_normalization},
};

}  // namespace

std::span<const TorchOpEntry> norm_ops() { return kOps; }

}  // namespace octet::training
