// A residual addition between its quantizers as one autograd function: one pass forward, one backward, on the CPU
// and, with OCTET_CUDA, on the GPU. As single functions these would read and write the largest tensors of a residual
// network four times more often. Values and gradients are those of fake_quantize and +, bit for bit but for the order
// in which a GPU adds the gradients of scales.
#pragma once

#include "training/fake_quantize.h"

namespace octet::training {

// Per tensor, integer. Without a scale it passes values on.
struct SumQuantizer {
  at::Tensor scale, zero_point;  // as fake_quantize takes them
  QuantizerSpec spec;

  bool is_there() const { return scale.defined(); }
};

// out(qa(a) + qb(b)); a and b of one shape, `out` is there, and its spec may have relu set.
at::Tensor quantized_sum(const at::Tensor& a, const SumQuantizer& qa, const at::Tensor& b, const SumQuantizer& qb,
                         const SumQuantizer& out);

}  // namespace octet::training
