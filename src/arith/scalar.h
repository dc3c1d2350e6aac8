// The one definition of integer quantization, one element at a time. Vector loops, reference operators, the
// interpreter and every kernel test call these functions or are tested against them bit for bit.
//
// Preconditions shared by all: scale is finite and > 0; lo <= zero_point <= hi are codes of at most 16 bits (so that
// the clamp bounds are exact floats and the rounding trick holds); the rounding mode is to-nearest-even and the file
// is compiled without contraction and without fast-math. CUDA kernels (-fmad=false) call the same functions.
//
// This header is included by loops compiled per instruction set: it includes only <cstdint>, and all its functions
// are always inlined, so that no shared copy built for a wider CPU can reach the linker.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define OCTET_ALWAYS_INLINE __host__ __device__ inline __attribute__((always_inline))
#else
#define OCTET_ALWAYS_INLINE inline __attribute__((always_inline))
#endif

namespace octet {

// Nearest integer, ties to even, for |t| <= 2^22; never -0. Adding 1.5 * 2^23 leaves no fraction bits, so that the
// addition itself rounds.
OCTET_ALWAYS_INLINE float round_half_even(float t) {
  constexpr float kShifter = 12582912.0f;
  return (t + kShifter) - kShifter;
}

// Clamps t to [lo - zero_point, hi - zero_point] and rounds. Clamping first gives the same integers, because the
// bounds are integers, and keeps the rounding in range. NaN becomes the lower bound, as in ONNX Runtime on x86.
OCTET_ALWAYS_INLINE float clamp_and_round(float t, int32_t zero_point, int32_t lo, int32_t hi) {
  const float flo = static_cast<float>(lo - zero_point);
  const float fhi = static_cast<float>(hi - zero_point);
  t = t > flo ? t : flo;
  t = t < fhi ? t : fhi;
  return round_half_even(t);
}

// ONNX QuantizeLinear: clamp(round_half_even(x / scale) + zero_point, lo, hi). A true float division, never a product
// with the reciprocal, which differs in the last bit. +inf gives hi; -inf and NaN give lo.
OCTET_ALWAYS_INLINE int32_t quantize_value(float x, float scale, int32_t zero_point, int32_t lo, int32_t hi) {
  return static_cast<int32_t>(clamp_and_round(x / scale, zero_point, lo, hi)) + zero_point;
}

// ONNX DequantizeLinear: float(q - zero_point) * scale. For int32 bias codes zero_point is 0.
OCTET_ALWAYS_INLINE float dequantize_value(int32_t q, float scale, int32_t zero_point) {
  return static_cast<float>(q - zero_point) * scale;
}

// dequantize_value(quantize_value(x)), bit for bit.
OCTET_ALWAYS_INLINE float fake_quantize_value(float x, float scale, int32_t zero_point, int32_t lo, int32_t hi) {
  return clamp_and_round(x / scale, zero_point, lo, hi) * scale;
}

// An int32 accumulator to an output code: int32 -> float (nearest even), times the float scale (source scale * weight
// scale / destination scale), round half to even, add zero_point, clamp. The order that oneDNN and ONNX Runtime use.
OCTET_ALWAYS_INLINE int32_t requantize_value(int32_t acc, float scale, int32_t zero_point, int32_t lo, int32_t hi) {
  return static_cast<int32_t>(clamp_and_round(static_cast<float>(acc) * scale, zero_point, lo, hi)) + zero_point;
}

}  // namespace octet
