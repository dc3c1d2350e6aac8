// The autograd functions of fake_quantize.cpp on CUDA tensors; dense, float32, contracts as there. Throw c10::Error.
#pragma once

#include "training/fake_quantize.h"

namespace octet::training {

void fake_quantize_cuda(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero_point,
                        const QuantizerSpec& spec, at::Tensor& y);
// d_scale undefined: only d x.
void fake_quantize_backward_cuda(const at::Tensor& x, const at::Tensor& g, const at::Tensor& scale,
                                 const at::Tensor& zero_point, const QuantizerSpec& spec, double factor,
                                 at::Tensor& dx, at::Tensor& d_scale);
void pact_quantize_cuda(const at::Tensor& x, const at::Tensor& lo, const at::Tensor& hi, float scale,
                        int32_t zero_point, const QuantizerSpec& spec, at::Tensor& y);
void pact_backward_cuda(const at::Tensor& x, const at::Tensor& g, const at::Tensor& lo, const at::Tensor& hi,
                        at::Tensor& dx, at::Tensor& d_lo, at::Tensor& d_hi);

}  // namespace octet::training
