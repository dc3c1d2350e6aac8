// BatchNormalization, InstanceNormalization, LayerNormalization, GroupNormalization, LRN, LpNormalization.
#include <algorithm>
#include <cmath>

#include "graph/onnx_dtype.h"
#include "kernels/ref/nn_common.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace nn {
namespace {

constexpr float kDefaultEpsilon = 1e-5F;  // of every ONNX normalization

double epsilon_of(const Node& node) { return static_cast<double>(node.attr_float("epsilon", kDefaultEpsilon)); }

// {outer, channels, inner} of N x C x spatial; a vector counts as N values of one channel.
struct ChannelView {
  int64_t outer, channels, inner;
};

ChannelView channel_view(const Dims& dims) {
  if (dims.size() < 2) return {product(dims, 0, dims.size()), 1, 1};
  return {dims[0], dims[1], product(dims, 2, dims.size())};
}

// Input `i` as float64, which must be a vector of `count` numbers.
Result<Tensor> vector_input(const OpArgs& args, size_t i, int64_t count, const std::string& what) {
  OCTET_RETURN_IF_ERROR(require_real(args, i));
  OCTET_RETURN_IF_ERROR(require_shape(args.in(i), {count}, what));
  return to_float64(args.in(i));
}

struct Moments {
  double mean = 0;
  double variance = 0;  // of the population, in two passes
};

Moments moments(const double* x, int64_t count) {
  Moments m;
  for (int64_t i = 0; i < count; ++i) m.mean += x[i];
  m.mean /= static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) m.variance += (x[i] - m.mean) * (x[i] - m.mean);
  m.variance /= static_cast<double>(count);
  return m;
}

struct BatchNormParams {
  Tensor scale, bias, mean, variance;
};

Result<BatchNormParams> batch_norm_params(const OpArgs& args, int64_t channels) {
  BatchNormParams p;
  OCTET_ASSIGN(p.scale, vector_input(args, 1, channels, "scale"));
  OCTET_ASSIGN(p.bias, vector_input(args, 2, channels, "B"));
  OCTET_ASSIGN(p.mean, vector_input(args, 3, channels, "input_mean"));
  OCTET_ASSIGN(p.variance, vector_input(args, 4, channels, "input_var"));
  return p;
}

void apply_batch_norm(const ChannelView& view, const BatchNormParams& p, double epsilon, double* x) {
  for (int64_t n = 0; n < view.outer; ++n)
    for (int64_t c = 0; c < view.channels; ++c) {
      const double factor = p.scale.data<double>()[c] / std::sqrt(p.variance.data<double>()[c] + epsilon);
      const double mean = p.mean.data<double>()[c];
      const double bias = p.bias.data<double>()[c];
      for (int64_t i = 0; i < view.inner; ++i, ++x) *x = (*x - mean) * factor + bias;
    }
}

// Replaces mean and variance by those of the batch and returns the running ones that training_mode asks for.
OpResult update_batch_statistics(const ChannelView& view, const Tensor& x, double momentum, BatchNormParams& p) {
  Tensor running_mean = p.mean.clone();
  Tensor running_variance = p.variance.clone();
  std::vector<double> values;
  for (int64_t c = 0; c < view.channels; ++c) {
    values.clear();
    for (int64_t n = 0; n < view.outer; ++n) {
      const double* plane = x.data<double>() + (n * view.channels + c) * view.inner;
      values.insert(values.end(), plane, plane + view.inner);
    }
    const Moments m = moments(values.data(), static_cast<int64_t>(values.size()));
    p.mean.data<double>()[c] = m.mean;
    p.variance.data<double>()[c] = m.variance;
    double& mean = running_mean.data<double>()[c];
    double& variance = running_variance.data<double>()[c];
    mean = mean * momentum + m.mean * (1 - momentum);
    variance = variance * momentum + m.variance * (1 - momentum);
  }
  return std::vector<Tensor>{running_mean, running_variance};
}

OpResult batch_normalization(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_real(args, 0));
  const Tensor& x = args.in(0);
  const ChannelView view = channel_view(x.dims());
  OCTET_ASSIGN(BatchNormParams params, batch_norm_params(args, view.channels));
  OCTET_ASSIGN(Tensor y, to_float64(x));
  std::vector<Tensor> running;
  if (args.node.attr_int("training_mode", 0) != 0) {
    if (x.numel() == 0) return invalid_argument("an empty batch has no statistics to train with");
    const auto momentum = static_cast<double>(args.node.attr_float("momentum", 0.9F));
    OCTET_ASSIGN(running, update_batch_statistics(view, y, momentum, params));
  }
  if (y.numel() > 0) apply_batch_norm(view, params, epsilon_of(args.node), y.data<double>());
  OCTET_ASSIGN(std::vector<Tensor> outputs, single(y, x.dtype()));
  for (size_t i = 0; i < running.size(); ++i) {
    OCTET_ASSIGN(Tensor rounded, from_float64(running[i], args.in(3 + i).dtype()));
    outputs.push_back(rounded);
  }
  return as_asked(args, std::move(outputs));
}

// (x - mean) / sqrt(variance + epsilon) over each run of `count` elements.
void standardize_rows(int64_t rows, int64_t count, double epsilon, double* x) {
  for (int64_t r = 0; r < rows; ++r) {
    const Moments m = moments(x, count);
    const double factor = 1 / std::sqrt(m.variance + epsilon);
    for (int64_t i = 0; i < count; ++i, ++x) *x = (*x - m.mean) * factor;
  }
}

// x * scale[c / channels_per_parameter] + bias[...]
void scale_channels(const ChannelView& view, const Tensor& scale, const Tensor& bias, int64_t channels_per_parameter,
                    double* x) {
  for (int64_t n = 0; n < view.outer; ++n)
    for (int64_t c = 0; c < view.channels; ++c) {
      const double factor = scale.data<double>()[c / channels_per_parameter];
      const double shift = bias.data<double>()[c / channels_per_parameter];
      for (int64_t i = 0; i < view.inner; ++i, ++x) *x = *x * factor + shift;
    }
}

// Shared by Instance- (groups = channels) and GroupNormalization; parameters per channel or per group.
OpResult group_normalize(const OpArgs& args, int64_t groups, int64_t parameters) {
  const Tensor& x = args.in(0);
  const ChannelView view = channel_view(x.dims());
  OCTET_ASSIGN(const Tensor scale, vector_input(args, 1, parameters, "scale"));
  OCTET_ASSIGN(const Tensor bias, vector_input(args, 2, parameters, "bias"));
  OCTET_ASSIGN(Tensor y, to_float64(x));
  if (y.numel() > 0) {
    standardize_rows(view.outer * groups, view.channels / groups * view.inner, epsilon_of(args.node),
                     y.data<double>());
    scale_channels(view, scale, bias, view.channels / parameters, y.data<double>());
  }
  return single(y, x.dtype());
}

Status require_channels(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_real(args, 0));
  if (args.in(0).rank() < 2)
    return invalid_argument("input of shape " + dims_to_string(args.in(0).dims()) + " has no channel axis");
  return Status::ok();
}

OpResult instance_normalization(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_channels(args));
  const int64_t channels = args.in(0).dim(1);
  return group_normalize(args, channels, channels);
}

// Opset 18 has one scale and bias per group, opset 21 one per channel.
OpResult group_normalization(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_channels(args));
  const int64_t channels = args.in(0).dim(1);
  const int64_t groups = args.node.attr_int("num_groups", 0);
  if (groups < 1 || channels % groups != 0)
    return invalid_argument("num_groups is " + std::to_string(groups) + ", which does not divide " +
                            std::to_string(channels) + " channels");
  return group_normalize(args, groups, args.opset >= 21 ? channels : groups);
}

// y = y * scale + bias, both broadcast to y.
Status scale_broadcast(const OpArgs& args, Tensor& y) {
  OCTET_ASSIGN(const Tensor scale, to_float64(args.in(1)));
  OCTET_ASSIGN(const Dims strides, strides_within(scale.dims(), y.dims()));
  for_each_offset(y.dims(), strides, [&](int64_t i, int64_t at) { y.data<double>()[i] *= scale.data<double>()[at]; });
  if (!args.has(2)) return Status::ok();
  OCTET_RETURN_IF_ERROR(require_real(args, 2));
  OCTET_ASSIGN(const Tensor bias, to_float64(args.in(2)));
  OCTET_ASSIGN(const Dims bias_strides, strides_within(bias.dims(), y.dims()));
  for_each_offset(y.dims(), bias_strides,
                  [&](int64_t i, int64_t at) { y.data<double>()[i] += bias.data<double>()[at]; });
  return Status::ok();
}

// The type that Mean and InvStdDev are returned in, from the ONNX type number in stash_type.
Result<DType> stash_dtype(const Node& node) {
  const DType dtype = dtype_from_onnx(node.attr_int("stash_type", 1));
  if (is_real(dtype)) return dtype;
  return unsupported("stash_type " + std::to_string(node.attr_int("stash_type", 1)) + " is not a floating type");
}

OpResult layer_normalization(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_real(args, 0));
  OCTET_RETURN_IF_ERROR(require_real(args, 1));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(const DType stash, stash_dtype(args.node));
  OCTET_ASSIGN(const int64_t axis, normalize_axis(args.node.attr_int("axis", -1), x.rank()));
  Dims reduced = x.dims();
  std::fill(reduced.begin() + axis, reduced.end(), 1);
  OCTET_ASSIGN(Tensor y, to_float64(x));
  OCTET_ASSIGN(Tensor mean, zeros(reduced));
  OCTET_ASSIGN(Tensor inverse_deviation, zeros(reduced));
  const int64_t count = product(x.dims(), static_cast<size_t>(axis), x.dims().size());
  for (int64_t r = 0; r < mean.numel(); ++r) {
    double* row = y.data<double>() + r * count;
    const Moments m = moments(row, count);
    const double factor = 1 / std::sqrt(m.variance + epsilon_of(args.node));
    for (int64_t i = 0; i < count; ++i) row[i] = (row[i] - m.mean) * factor;
    mean.data<double>()[r] = m.mean;
    inverse_deviation.data<double>()[r] = factor;
  }
  OCTET_RETURN_IF_ERROR(scale_broadcast(args, y));
  OCTET_ASSIGN(std::vector<Tensor> outputs, single(y, x.dtype()));
  for (const Tensor& statistic : {mean, inverse_deviation}) {
    OCTET_ASSIGN(Tensor rounded, from_float64(statistic, stash));
    outputs.push_back(rounded);
  }
  return as_asked(args, std::move(outputs));
}

// y = x / (bias + alpha / size * sum of x^2 over `size` neighbouring channels) ^ beta
OpResult lrn(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_channels(args));
  const Tensor& x = args.in(0);
  const int64_t size = args.node.attr_int("size", 0);
  if (size < 1 || size > (int64_t{1} << 30)) return invalid_argument("attribute size must be at least 1");
  const double alpha = static_cast<double>(args.node.attr_float("alpha", 1e-4F)) / static_cast<double>(size);
  const auto beta = static_cast<double>(args.node.attr_float("beta", 0.75F));
  const auto bias = static_cast<double>(args.node.attr_float("bias", 1.0F));
  const ChannelView view = channel_view(x.dims());
  OCTET_RETURN_IF_ERROR(check_work({x.numel(), std::min(size, view.channels)}));
  OCTET_ASSIGN(const Tensor src, to_float64(x));
  OCTET_ASSIGN(Tensor y, zeros(x.dims()));
  for (int64_t flat = 0; flat < y.numel(); ++flat) {
    const int64_t c = flat / view.inner % view.channels;
    const int64_t first = std::max<int64_t>(0, c - (size - 1) / 2);
    const int64_t last = std::min(view.channels - 1, c + size / 2);  // size / 2 == ceil((size - 1) / 2)
    double squares = 0;
    for (int64_t k = first; k <= last; ++k) {
      const double v = src.data<double>()[flat + (k - c) * view.inner];
      squares += v * v;
    }
    y.data<double>()[flat] = src.data<double>()[flat] / std::pow(bias + alpha * squares, beta);
  }
  return single(y, x.dtype());
}

// A vector of norm 0 stays 0.
OpResult lp_normalization(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_real(args, 0));
  const Tensor& x = args.in(0);
  OCTET_ASSIGN(const int64_t axis, normalize_axis(args.node.attr_int("axis", -1), x.rank()));
  const int64_t p = args.node.attr_int("p", 2);
  if (p != 1 && p != 2) return invalid_argument("attribute p is " + std::to_string(p) + ", expected 1 or 2");
  OCTET_ASSIGN(Tensor y, to_float64(x));
  const int64_t length = x.dim(static_cast<int>(axis));
  const int64_t inner = product(x.dims(), static_cast<size_t>(axis) + 1, x.dims().size());
  const int64_t lines = y.numel() == 0 ? 0 : y.numel() / length;
  for (int64_t line = 0; line < lines; ++line) {
    double* at = y.data<double>() + line / inner * length * inner + line % inner;
    double norm = 0;
    for (int64_t i = 0; i < length; ++i) norm += p == 1 ? std::fabs(at[i * inner]) : at[i * inner] * at[i * inner];
    if (p == 2) norm = std::sqrt(norm);
    if (norm == 0) continue;
    for (int64_t i = 0; i < length; ++i) at[i * inner] /= norm;
  }
  return single(y, x.dtype());
}

constexpr RefOpEntry kOps[] = {
    {"BatchNormalization", batch_normalization},       {"GroupNormalization", group_normalization},
    {"InstanceNormalization", instance_normalization}, {"LRN", lrn},
    {"LayerNormalization", layer_normalization},       {"LpNormalization", lp_normalization},
};

}  // namespace
}  // namespace nn

std::span<const RefOpEntry> nn_norm_ops() { return nn::kOps; }

}  // namespace octet
