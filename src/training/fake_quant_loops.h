// The hot loops of fake quantization in training, filled in once per instruction set by fake_quant_loops.cpp. The
// same results at every level: gradients of ranges add in sixteen fixed lanes.
//
// t = x / scale; lo and hi are the ends of the codes with the zero point taken off, so that [lo, hi] * scale is what
// the codes represent. q = clamp_and_round(t) as arith/scalar.h defines it.
#pragma once

#include <cstdint>

namespace octet {

struct PactSums {
  double lo = 0;
  double hi = 0;
};

struct FakeQuantLoops {
  // dx = g where lo <= t <= hi, else 0 (NaN: 0).
  void (*straight_through)(const float* x, const float* g, float* dx, int64_t n, float scale, float lo, float hi);
  // The same; returns the sum of g * (q - t inside, lo or hi outside): the gradient of the scale.
  double (*learned_scale)(const float* x, const float* g, float* dx, int64_t n, float scale, float lo, float hi);
  // A row with one scale per element: dx = g where lo[i] <= t <= hi[i], else 0; where `sums` is not null, the terms
  // of learned_scale are added to it, element by element.
  void (*row)(const float* x, const float* g, float* dx, int64_t n, const float* scale, const float* lo,
              const float* hi, double* sums);
  // y = fake_quantize(min(max(x, clip_lo), clip_hi)); NaN stays NaN up to the quantizer.
  void (*clipped)(const float* x, float* y, int64_t n, float clip_lo, float clip_hi, float scale, int32_t zero_point,
                  int32_t code_lo, int32_t code_hi);
  // dx = g where clip_lo < x < clip_hi, else 0; returns the sums of g where x <= clip_lo and where x >= clip_hi.
  PactSums (*clipped_backward)(const float* x, const float* g, float* dx, int64_t n, float clip_lo, float clip_hi);
};

// The table of the active instruction set.
const FakeQuantLoops& fake_quant_loops();

namespace base {
extern const FakeQuantLoops kFakeQuantLoops;
}
namespace avx2 {
extern const FakeQuantLoops kFakeQuantLoops;
}
namespace avx512 {
extern const FakeQuantLoops kFakeQuantLoops;
}

}  // namespace octet
