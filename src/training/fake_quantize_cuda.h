// The autograd functions of fake_quantize.cpp on CUDA tensors; dense, float32, contracts as there. Throw c10::Error.
#pragma once

#include <array>

#include "training/quantized_sum.h"

namespace octet::training {

void fake_quantize_cuda(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero_point,
                        const QuantizerSpec& spec, at::Tensor& y);
// d_scale undefined: only d x; dx undefined: only d scale.
void fake_quantize_backward_cuda(const at::Tensor& x, const at::Tensor& g, const at::Tensor& scale,
                                 const at::Tensor& zero_point, const QuantizerSpec& spec, double factor,
                                 at::Tensor& dx, at::Tensor& d_scale);
void pact_quantize_cuda(const at::Tensor& x, const at::Tensor& lo, const at::Tensor& hi, float scale,
                        int32_t zero_point, const QuantizerSpec& spec, at::Tensor& y);
void pact_backward_cuda(const at::Tensor& x, const at::Tensor& g, const at::Tensor& lo, const at::Tensor& hi,
                        at::Tensor& dx, at::Tensor& d_lo, at::Tensor& d_hi);
void quantized_sum_cuda(const at::Tensor& a, const SumQuantizer& qa, const at::Tensor& b, const SumQuantizer& qb,
                        const SumQuantizer& out, at::Tensor& y);
// What is undefined is not computed; d_scale in the order a, b, out.
void quantized_sum_backward_cuda(const at::Tensor& a, const SumQuantizer& qa, const at::Tensor& b,
                                 const SumQuantizer& qb, const SumQuantizer& out, const at::Tensor& g, at::Tensor& da,
                                 at::Tensor& db, at::Tensor& d_sum, std::array<at::Tensor, 3>& d_scale);

}  // namespace octet::training
