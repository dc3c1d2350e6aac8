// Sixteen sums of pairs in one AVX-512 register, for the loops of matmul_inline.h. For files compiled for AVX-512.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/matmul_inline.h"

namespace octet::cpu {
namespace {

struct Avx512 {
  using Ints = __m512i;
  static constexpr int64_t kLanes = 16;
  static constexpr int kRows = 8;
  static OCTET_ALWAYS_INLINE Ints zero() { return _mm512_setzero_si512(); }
  static OCTET_ALWAYS_INLINE Ints load(const int16_t* p) { return _mm512_loadu_si512(p); }
  static OCTET_ALWAYS_INLINE Ints repeat(const int16_t* p) {
    int32_t pair = 0;
    __builtin_memcpy(&pair, p, 4);
    return _mm512_set1_epi32(pair);
  }
  static OCTET_ALWAYS_INLINE Ints multiply_add(Ints sum, Ints a, Ints b) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
  }
  static OCTET_ALWAYS_INLINE void store(int32_t* p, Ints v) { _mm512_storeu_si512(p, v); }
};

}  // namespace
}  // namespace octet::cpu
