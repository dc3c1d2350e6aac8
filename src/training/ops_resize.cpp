// Resize and Upsample: along one axis at a time, with the positions and weights of the reference operator.
#include <algorithm>

#include "kernels/ref/nn_sampling.h"
#include "training/module.h"
#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;
using nn::SampledAxis;
using nn::SamplingOptions;

// taps[o] of one axis, all of one length: column k of `positions` and `weights` is the k-th tap of each output.
struct AxisTaps {
  std::vector<std::vector<int64_t>> positions;
  std::vector<std::vector<double>> weights;
  std::vector<bool> extrapolated;
  bool any_extrapolated = false;
};

AxisTaps taps_of(const SampledAxis& axis, const SamplingOptions& o) {
  AxisTaps taps;
  need(nn::tap_count(axis, o).status());
  for (int64_t to = 0; to < axis.out; ++to) {
    const double x = nn::source_coordinate(axis, o, to);
    std::vector<nn::Tap> at;
    if (o.mode == nn::Interpolation::kNearest) at = {{nn::nearest_position(axis, o.nearest, x), 1.0}};
    else at = nn::interpolation_taps(axis, o, x);
    while (taps.positions.size() < at.size()) {
      taps.positions.emplace_back(static_cast<size_t>(axis.out), 0);
      taps.weights.emplace_back(static_cast<size_t>(axis.out), 0.0);
    }
    for (size_t k = 0; k < at.size(); ++k) {
      taps.positions[k][static_cast<size_t>(to)] = at[k].position;
      taps.weights[k][static_cast<size_t>(to)] = at[k].weight;
    }
    taps.extrapolated.push_back(nn::is_extrapolated(axis, o, x));
    taps.any_extrapolated = taps.any_extrapolated || taps.extrapolated.back();
  }
  return taps;
}

at::Tensor sample(const at::Tensor& x, int64_t d, const AxisTaps& taps, bool nearest) {
  std::vector<int64_t> view(static_cast<size_t>(x.dim()), 1);
  view[static_cast<size_t>(d)] = -1;
  at::Tensor sum;
  for (size_t k = 0; k < taps.positions.size(); ++k) {
    at::Tensor part = x.index_select(d, at::tensor(taps.positions[k], at::kLong).to(x.device()));
    if (!nearest) part = part * at::tensor(taps.weights[k]).to(x.device(), x.scalar_type()).reshape(view);
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

at::Tensor extrapolate(const at::Tensor& x, int64_t d, const AxisTaps& taps, double value) {
  std::vector<int64_t> view(static_cast<size_t>(x.dim()), 1);
  view[static_cast<size_t>(d)] = -1;
  at::Tensor outside = at::empty({static_cast<int64_t>(taps.extrapolated.size())}, at::kBool);
  for (size_t i = 0; i < taps.extrapolated.size(); ++i) outside.data_ptr<bool>()[i] = taps.extrapolated[i];
  return at::masked_fill(x, outside.reshape(view).to(x.device()), value);
}

Tensors resize(const Call& c) {
  std::vector<Tensor> host(c.inputs.size());
  OpArgs args{c.node, c.opset, {}};
  host[0] = Tensor(DType::kFloat32, dims_of(c.in(0)), nullptr, nullptr);  // only its shape is looked at
  args.inputs.push_back(&host[0]);
  for (size_t i = 1; i < c.inputs.size(); ++i) {
    if (c.has(i)) {
      at::Tensor t = c.in(i).to(at::kCPU);
      host[i] = need(from_torch(t.scalar_type() == at::kDouble ? t.to(at::kFloat) : t));
    }
    args.inputs.push_back(c.has(i) ? &host[i] : nullptr);
  }
  const nn::ResizePlan plan = need(nn::resize_plan(args));
  const bool nearest = plan.options.mode == nn::Interpolation::kNearest;
  at::Tensor x = c.in(0);
  std::vector<std::pair<int64_t, AxisTaps>> extrapolated;
  for (size_t d = 0; d < plan.axes.size(); ++d) {
    if (plan.axes[d].is_identity(plan.options)) continue;
    AxisTaps taps = taps_of(plan.axes[d], plan.options);
    x = sample(x, static_cast<int64_t>(d), taps, nearest);
    if (taps.any_extrapolated) extrapolated.emplace_back(static_cast<int64_t>(d), std::move(taps));
  }
  for (const auto& [d, taps] : extrapolated) x = extrapolate(x, d, taps, plan.options.extrapolation_value);
  return {x};
}

constexpr TorchOpEntry kOps[] = {{"Resize", resize}, {"Upsample", resize}};

}  // namespace

std::span<const TorchOpEntry> resize_ops() { return kOps; }

}  // namespace octet::training
