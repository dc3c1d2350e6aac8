// pixel_simd_avx2.h in 512 bits (AVX-512 F, BW, VL, DQ).
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "arith/scalar.h"

namespace octet::cpu {
namespace {

struct Avx512 {
  using Floats = __m512;
  using Ints = __m512i;
  using Bytes = __m512i;
  static constexpr int64_t kLanes = 16;
  static constexpr int64_t kBytes = 64;

  static OCTET_ALWAYS_INLINE Floats set(float v) { return _mm512_set1_ps(v); }
  static OCTET_ALWAYS_INLINE Ints set(int32_t v) { return _mm512_set1_epi32(v); }
  static OCTET_ALWAYS_INLINE Bytes set(uint8_t v) { return _mm512_set1_epi8(static_cast<char>(v)); }

  static OCTET_ALWAYS_INLINE uint64_t lanes(int64_t n) { return n >= 64 ? ~0ull : n <= 0 ? 0 : (1ull << n) - 1; }
  static OCTET_ALWAYS_INLINE Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static OCTET_ALWAYS_INLINE void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
  static OCTET_ALWAYS_INLINE Floats load(const float* p, int64_t n) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes(n)), p);
  }
  static OCTET_ALWAYS_INLINE void store(float* p, Floats v, int64_t n) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>(lanes(n)), v);
  }

  static OCTET_ALWAYS_INLINE Bytes load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static OCTET_ALWAYS_INLINE void store(uint8_t* p, Bytes v) { _mm512_storeu_si512(p, v); }
  static OCTET_ALWAYS_INLINE Bytes load(const uint8_t* p, int64_t n) { return _mm512_maskz_loadu_epi8(lanes(n), p); }
  static OCTET_ALWAYS_INLINE void store(uint8_t* p, Bytes v, int64_t n) { _mm512_mask_storeu_epi8(p, lanes(n), v); }
  static OCTET_ALWAYS_INLINE __m128i load16(const uint8_t* p, int64_t n) {
    return _mm_maskz_loadu_epi8(static_cast<__mmask16>(lanes(n)), p);
  }
  static OCTET_ALWAYS_INLINE void store16(uint8_t* p, __m128i v, int64_t n) {
    _mm_mask_storeu_epi8(p, static_cast<__mmask16>(lanes(n)), v);
  }

  static OCTET_ALWAYS_INLINE Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static OCTET_ALWAYS_INLINE Floats to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }
  static OCTET_ALWAYS_INLINE Ints round(Floats a) { return _mm512_cvtps_epi32(a); }
  static OCTET_ALWAYS_INLINE bool any_magnitude_at_least(Floats a, Floats limit) {
    return _mm512_cmp_ps_mask(_mm512_abs_ps(a), limit, _CMP_GE_OQ) != 0;
  }

  static OCTET_ALWAYS_INLINE Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static OCTET_ALWAYS_INLINE Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
  static OCTET_ALWAYS_INLINE Ints mul(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
  static OCTET_ALWAYS_INLINE Ints bit_or(Ints a, Ints b) { return _mm512_or_si512(a, b); }
  template <int kBits>
  static OCTET_ALWAYS_INLINE Ints shift_left(Ints a) {
    return _mm512_slli_epi32(a, kBits);
  }
  static OCTET_ALWAYS_INLINE void store_ints(uint8_t* p, Ints v) { _mm512_storeu_si512(p, v); }
  static OCTET_ALWAYS_INLINE void widen16(__m128i codes, Ints* out) { out[0] = _mm512_cvtepu8_epi32(codes); }
  static OCTET_ALWAYS_INLINE __m128i narrow16(const Ints* in) { return _mm512_cvtepi32_epi8(in[0]); }

  static OCTET_ALWAYS_INLINE Bytes max(Bytes a, Bytes b) { return _mm512_max_epu8(a, b); }
  static OCTET_ALWAYS_INLINE Bytes min(Bytes a, Bytes b) { return _mm512_min_epu8(a, b); }
  static OCTET_ALWAYS_INLINE Bytes bit_xor(Bytes a, Bytes b) { return _mm512_xor_si512(a, b); }
  static OCTET_ALWAYS_INLINE Bytes sub_saturating(Bytes a, Bytes b) { return _mm512_subs_epi8(a, b); }
  static OCTET_ALWAYS_INLINE Bytes shuffle(Bytes a, Bytes index) { return _mm512_shuffle_epi8(a, index); }
  static OCTET_ALWAYS_INLINE Bytes repeat16(__m128i v) { return _mm512_broadcast_i32x4(v); }

  template <int kQuarter>
  static OCTET_ALWAYS_INLINE Ints quarter(Bytes a) {
    constexpr int q = 4 * kQuarter;
    return _mm512_shuffle_epi8(
        a, repeat16(_mm_setr_epi8(q, -1, -1, -1, q + 1, -1, -1, -1, q + 2, -1, -1, -1, q + 3, -1, -1, -1)));
  }
  static OCTET_ALWAYS_INLINE Bytes narrow_to_words(Ints a, Ints b) { return _mm512_packs_epi32(a, b); }
  static OCTET_ALWAYS_INLINE Bytes narrow_words(Bytes low, Bytes high, int32_t zero, uint8_t lo) {
    const __m512i z = _mm512_set1_epi16(static_cast<int16_t>(zero));
    return _mm512_max_epu8(_mm512_packus_epi16(_mm512_adds_epi16(low, z), _mm512_adds_epi16(high, z)), set(lo));
  }
  static OCTET_ALWAYS_INLINE Bytes narrow(const Ints* quarters, int32_t zero, uint8_t lo) {
    return narrow_words(narrow_to_words(quarters[0], quarters[1]), narrow_to_words(quarters[2], quarters[3]), zero,
                        lo);
  }

  static OCTET_ALWAYS_INLINE void sum_words(Bytes v, Bytes* all, Bytes* odd) {
    *all = _mm512_add_epi16(*all, v);
    *odd = _mm512_add_epi16(*odd, _mm512_srli_epi16(v, 8));
  }
  static OCTET_ALWAYS_INLINE void widen_sums(Bytes all, Bytes odd, Ints* sums) {
    const __m512i none = _mm512_setzero_si512();
    const __m512i even = _mm512_sub_epi16(all, _mm512_slli_epi16(odd, 8));
    const __m512i low = _mm512_unpacklo_epi16(even, odd), high = _mm512_unpackhi_epi16(even, odd);
    sums[0] = _mm512_add_epi32(sums[0], _mm512_unpacklo_epi16(low, none));
    sums[1] = _mm512_add_epi32(sums[1], _mm512_unpackhi_epi16(low, none));
    sums[2] = _mm512_add_epi32(sums[2], _mm512_unpacklo_epi16(high, none));
    sums[3] = _mm512_add_epi32(sums[3], _mm512_unpackhi_epi16(high, none));
  }
};

}  // namespace
}  // namespace octet::cpu
