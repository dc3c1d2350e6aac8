// Fake quantization on the GPU, without LibTorch: raw device pointers and a stream. Elements by arith/scalar.h, so
// the same bits as on the CPU. Sums are added in a fixed order: the same bits in every run.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace octet::cuda {

// A dense tensor with its quantizer. Element i = (o, a, j) of [outer, axis_dim, inner] has scale
//   per-tensor: 0;  per-channel: a;  per-group: (o * blocks + a / block_size) * inner + j   as in arith/quantize.h.
struct Problem {
  const float* x = nullptr;
  int64_t n = 0;
  int64_t outer = 1, axis_dim = 1, inner = 1;
  int64_t block_size = 0, blocks = 1;
  bool per_tensor = true;
  int64_t scale_count = 1;
  const float* scale = nullptr;
  const int32_t* zero_point = nullptr;
  int32_t code_lo = 0, code_hi = 0;  // of the integer types
  int fp8 = 0;                       // 0: integers; 1: E4M3; 2: E5M2
  bool relu = false;                 // of max(x, 0); integers, per tensor
};

cudaError_t fake_quantize(const Problem& p, float* y, cudaStream_t stream);
cudaError_t straight_through(const Problem& p, const float* g, float* dx, cudaStream_t stream);

// d x, unless `dx` is null, and d scale times `factor`. partial_count(p) doubles of scratch.
int64_t partial_count(const Problem& p);
cudaError_t learned_scale(const Problem& p, const float* g, double factor, float* dx, float* d_scale,
                          double* partials, cudaStream_t stream);

// PACT, per tensor: clips lo and hi in device memory. pact_partial_count(n) doubles of scratch.
cudaError_t clipped(const Problem& p, const float* lo, const float* hi, float scale, int32_t zero_point, float* y,
                    cudaStream_t stream);
int64_t pact_partial_count(int64_t n);
cudaError_t clipped_backward(const float* x, const float* g, int64_t n, const float* lo, const float* hi, float* dx,
                             float* d_lo, float* d_hi, double* partials, cudaStream_t stream);

// y = out(a(x) + b(x)), all per tensor and integer; a quantizer without scale passes values on.
struct SumProblem {
  int64_t n = 0;
  Problem a, b, out;  // out.x is not used
};
// Where gradients go; null where nobody wants one. `sum` is that of an operand without quantizer; `scale` and the
// `factor` it is multiplied by are in the order a, b, out.
struct SumGradients {
  float* a = nullptr;
  float* b = nullptr;
  float* sum = nullptr;
  float* scale[3] = {};
  double factor[3] = {};
};
cudaError_t quantized_sum(const SumProblem& s, float* y, cudaStream_t stream);
int64_t sum_partial_count(int64_t n);  // doubles of scratch
cudaError_t quantized_sum_backward(const SumProblem& s, const float* g, const SumGradients& d, double* partials,
                                   cudaStream_t stream);

}  // namespace octet::cuda
