// Fake quantization as autograd functions on the definition in arith: one pass forward, one backward, on the CPU and,
// with OCTET_CUDA, on the GPU. Values are those of octet::fake_quantize bit for bit.
//
// Backward computes the mask from x again instead of keeping it: x is alive anyway (the activation before it saves
// its output), learned scales need it, and four bytes read cost no more than a byte written forward and read
// backward.
#pragma once

#include "octet/quant_params.h"
#include "octet/status.h"
#include "training/torch.h"

namespace octet::training {

// A quantizer without its scales.
struct QuantizerSpec {
  DType dtype = DType::kInt8;  // one of the eight types of QuantParams
  int axis = -1;
  int64_t block_size = 0;
  bool narrow_range = false;
  // Quantizes max(x, 0) in the same pass, with the gradient of both. Integer types with one scale only.
  bool relu = false;
  // Of the batch that x is a part of: LSQ counts the elements of the whole.
  int64_t own_samples = 1, all_samples = 1;
};

// x: any floating type (computed in float32). scale: float32, 1-D, one per tensor, channel or group, finite and > 0;
// zero_point: int32 of the same size, or undefined for zeros; both on x's device. Gradients: straight through for x
// where x / scale lies between the lowest and the highest code, else 0 (also for NaN); for a scale that requires one
// LSQ's (arXiv 1902.08153 eq. 3), times 1 / sqrt(elements per scale * highest code). Throws c10::Error on wrong
// shapes.
at::Tensor fake_quantize(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero_point,
                         const QuantizerSpec& spec);

// PACT with two clips (learn_amax): x is clipped to [lo, hi] and then quantized per tensor with `params`, the scale
// and zero point that belong to (lo, hi), which have no gradient. lo, hi: float32 scalars. Gradients: d x = g where
// lo < x < hi; d lo = sum of g over x <= lo; d hi = sum of g over x >= hi.
at::Tensor pact_quantize(const at::Tensor& x, const at::Tensor& lo, const at::Tensor& hi, const QuantParams& params);

// `value` forward, the gradient to `source` unchanged; the shapes are equal.
at::Tensor straight_through(const at::Tensor& source, const at::Tensor& value);

// The highest code of a type: what LSQ calls q_max (448 and 57344 for FP8).
double highest_code(DType dtype);

}  // namespace octet::training
