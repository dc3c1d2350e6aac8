// A convolution and the batch normalization behind it, quantized as the folded network will be: what is quantized is
// weight * gamma / sigma of the running statistics.
//
// Frozen and in eval mode this is the folded convolution itself, with the arithmetic of the pass fold_batch_norm.
// Live, the quantized product is divided by gamma / sigma again and normalized by the batch's statistics, so that
// training keeps them while the weights meet the quantizer they will have (R. Krishnamoorthi, arXiv 1806.08342,
// section 3.2.2).
#include "training/module_impl.h"

namespace octet::training {
namespace {

at::Tensor wide(const at::Tensor& t) { return t.to(at::kDouble); }

// One number per output channel of a convolution's weight or of its output.
at::Tensor per_channel(const at::Tensor& t, int64_t rank, int64_t axis) {
  std::vector<int64_t> view(static_cast<size_t>(rank), 1);
  view[static_cast<size_t>(axis)] = -1;
  return t.reshape(view);
}

// Never zero, so that what was multiplied by it can be divided by it.
at::Tensor divisor(const at::Tensor& factor) {
  const at::Tensor least = at::full_like(factor, 1e-12);
  return at::where(factor.abs() < 1e-12, least, factor);
}

}  // namespace

at::Tensor TrainableModule::Impl::run_folded(const Step& step, Call call, const FoldedNorm& norm) const {
  const Node& bn = graph.nodes[static_cast<size_t>(step.norm)];
  const double epsilon = static_cast<double>(bn.attr_float("epsilon", 1e-5F));
  const at::Tensor weight = call.in(1), bias = call.has(2) ? call.in(2) : at::Tensor();
  const bool live = call.norm != NormRun::kFrozen;
  at::Tensor factor = wide(norm.scale) / at::sqrt(wide(norm.variance) + epsilon);
  if (live) factor = divisor(factor);
  const at::Tensor folded = (wide(weight) * per_channel(factor, weight.dim(), 0)).to(weight.scalar_type());
  const int q = step.quantizers[1];
  call.inputs[1] = q < 0 ? folded : quantizers[static_cast<size_t>(q)].apply(folded, call.training, batch);
  const TorchOp conv = find_torch_op("Conv");
  call.inputs.resize(3);
  if (!live) {
    at::Tensor shift = wide(norm.bias) - wide(norm.mean) * factor;
    if (bias.defined()) shift = wide(bias) * factor + shift;
    shift = shift.to(weight.scalar_type());
    call.inputs[2] = step.integer_bias ? integer_bias(step, shift) : shift;
    return conv(call)[0];
  }
  call.inputs[2] = at::Tensor();
  const at::Tensor product = conv(call)[0];
  at::Tensor y = product / per_channel(factor.to(product.scalar_type()), product.dim(), 1);
  if (bias.defined()) y = y + per_channel(bias, y.dim(), 1);
  Call of_norm{bn, call.opset, {y, norm.scale, norm.bias, norm.mean, norm.variance}, {}};
  of_norm.norm = call.norm;
  of_norm.average_factor = call.average_factor;
  of_norm.batch = call.batch;
  of_norm.owns_statistics = true;
  return find_torch_op("BatchNormalization")(of_norm)[0];
}

}  // namespace octet::training
