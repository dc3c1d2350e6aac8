// What the kernels of fake quantization share: the arithmetic of one element, and how threads walk over many.
// Included by .cu files only.
#pragma once

#include "arith/float_formats.h"
#include "arith/scalar.h"
#include "training/fake_quant_kernels.h"

namespace octet::cuda {

constexpr int kThreads = 256;
constexpr int kPerThread = 8;                        // loads in flight; these kernels wait for memory alone
constexpr int64_t kSegment = kThreads * kPerThread;  // elements that one block sums
constexpr int64_t kManyBlocks = 1056;                // for sums: eight for each multiprocessor of an H100

inline unsigned int segments(int64_t n) { return static_cast<unsigned int>((n + kSegment - 1) / kSegment); }

static __device__ float fp8_value(float t, int fp8) {
  return fp8 == 1 ? e4m3_to_float(float_to_e4m3(t)) : e5m2_to_float(float_to_e5m2(t));
}

static __device__ float quantized(const Problem& p, float x, float scale, int32_t zero_point) {
  if (p.fp8 != 0) return fp8_value(x / scale, p.fp8) * scale;
  return fake_quantize_value(x, scale, zero_point, p.relu ? zero_point : p.code_lo, p.code_hi);
}

struct Ends {
  float lo, hi;
};

static __device__ Ends ends_of(const Problem& p, int32_t zero_point) {
  if (p.fp8 == 1) return {-448.0f, 448.0f};
  if (p.fp8 == 2) return {-57344.0f, 57344.0f};
  // With relu the least number above 0: its gradient is 0 at 0.
  const float lo = p.relu ? __int_as_float(1) : static_cast<float>(p.code_lo - zero_point);
  return {lo, static_cast<float>(p.code_hi - zero_point)};
}

struct Term {
  float dx, slope;  // slope: d y / d scale
};

static __device__ Term term_of(const Problem& p, float x, float g, float scale, const Ends& ends) {
  const float t = x / scale;
  const bool inside = t >= ends.lo && t <= ends.hi;
  if (p.fp8 != 0 && t != t) return {0.0f, 0.0f};
  float c = t > ends.lo ? t : ends.lo;
  c = c < ends.hi ? c : ends.hi;
  const float q = p.fp8 != 0 ? fp8_value(t, p.fp8) : round_half_even(c);
  return {inside ? g : 0.0f, inside ? q - t : q};
}

// This thread's elements of a segment that begins at `begin` and ends before `end`, all loaded before f(k, i, values)
// sees the first: stores in between would make every load wait.
template <int N, class F>
__device__ void for_own_elements(const float* const (&from)[N], int64_t begin, int64_t end, F f) {
  float values[kPerThread][N];
  const int64_t first = begin + threadIdx.x;
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    const int64_t i = first + k * kThreads;
#pragma unroll
    for (int a = 0; a < N; ++a) values[k][a] = i < end ? from[a][i] : 0.0f;
  }
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    const int64_t i = first + k * kThreads;
    if (i < end) f(i, values[k]);
  }
}

// The sum over a block of kThreads threads, in thread 0; always the same tree.
static __device__ double block_sum(double v) {
  constexpr unsigned kAll = 0xffffffffu;
  constexpr int kWarp = 32, kWarps = kThreads / kWarp;
  __shared__ double shared[kWarps];
  for (int apart = kWarp / 2; apart > 0; apart /= 2) v += __shfl_down_sync(kAll, v, apart);
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = v;
  __syncthreads();
  v = threadIdx.x < kWarps ? shared[threadIdx.x] : 0.0;
  if (threadIdx.x < kWarp)
    for (int apart = kWarps / 2; apart > 0; apart /= 2) v += __shfl_down_sync(kAll, v, apart);
  __syncthreads();  // the next sum writes there again
  return v;
}

}  // namespace octet::cuda
