#include <algorithm>

#include "training/fake_quant_device.h"

namespace octet::cuda {
namespace {

// One quantizer with its scale at hand.
struct Loaded {
  bool is_there;
  float scale;
  int32_t zero_point;
  Ends ends;
};

__device__ Loaded load(const Problem& p) {
  if (p.scale == nullptr) return {false, 1.0f, 0, {0.0f, 0.0f}};
  const int32_t zero_point = *p.zero_point;
  return {true, *p.scale, zero_point, ends_of(p, zero_point)};
}

__device__ float enter(const Problem& p, const Loaded& q, float x) {
  return q.is_there ? quantized(p, x, q.scale, q.zero_point) : x;
}

__global__ void quantized_sum_kernel(SumProblem s, float* y) {
  const Loaded a = load(s.a), b = load(s.b), out = load(s.out);
  for_own_elements<2>({s.a.x, s.b.x}, blockIdx.x * kSegment, s.n, [&](int64_t i, const float(&v)[2]) {
    y[i] = quantized(s.out, enter(s.a, a, v[0]) + enter(s.b, b, v[1]), out.scale, out.zero_point);
  });
}

// Blocks walk over segments in turns. Sums of scales: one per block and learned quantizer, `blocks` apart.
__global__ void quantized_sum_backward_kernel(SumProblem s, const float* g, SumGradients d, double* partials) {
  const Loaded a = load(s.a), b = load(s.b), out = load(s.out);
  double of_a = 0, of_b = 0, of_out = 0;
  for (int64_t at = blockIdx.x * kSegment; at < s.n; at += gridDim.x * kSegment) {
    float few_a = 0, few_b = 0, few_out = 0;
    for_own_elements<3>({s.a.x, s.b.x, g}, at, s.n, [&](int64_t i, const float(&v)[3]) {
      const float sum = enter(s.a, a, v[0]) + enter(s.b, b, v[1]);
      const Term whole = term_of(s.out, sum, v[2], out.scale, out.ends);
      few_out += v[2] * whole.slope;
      if (d.sum != nullptr) d.sum[i] = whole.dx;
      if (a.is_there) {
        const Term left = term_of(s.a, v[0], whole.dx, a.scale, a.ends);
        few_a += whole.dx * left.slope;
        d.a[i] = left.dx;
      }
      if (b.is_there) {
        const Term right = term_of(s.b, v[1], whole.dx, b.scale, b.ends);
        few_b += whole.dx * right.slope;
        d.b[i] = right.dx;
      }
    });
    of_a += static_cast<double>(few_a);
    of_b += static_cast<double>(few_b);
    of_out += static_cast<double>(few_out);
  }
  const double sums[3] = {of_a, of_b, of_out};
  for (int k = 0; k < 3; ++k) {
    if (d.scale[k] == nullptr) continue;
    const double sum = block_sum(sums[k]);
    if (threadIdx.x == 0) partials[k * gridDim.x + blockIdx.x] = sum;
  }
}

__global__ void add_sum_partials_kernel(SumGradients d, unsigned int count, const double* partials) {
  const unsigned int k = blockIdx.x;
  if (d.scale[k] == nullptr) return;
  double sum = 0;
  for (unsigned int i = threadIdx.x; i < count; i += kThreads) sum += partials[k * count + i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *d.scale[k] = static_cast<float>(sum * d.factor[k]);
}

unsigned int sum_blocks(int64_t n) {
  return static_cast<unsigned int>(std::min<int64_t>(kManyBlocks, std::max(1u, segments(n))));
}

}  // namespace

cudaError_t quantized_sum(const SumProblem& s, float* y, cudaStream_t stream) {
  if (s.n > 0) quantized_sum_kernel<<<segments(s.n), kThreads, 0, stream>>>(s, y);
  return cudaGetLastError();
}

int64_t sum_partial_count(int64_t n) { return 3 * static_cast<int64_t>(sum_blocks(n)); }

cudaError_t quantized_sum_backward(const SumProblem& s, const float* g, const SumGradients& d, double* partials,
                                   cudaStream_t stream) {
  const unsigned int blocks = sum_blocks(s.n);
  quantized_sum_backward_kernel<<<blocks, kThreads, 0, stream>>>(s, g, d, partials);
  const bool learns = d.scale[0] != nullptr || d.scale[1] != nullptr || d.scale[2] != nullptr;
  if (learns) add_sum_partials_kernel<<<3, kThreads, 0, stream>>>(d, blocks, partials);
  return cudaGetLastError();
}

}  // namespace octet::cuda
