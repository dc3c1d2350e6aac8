#include <algorithm>

#include "arith/float_formats.h"
#include "arith/scalar.h"
#include "training/fake_quant_kernels.h"

namespace octet::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 8;                        // loads in flight; these kernels wait for memory alone
constexpr int64_t kSegment = kThreads * kPerThread;  // elements that one block sums
constexpr int64_t kShortRun = 64;                    // channels below that leave most of a block idle

__device__ int64_t scale_index(const Problem& p, int64_t i) {
  if (p.per_tensor) return 0;
  const int64_t a = i / p.inner % p.axis_dim;
  if (p.block_size == 0) return a;
  return (i / (p.inner * p.axis_dim) * p.blocks + a / p.block_size) * p.inner + i % p.inner;
}

__device__ float fp8_value(float t, int fp8) {
  return fp8 == 1 ? e4m3_to_float(float_to_e4m3(t)) : e5m2_to_float(float_to_e5m2(t));
}

__device__ float quantized(const Problem& p, float x, float scale, int32_t zero_point) {
  if (p.fp8 != 0) return fp8_value(x / scale, p.fp8) * scale;
  return fake_quantize_value(x, scale, zero_point, p.relu ? zero_point : p.code_lo, p.code_hi);
}

struct Ends {
  float lo, hi;
};

__device__ Ends ends_of(const Problem& p, int32_t zero_point) {
  if (p.fp8 == 1) return {-448.0f, 448.0f};
  if (p.fp8 == 2) return {-57344.0f, 57344.0f};
  // With relu the least number above 0: its gradient is 0 at 0.
  const float lo = p.relu ? __int_as_float(1) : static_cast<float>(p.code_lo - zero_point);
  return {lo, static_cast<float>(p.code_hi - zero_point)};
}

struct Term {
  float dx, slope;  // slope: d y / d scale
};

__device__ Term term_of(const Problem& p, float x, float g, float scale, const Ends& ends) {
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

// The sum over a block of kThreads threads, in thread 0; always the same tree.
__device__ double block_sum(double v) {
  __shared__ double shared[kThreads];
  shared[threadIdx.x] = v;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  const double sum = shared[0];
  __syncthreads();
  return sum;
}

// Runs of one scale: the whole tensor, or `inner` elements of one channel. Each is cut into `pieces` segments.
__host__ __device__ int64_t run_length(const Problem& p) { return p.per_tensor ? p.n : p.inner; }
__host__ __device__ int64_t pieces(const Problem& p) { return (run_length(p) + kSegment - 1) / kSegment; }
__host__ __device__ int64_t run_count(const Problem& p) { return p.per_tensor ? 1 : p.outer * p.axis_dim; }

// One block per segment.
__global__ void learned_scale_kernel(Problem p, const float* g, float* dx, double* partials) {
  const int64_t run = blockIdx.x / pieces(p), piece = blockIdx.x % pieces(p);
  const int64_t s = p.per_tensor ? 0 : run % p.axis_dim;
  const float scale = p.scale[s];
  const Ends ends = ends_of(p, p.zero_point[s]);
  const int64_t length = run_length(p), begin = run * length;
  double sum = 0;
  for_own_elements<2>({p.x, g}, begin + piece * kSegment, begin + length, [&](int64_t i, const float(&v)[2]) {
    const Term t = term_of(p, v[0], v[1], scale, ends);
    dx[i] = t.dx;
    sum += static_cast<double>(v[1]) * static_cast<double>(t.slope);
  });
  sum = block_sum(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

// One block per scale adds up its segments.
__global__ void add_partials_kernel(Problem p, const double* partials, double factor, float* d_scale) {
  const int64_t s = blockIdx.x, per_run = pieces(p), runs = p.per_tensor ? 1 : p.outer;
  double sum = 0;
  for (int64_t k = threadIdx.x; k < runs * per_run; k += kThreads) {
    const int64_t run = p.per_tensor ? 0 : k / per_run * p.axis_dim + s;
    sum += partials[run * per_run + k % per_run];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) d_scale[s] = static_cast<float>(sum * factor);
}

// Short channels and groups: one block per scale walks over its elements, which lie apart. d x is written, too.
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
    dx[i] = t.dx;
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

unsigned int segments(int64_t n) { return static_cast<unsigned int>((n + kSegment - 1) / kSegment); }

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

int64_t partial_count(const Problem& p) { return scattered(p) ? 0 : run_count(p) * pieces(p); }

cudaError_t learned_scale(const Problem& p, const float* g, double factor, float* dx, float* d_scale,
                          double* partials, cudaStream_t stream) {
  const auto scales = static_cast<unsigned int>(p.scale_count);
  if (p.n == 0) return cudaMemsetAsync(d_scale, 0, scales * sizeof(float), stream);
  if (scattered(p)) {
    scattered_scale_kernel<<<scales, kThreads, 0, stream>>>(p, g, factor, dx, d_scale);
    return cudaGetLastError();
  }
  learned_scale_kernel<<<static_cast<unsigned int>(partial_count(p)), kThreads, 0, stream>>>(p, g, dx, partials);
  add_partials_kernel<<<scales, kThreads, 0, stream>>>(p, partials, factor, d_scale);
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
