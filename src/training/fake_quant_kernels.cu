#include <algorithm>

#include "training/fake_quant_device.h"

namespace octet::cuda {
namespace {

constexpr int64_t kShortRun = 64;  // channels below that leave most of a block idle

__device__ int64_t scale_index(const Problem& p, int64_t i) {
  if (p.per_tensor) return 0;
  const int64_t a = i / p.inner % p.axis_dim;
  if (p.block_size == 0) return a;
  return (i / (p.inner * p.axis_dim) * p.blocks + a / p.block_size) * p.inner + i % p.inner;
}

__global__ void fake_quantize_kernel(Problem p, float* y) {
  for_own_elements<1>({p.x}, blockIdx.x * kSegment, p.n, [&](int64_t i, const float(&v)[1]) {
    const int64_t s = scale_index(p, i);
    y[i] = quantized(p, v[0], p.scale[s], p.zero_point[s]);
  });
}

__global__ void straight_through_kernel(Problem p, const float* g, float* dx) {
  for_own_elements<2>({p.x, g}, blockIdx.x * kSegment, p.n, [&](int64_t i, const float(&v)[2]) {
    const int64_t s = scale_index(p, i);
    const Ends ends = ends_of(p, p.zero_point[s]);
    const float t = v[0] / p.scale[s];
    dx[i] = t >= ends.lo && t <= ends.hi ? v[1] : 0.0f;
  });
}

// Runs of one scale: the whole tensor, or `inner` elements of one channel. Each has blocks of its own, which walk
// over its segments in turns, so that a long run needs few sums over blocks.
__host__ __device__ int64_t run_length(const Problem& p) { return p.per_tensor ? p.n : p.inner; }
int64_t run_count(const Problem& p) { return p.per_tensor ? 1 : p.outer * p.axis_dim; }

unsigned int blocks_per_run(const Problem& p) {
  const int64_t segments = (run_length(p) + kSegment - 1) / kSegment;
  return static_cast<unsigned int>(std::min(segments, std::max<int64_t>(1, kManyBlocks / run_count(p))));
}

// Sums of single blocks that are whole gradients: of a scale with one run and one block.
bool sums_at_once(const Problem& p) { return blocks_per_run(p) == 1 && (p.per_tensor || p.outer == 1); }

// d x only where somebody wants it. One sum per block: to `partials`, or times `factor` to d_scale.
__global__ void learned_scale_kernel(Problem p, unsigned int per_run, const float* g, double factor, float* dx,
                                     float* d_scale, double* partials) {
  const unsigned int run = blockIdx.x / per_run;
  const int64_t s = p.per_tensor ? 0 : run % static_cast<unsigned int>(p.axis_dim);
  const float scale = p.scale[s];
  const Ends ends = ends_of(p, p.zero_point[s]);
  const int64_t length = run_length(p), begin = run * length, end = begin + length;
  double sum = 0;
  for (int64_t at = begin + blockIdx.x % per_run * kSegment; at < end; at += per_run * kSegment) {
    float few = 0;  // kPerThread products
    for_own_elements<2>({p.x, g}, at, end, [&](int64_t i, const float(&v)[2]) {
      const Term t = term_of(p, v[0], v[1], scale, ends);
      if (dx != nullptr) dx[i] = t.dx;
      few += v[1] * t.slope;
    });
    sum += static_cast<double>(few);
  }
  sum = block_sum(sum);
  if (threadIdx.x != 0) return;
  if (partials != nullptr) partials[blockIdx.x] = sum;
  else d_scale[s] = static_cast<float>(sum * factor);
}

// One block per scale adds up the sums of its blocks.
__global__ void add_partials_kernel(Problem p, unsigned int per_run, const double* partials, double factor,
                                    float* d_scale) {
  const int64_t s = blockIdx.x, runs = p.per_tensor ? 1 : p.outer;
  double sum = 0;
  for (int64_t k = threadIdx.x; k < runs * per_run; k += kThreads) {
    const int64_t run = p.per_tensor ? 0 : k / per_run * p.axis_dim + s;
    sum += partials[run * per_run + k % per_run];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) d_scale[s] = static_cast<float>(sum * factor);
}

// Short channels and groups: one block per scale walks over its elements, which lie apart.
__global__ void scattered_scale_kernel(Problem p, const float* g, double factor, float* dx, float* d_scale) {
  const int64_t s = blockIdx.x;
  const float scale = p.scale[s];
  const Ends ends = ends_of(p, p.zero_point[s]);
  const bool groups = p.block_size > 0;
  const int64_t j0 = groups ? s % p.inner : 0, block = groups ? s / p.inner % p.blocks : 0;
  const int64_t o0 = groups ? s / (p.inner * p.blocks) : 0;
  const int64_t a0 = groups ? block * p.block_size : s;
  const int64_t rows = !groups ? p.outer : a0 + p.block_size <= p.axis_dim ? p.block_size : p.axis_dim - a0;
  const int64_t columns = groups ? 1 : p.inner;
  double sum = 0;
  for (int64_t k = threadIdx.x; k < rows * columns; k += kThreads) {
    const int64_t row = k / columns, column = k % columns;
    const int64_t o = groups ? o0 : row, a = groups ? a0 + row : a0, j = groups ? j0 : column;
    const int64_t i = (o * p.axis_dim + a) * p.inner + j;
    const Term t = term_of(p, p.x[i], g[i], scale, ends);
    if (dx != nullptr) dx[i] = t.dx;
    sum += static_cast<double>(g[i]) * static_cast<double>(t.slope);
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) d_scale[s] = static_cast<float>(sum * factor);
}

__global__ void clipped_kernel(Problem p, const float* lo, const float* hi, float scale, int32_t zero_point,
                               float* y) {
  const float clip_lo = *lo, clip_hi = *hi;
  const int64_t first = blockIdx.x * kSegment + threadIdx.x;
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    const int64_t i = first + k * kThreads;
    if (i >= p.n) return;
    float v = p.x[i] < clip_lo ? clip_lo : p.x[i];
    v = v > clip_hi ? clip_hi : v;
    y[i] = quantized(p, v, scale, zero_point);
  }
}

__global__ void clipped_backward_kernel(const float* x, const float* g, int64_t n, const float* lo, const float* hi,
                                        float* dx, double* partials) {
  const float clip_lo = *lo, clip_hi = *hi;
  double below = 0, above = 0;
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    const int64_t i = blockIdx.x * kSegment + k * kThreads + threadIdx.x;
    if (i < n) {
      const float v = x[i];
      dx[i] = v > clip_lo && v < clip_hi ? g[i] : 0.0f;
      if (v <= clip_lo) below += static_cast<double>(g[i]);
      if (v >= clip_hi) above += static_cast<double>(g[i]);
    }
  }
  below = block_sum(below);
  above = block_sum(above);
  if (threadIdx.x == 0) {
    partials[2 * blockIdx.x] = below;
    partials[2 * blockIdx.x + 1] = above;
  }
}

__global__ void add_clip_partials_kernel(const double* partials, int64_t count, float* d_lo, float* d_hi) {
  double below = 0, above = 0;
  for (int64_t k = threadIdx.x; k < count; k += kThreads) {
    below += partials[2 * k];
    above += partials[2 * k + 1];
  }
  below = block_sum(below);
  above = block_sum(above);
  if (threadIdx.x == 0) {
    *d_lo = static_cast<float>(below);
    *d_hi = static_cast<float>(above);
  }
}

bool scattered(const Problem& p) { return !p.per_tensor && (p.block_size > 0 || p.inner < kShortRun); }

}  // namespace

cudaError_t fake_quantize(const Problem& p, float* y, cudaStream_t stream) {
  if (p.n > 0) fake_quantize_kernel<<<segments(p.n), kThreads, 0, stream>>>(p, y);
  return cudaGetLastError();
}

cudaError_t straight_through(const Problem& p, const float* g, float* dx, cudaStream_t stream) {
  if (p.n > 0) straight_through_kernel<<<segments(p.n), kThreads, 0, stream>>>(p, g, dx);
  return cudaGetLastError();
}

int64_t partial_count(const Problem& p) {
  return p.n == 0 || scattered(p) || sums_at_once(p) ? 0 : run_count(p) * blocks_per_run(p);
}

cudaError_t learned_scale(const Problem& p, const float* g, double factor, float* dx, float* d_scale,
                          double* partials, cudaStream_t stream) {
  const auto scales = static_cast<unsigned int>(p.scale_count);
  if (p.n == 0) return cudaMemsetAsync(d_scale, 0, scales * sizeof(float), stream);
  if (scattered(p)) {
    scattered_scale_kernel<<<scales, kThreads, 0, stream>>>(p, g, factor, dx, d_scale);
    return cudaGetLastError();
  }
  const unsigned int per_run = blocks_per_run(p), blocks = static_cast<unsigned int>(run_count(p)) * per_run;
  if (sums_at_once(p)) partials = nullptr;
  learned_scale_kernel<<<blocks, kThreads, 0, stream>>>(p, per_run, g, factor, dx, d_scale, partials);
  if (partials != nullptr)
    add_partials_kernel<<<scales, kThreads, 0, stream>>>(p, per_run, partials, factor, d_scale);
  return cudaGetLastError();
}

cudaError_t clipped(const Problem& p, const float* lo, const float* hi, float scale, int32_t zero_point, float* y,
                    cudaStream_t stream) {
  if (p.n > 0) clipped_kernel<<<segments(p.n), kThreads, 0, stream>>>(p, lo, hi, scale, zero_point, y);
  return cudaGetLastError();
}

int64_t pact_partial_count(int64_t n) { return 2 * static_cast<int64_t>(segments(n)); }

cudaError_t clipped_backward(const float* x, const float* g, int64_t n, const float* lo, const float* hi, float* dx,
                             float* d_lo, float* d_hi, double* partials, cudaStream_t stream) {
  const unsigned int blocks = segments(n);
  if (n > 0) clipped_backward_kernel<<<blocks, kThreads, 0, stream>>>(x, g, n, lo, hi, dx, partials);
  add_clip_partials_kernel<<<1, kThreads, 0, stream>>>(partials, blocks, d_lo, d_hi);
  return cudaGetLastError();
}

}  // namespace octet::cuda
