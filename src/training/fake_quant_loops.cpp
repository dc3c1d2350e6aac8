// Compiled once per instruction set (octet_hot_loops). See fake_quant_loops.h for the contracts.
#include "training/fake_quant_loops.h"

#include "arith/scalar.h"

namespace octet::OCTET_ISA {
namespace {

constexpr int kLanes = 16;    // the order of summation, whatever the vector width
constexpr int kBlock = 1024;  // floats add up within a block, doubles over the blocks

OCTET_ALWAYS_INLINE double sum_lanes(const float* lanes) {
  double sum = 0;
  for (int l = 0; l < kLanes; ++l) sum += static_cast<double>(lanes[l]);
  return sum;
}

void straight_through(const float* x, const float* g, float* dx, int64_t n, float scale, float lo, float hi) {
  for (int64_t i = 0; i < n; ++i) {
    const float t = x[i] / scale;
    dx[i] = (t >= lo) & (t <= hi) ? g[i] : 0.0f;
  }
}

// One element of learned_scale: writes dx, returns the term of the sum. NaN quantizes to lo and counts as below.
OCTET_ALWAYS_INLINE float learned_term(float x, float g, float* dx, float scale, float lo, float hi) {
  const float t = x / scale;
  const bool inside = (t >= lo) & (t <= hi);
  float c = t > lo ? t : lo;
  c = c < hi ? c : hi;
  const float q = round_half_even(c);
  *dx = inside ? g : 0.0f;
  return g * (inside ? q - t : q);
}

double learned_scale(const float* x, const float* g, float* dx, int64_t n, float scale, float lo, float hi) {
  double total = 0;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t m = n - first < kBlock ? n - first : kBlock;
    float lanes[kLanes] = {};
    int64_t i = first;
    for (; i + kLanes <= first + m; i += kLanes)
      for (int l = 0; l < kLanes; ++l) lanes[l] += learned_term(x[i + l], g[i + l], dx + i + l, scale, lo, hi);
    for (int l = 0; i < first + m; ++i, ++l) lanes[l] += learned_term(x[i], g[i], dx + i, scale, lo, hi);
    total += sum_lanes(lanes);
  }
  return total;
}

void row(const float* x, const float* g, float* dx, int64_t n, const float* scale, const float* lo, const float* hi,
         double* sums) {
  if (sums == nullptr) {
    for (int64_t i = 0; i < n; ++i) {
      const float t = x[i] / scale[i];
      dx[i] = (t >= lo[i]) & (t <= hi[i]) ? g[i] : 0.0f;
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    sums[i] += static_cast<double>(learned_term(x[i], g[i], dx + i, scale[i], lo[i], hi[i]));
}

void clipped(const float* x, float* y, int64_t n, float clip_lo, float clip_hi, float scale, int32_t zero_point,
             int32_t code_lo, int32_t code_hi) {
  for (int64_t i = 0; i < n; ++i) {
    float v = x[i] < clip_lo ? clip_lo : x[i];
    v = v > clip_hi ? clip_hi : v;
    y[i] = fake_quantize_value(v, scale, zero_point, code_lo, code_hi);
  }
}

PactSums clipped_backward(const float* x, const float* g, float* dx, int64_t n, float clip_lo, float clip_hi) {
  PactSums total;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t end = first + (n - first < kBlock ? n - first : kBlock);
    float below[kLanes] = {}, above[kLanes] = {};
    for (int64_t i = first; i < end; i += kLanes) {
      const int m = end - i < kLanes ? static_cast<int>(end - i) : kLanes;
      for (int l = 0; l < m; ++l) {
        const float v = x[i + l], grad = g[i + l];
        dx[i + l] = (v > clip_lo) & (v < clip_hi) ? grad : 0.0f;
        below[l] += v <= clip_lo ? grad : 0.0f;
        above[l] += v >= clip_hi ? grad : 0.0f;
      }
    }
    total.lo += sum_lanes(below);
    total.hi += sum_lanes(above);
  }
  return total;
}

}  // namespace

extern const FakeQuantLoops kFakeQuantLoops;
const FakeQuantLoops kFakeQuantLoops = {straight_through, learned_scale, row, clipped, clipped_backward};

}  // namespace octet::OCTET_ISA
