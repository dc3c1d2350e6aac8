// What the autograd functions of fake quantization share: orders of elements, runs over threads, LSQ's factor.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "arith/float_formats.h"
#include "arith/quantize.h"
#include "training/fake_quant_runs.h"
#include "training/fake_quantize.h"

namespace octet::training {

// Elements in an order in which runs are contiguous: any dense order will do per tensor, and whole channels stay
// together where the first axis varies slowest (weights in channels-last order).
inline at::Tensor dense(const at::Tensor& x, const QuantizerSpec& spec) {
  if (!x.is_non_overlapping_and_dense()) return x.contiguous();
  if (spec.axis < 0) return x;
  const bool outermost =
      spec.axis == 0 && spec.block_size == 0 && x.dim() > 0 && x.stride(0) * x.size(0) == x.numel();
  return outermost ? x : x.contiguous();
}

// `t` with the strides of `like`.
inline at::Tensor in_order_of(const at::Tensor& t, const at::Tensor& like) {
  if (t.strides() == like.strides()) return t;
  at::Tensor copy = at::empty_like(like);
  copy.copy_(t);
  return copy;
}

// A quantizer with its zero point as loops take it: the ends of t = x / scale that have a gradient, and the codes.
struct CodeEnds {
  float lo, hi;
  int32_t lowest, highest;  // of integer types
};

// `codes`: code_range() of the spec.
inline CodeEnds code_ends(const QuantizerSpec& spec, const CodeRange& codes, int32_t zero_point) {
  const bool fp8 = dtype_is_float(spec.dtype);
  CodeEnds ends{fp8 ? -fp8_max(spec.dtype) : static_cast<float>(codes.lo - zero_point),
                fp8 ? fp8_max(spec.dtype) : static_cast<float>(codes.hi - zero_point), codes.lo, codes.hi};
  if (!spec.relu) return ends;
  ends.lo = std::numeric_limits<float>::denorm_min();  // the least number above 0: its gradient is 0 at 0
  ends.lowest = zero_point;
  return ends;
}

// f(r, run), runs shared by the threads.
template <class F>
void for_each_run(const Runs& runs, F f) {
  const int64_t grain = std::max<int64_t>(1, 32768 / runs.typical_length());
  at::parallel_for(0, runs.count(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r, runs.at(r));
  });
}

// What LSQ multiplies the gradient of a scale by: 1 / sqrt(elements per scale of the whole batch * highest code).
inline double lsq_factor(int64_t elements, int64_t scales, const QuantizerSpec& spec) {
  const double per_scale = static_cast<double>(elements) / static_cast<double>(std::max<int64_t>(1, scales)) *
                           (static_cast<double>(spec.all_samples) / static_cast<double>(spec.own_samples));
  return 1.0 / std::sqrt(std::max(1.0, per_scale) * highest_code(spec.dtype));
}

// A spec as autograd keeps it.
inline std::vector<int64_t> packed(const QuantizerSpec& spec) {
  return {static_cast<int64_t>(spec.dtype),
          spec.axis,
          spec.block_size,
          spec.narrow_range ? 1 : 0,
          spec.relu ? 1 : 0,
          spec.own_samples,
          spec.all_samples};
}

inline QuantizerSpec unpacked(const std::vector<int64_t>& numbers) {
  return {static_cast<DType>(numbers[0]),
          static_cast<int>(numbers[1]),
          numbers[2],
          numbers[3] != 0,
          numbers[4] != 0,
          numbers[5],
          numbers[6]};
}

}  // namespace octet::training
