// Register blocks of pixels x 16 channels for files compiled for AVX2.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/conv_blocked.h"
#include "kernels/cpu/panel_store_inline.h"

namespace octet::cpu {
namespace {

// 4 x 2 registers of sums: with 2 of weights, one broadcast source word and one product, the most of 16 that does not
// spill.
constexpr int kMaxRows = 4;

OCTET_ALWAYS_INLINE __m256i broadcast_step(const uint8_t* src) {
  int32_t step;
  __builtin_memcpy(&step, src, sizeof(step));
  return _mm256_set1_epi32(step);
}

// GCC would add the products of several steps to each other first, and spill them meanwhile.
OCTET_ALWAYS_INLINE __m256i ordered(__m256i sum) {
  __asm__("" : "+x"(sum));
  return sum;
}

// How products get into the 32-bit sums: add_up(codes, weights) makes eight summands of kSteps source words, each
// broadcast, and of their weights.

// vpmaddwd: two s16 x s16 products in each sum, always exact.
struct WordProducts {
  static constexpr int kSteps = 1;
  using Rest = WordProducts;
  static OCTET_ALWAYS_INLINE __m256i add_up(const __m256i (&codes)[1], const __m256i (&weights)[1]) {
    return _mm256_madd_epi16(codes[0], weights[0]);
  }
};

// vpmaddubsw adds two u8 x s8 products in 16 bits with saturation, vpmaddwd two of those in 32 bits.
struct PairProducts {
  static constexpr int kSteps = 1;
  using Rest = PairProducts;
  static OCTET_ALWAYS_INLINE __m256i add_up(const __m256i (&codes)[1], const __m256i (&weights)[1]) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(codes[0], weights[0]), _mm256_set1_epi16(1));
  }
};

// The sums of two words are added in 16 bits, where they wrap around, before they are widened.
struct QuadProducts {
  static constexpr int kSteps = 2;
  using Rest = PairProducts;
  static OCTET_ALWAYS_INLINE __m256i add_up(const __m256i (&codes)[2], const __m256i (&weights)[2]) {
    const __m256i four =
        _mm256_add_epi16(_mm256_maddubs_epi16(codes[0], weights[0]), _mm256_maddubs_epi16(codes[1], weights[1]));
    return _mm256_madd_epi16(four, _mm256_set1_epi16(1));
  }
};

// Adds the products of Products::kSteps words of every row to the sums.
template <class Products, int Rows>
OCTET_ALWAYS_INLINE void multiply_steps(__m256i (&acc)[Rows][2], const uint8_t* const (&src)[Rows], int64_t at,
                                        const uint8_t* weights) {
  constexpr int kSteps = Products::kSteps;
  for (int r = 0; r < Rows; ++r) {
    __m256i codes[kSteps];
    for (int s = 0; s < kSteps; ++s) codes[s] = broadcast_step(src[r] + 4 * (at + s));
    for (int v = 0; v < 2; ++v) {
      __m256i w[kSteps];
      for (int s = 0; s < kSteps; ++s) w[s] = load_native(weights + 64 * s + 32 * v);
      acc[r][v] = ordered(_mm256_add_epi32(acc[r][v], Products::add_up(codes, w)));
    }
  }
}

// Rows pixels times 16 channels, to int32 sums [Rows][16] in memory.
template <class Products, int Rows>
OCTET_ALWAYS_INLINE void multiply_block(const PanelCall& call, const int64_t* offsets, int32_t* sums) {
  constexpr int kSteps = Products::kSteps, kUnrolled = 4;
  __m256i acc[Rows][2];
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < 2; ++v) acc[r][v] = load_native(call.constants + 8 * v);
  const uint8_t* weights = call.weights;
  for (int64_t i = 0; i < call.run_count; ++i) {
    const uint8_t* base = call.src + call.runs[i].offset;
    const int64_t steps = call.runs[i].steps;
    const uint8_t* src[Rows];
    for (int r = 0; r < Rows; ++r) src[r] = base + offsets[r];
    int64_t at = 0;
    for (; at + kUnrolled <= steps; at += kUnrolled, weights += 64 * kUnrolled)
      for (int u = 0; u < kUnrolled; u += kSteps) multiply_steps<Products, Rows>(acc, src, at + u, weights + 64 * u);
    for (; at + kSteps <= steps; at += kSteps, weights += 64 * kSteps)
      multiply_steps<Products, Rows>(acc, src, at, weights);
    for (; at < steps; ++at, weights += 64) multiply_steps<typename Products::Rest, Rows>(acc, src, at, weights);
  }
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < 2; ++v) _mm256_store_si256(reinterpret_cast<__m256i*>(sums + 16 * r + 8 * v), acc[r][v]);
}

template <class Products>
OCTET_ALWAYS_INLINE void multiply_rows(const PanelCall& call, const int64_t* offsets, int64_t rows, int32_t* sums) {
  switch (rows) {
    case 1: return multiply_block<Products, 1>(call, offsets, sums);
    case 2: return multiply_block<Products, 2>(call, offsets, sums);
    case 3: return multiply_block<Products, 3>(call, offsets, sums);
    default: return multiply_block<Products, kMaxRows>(call, offsets, sums);
  }
}

}  // namespace
}  // namespace octet::cpu
