// The vectors that pixel_loops_inline.h is written for, 256 bits wide. pixel_simd_avx512.h says the same in 512 bits.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "arith/scalar.h"

namespace octet::cpu {
namespace {

struct Avx2 {
  using Floats = __m256;
  using Ints = __m256i;
  using Bytes = __m256i;
  static constexpr int64_t kLanes = 8;   // of Floats and Ints
  static constexpr int64_t kBytes = 32;  // of Bytes

  static OCTET_ALWAYS_INLINE Floats set(float v) { return _mm256_set1_ps(v); }
  static OCTET_ALWAYS_INLINE Ints set(int32_t v) { return _mm256_set1_epi32(v); }
  static OCTET_ALWAYS_INLINE Bytes set(uint8_t v) { return _mm256_set1_epi8(static_cast<char>(v)); }

  static OCTET_ALWAYS_INLINE Floats load(const float* p) { return _mm256_loadu_ps(p); }
  static OCTET_ALWAYS_INLINE void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
  static OCTET_ALWAYS_INLINE __m256i lanes(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  // n may be negative or more than kLanes; lanes not read are 0.
  static OCTET_ALWAYS_INLINE Floats load(const float* p, int64_t n) { return _mm256_maskload_ps(p, lanes(n)); }
  static OCTET_ALWAYS_INLINE void store(float* p, Floats v, int64_t n) { _mm256_maskstore_ps(p, lanes(n), v); }

  static OCTET_ALWAYS_INLINE Bytes load(const uint8_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
  static OCTET_ALWAYS_INLINE void store(uint8_t* p, Bytes v) { _mm256_storeu_si256((__m256i*)p, v); }
  // 0 <= n <= kBytes; the others are 0.
  static OCTET_ALWAYS_INLINE Bytes load(const uint8_t* p, int64_t n) {
    alignas(32) uint8_t copy[32];
    _mm256_store_si256((__m256i*)copy, _mm256_setzero_si256());
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) __builtin_memcpy(copy + i, p + i, 8);
    for (; i < n; ++i) copy[i] = p[i];
    return _mm256_load_si256((const __m256i*)copy);
  }
  static OCTET_ALWAYS_INLINE void store(uint8_t* p, Bytes v, int64_t n) {
    alignas(32) uint8_t copy[32];
    _mm256_store_si256((__m256i*)copy, v);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) __builtin_memcpy(p + i, copy + i, 8);
    for (; i < n; ++i) p[i] = copy[i];
  }
  // The same for 16 bytes.
  static OCTET_ALWAYS_INLINE __m128i load16(const uint8_t* p, int64_t n) {
    if (n >= 16) return _mm_loadu_si128((const __m128i*)p);
    return _mm256_castsi256_si128(load(p, n));
  }
  static OCTET_ALWAYS_INLINE void store16(uint8_t* p, __m128i v, int64_t n) {
    if (n >= 16) {
      _mm_storeu_si128((__m128i*)p, v);
    } else {
      store(p, _mm256_castsi128_si256(v), n);
    }
  }

  static OCTET_ALWAYS_INLINE Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  // a > b ? a : b, and a < b ? a : b: b when one is NaN.
  static OCTET_ALWAYS_INLINE Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats to_floats(Ints a) { return _mm256_cvtepi32_ps(a); }
  static OCTET_ALWAYS_INLINE Ints round(Floats a) { return _mm256_cvtps_epi32(a); }
  static OCTET_ALWAYS_INLINE bool any_magnitude_at_least(Floats a, Floats limit) {
    const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
    return _mm256_movemask_ps(_mm256_cmp_ps(magnitude, limit, _CMP_GE_OQ)) != 0;
  }

  static OCTET_ALWAYS_INLINE Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static OCTET_ALWAYS_INLINE Ints sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
  static OCTET_ALWAYS_INLINE Ints mul(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
  static OCTET_ALWAYS_INLINE Ints bit_or(Ints a, Ints b) { return _mm256_or_si256(a, b); }
  template <int kBits>
  static OCTET_ALWAYS_INLINE Ints shift_left(Ints a) {
    return _mm256_slli_epi32(a, kBits);
  }
  static OCTET_ALWAYS_INLINE void store_ints(uint8_t* p, Ints v) { _mm256_storeu_si256((__m256i*)p, v); }
  // 16 codes to 16 / kLanes vectors, and back; the values must be 0..255.
  static OCTET_ALWAYS_INLINE void widen16(__m128i codes, Ints* out) {
    out[0] = _mm256_cvtepu8_epi32(codes);
    out[1] = _mm256_cvtepu8_epi32(_mm_srli_si128(codes, 8));
  }
  static OCTET_ALWAYS_INLINE __m128i narrow16(const Ints* in) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(in[0], in[1]), 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }

  static OCTET_ALWAYS_INLINE Bytes max(Bytes a, Bytes b) { return _mm256_max_epu8(a, b); }
  static OCTET_ALWAYS_INLINE Bytes min(Bytes a, Bytes b) { return _mm256_min_epu8(a, b); }
  static OCTET_ALWAYS_INLINE Bytes bit_xor(Bytes a, Bytes b) { return _mm256_xor_si256(a, b); }
  static OCTET_ALWAYS_INLINE Bytes sub_saturating(Bytes a, Bytes b) { return _mm256_subs_epi8(a, b); }
  static OCTET_ALWAYS_INLINE Bytes shuffle(Bytes a, Bytes index) { return _mm256_shuffle_epi8(a, index); }
  static OCTET_ALWAYS_INLINE Bytes repeat16(__m128i v) { return _mm256_broadcastsi128_si256(v); }

  // Quarter k of every 16 bytes, as Ints. narrow() puts the four quarters back, adds zero and keeps them at least lo;
  // it saturates at 0 and 255.
  template <int kQuarter>
  static OCTET_ALWAYS_INLINE Ints quarter(Bytes a) {
    constexpr int q = 4 * kQuarter;
    return _mm256_shuffle_epi8(
        a, repeat16(_mm_setr_epi8(q, -1, -1, -1, q + 1, -1, -1, -1, q + 2, -1, -1, -1, q + 3, -1, -1, -1)));
  }
  static OCTET_ALWAYS_INLINE Bytes narrow_to_words(Ints a, Ints b) { return _mm256_packs_epi32(a, b); }
  static OCTET_ALWAYS_INLINE Bytes narrow_words(Bytes low, Bytes high, int32_t zero, uint8_t lo) {
    const __m256i z = _mm256_set1_epi16(static_cast<int16_t>(zero));
    return _mm256_max_epu8(_mm256_packus_epi16(_mm256_adds_epi16(low, z), _mm256_adds_epi16(high, z)), set(lo));
  }
  static OCTET_ALWAYS_INLINE Bytes narrow(const Ints* quarters, int32_t zero, uint8_t lo) {
    return narrow_words(narrow_to_words(quarters[0], quarters[1]), narrow_to_words(quarters[2], quarters[3]), zero,
                        lo);
  }

  // Sums of bytes in 16 bits: `all` sums the 16-bit words as they are, modulo 2^16, `odd` their upper bytes.
  static OCTET_ALWAYS_INLINE void sum_words(Bytes v, Bytes* all, Bytes* odd) {
    *all = _mm256_add_epi16(*all, v);
    *odd = _mm256_add_epi16(*odd, _mm256_srli_epi16(v, 8));
  }
  // Adds the sums to 32-bit ones, ordered as quarters.
  static OCTET_ALWAYS_INLINE void widen_sums(Bytes all, Bytes odd, Ints* sums) {
    const __m256i none = _mm256_setzero_si256();
    const __m256i even = _mm256_sub_epi16(all, _mm256_slli_epi16(odd, 8));
    const __m256i low = _mm256_unpacklo_epi16(even, odd), high = _mm256_unpackhi_epi16(even, odd);
    sums[0] = _mm256_add_epi32(sums[0], _mm256_unpacklo_epi16(low, none));
    sums[1] = _mm256_add_epi32(sums[1], _mm256_unpackhi_epi16(low, none));
    sums[2] = _mm256_add_epi32(sums[2], _mm256_unpacklo_epi16(high, none));
    sums[3] = _mm256_add_epi32(sums[3], _mm256_unpackhi_epi16(high, none));
  }
};

}  // namespace
}  // namespace octet::cpu
