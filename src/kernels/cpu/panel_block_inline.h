// Register blocks of pixels x 16 channels for files compiled for AVX2. How products get into the 32-bit sums is the
// parameter Products: Products::add_up(codes, weights) gives eight of them for one broadcast source word.
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

template <class Products>
OCTET_ALWAYS_INLINE __m256i multiply_add(__m256i sum, __m256i codes, __m256i weights) {
  return ordered(_mm256_add_epi32(sum, Products::add_up(codes, weights)));
}

// vpmaddwd: two s16 x s16 products in each sum, always exact.
struct WordProducts {
  static OCTET_ALWAYS_INLINE __m256i add_up(__m256i codes, __m256i weights) {
    return _mm256_madd_epi16(codes, weights);
  }
};

// Rows pixels times 16 channels, to int32 sums [Rows][16] in memory.
template <class Products, int Rows>
OCTET_ALWAYS_INLINE void multiply_block(const PanelCall& call, const int64_t* offsets, int32_t* sums) {
  __m256i acc[Rows][2];
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < 2; ++v) acc[r][v] = load_native(call.constants + 8 * v);
  const uint8_t* weights = call.weights;
  for (int64_t i = 0; i < call.run_count; ++i) {
    const uint8_t* base = call.src + call.runs[i].offset;
    const int64_t steps = call.runs[i].steps;
    const uint8_t* src[Rows];
    for (int r = 0; r < Rows; ++r) src[r] = base + offsets[r];
    const auto step = [&](int64_t at) __attribute__((always_inline)) {
      const __m256i w0 = load_native(weights), w1 = load_native(weights + 32);
      weights += 64;
      for (int r = 0; r < Rows; ++r) {
        const __m256i a = broadcast_step(src[r] + 4 * at);
        acc[r][0] = multiply_add<Products>(acc[r][0], a, w0);
        acc[r][1] = multiply_add<Products>(acc[r][1], a, w1);
      }
    };
    int64_t at = 0;
    for (; at + 4 <= steps; at += 4)
      for (int u = 0; u < 4; ++u) step(at + u);
    for (; at < steps; ++at) step(at);
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
