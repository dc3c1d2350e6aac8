// Sixteen int32 or float lanes, as one AVX-512 or two AVX2 registers, and the few operations that storing needs. For
// files compiled for one of these instruction sets; everything has internal linkage, because the same names mean
// other code in a file compiled for another.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "arith/scalar.h"

namespace octet::cpu {
namespace {

#if defined(__AVX512BW__)
typedef float NativeFloats __attribute__((vector_size(64)));
constexpr int kParts = 1;
constexpr int kMaxVectors = 4;  // of 16 codes in one native register

struct Ints {
  __m512i part[kParts];
};
struct Floats {
  __m512 part[kParts];
};
using Codes = __m512i;  // up to kMaxVectors * 16 bytes

OCTET_ALWAYS_INLINE Ints load_ints(const int32_t* p) { return {{_mm512_loadu_si512(p)}}; }
OCTET_ALWAYS_INLINE Floats load_floats(const float* p) { return {{_mm512_loadu_ps(p)}}; }
OCTET_ALWAYS_INLINE void store_floats(float* p, Floats v) { _mm512_storeu_ps(p, v.part[0]); }
OCTET_ALWAYS_INLINE Ints load_codes_as_ints(const uint8_t* p) {
  return {{_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))}};
}
OCTET_ALWAYS_INLINE Ints all_ints(int32_t v) { return {{_mm512_set1_epi32(v)}}; }
OCTET_ALWAYS_INLINE Floats all_floats(float v) { return {{_mm512_set1_ps(v)}}; }
OCTET_ALWAYS_INLINE Ints add(Ints a, Ints b) { return {{_mm512_add_epi32(a.part[0], b.part[0])}}; }
OCTET_ALWAYS_INLINE Ints subtract(Ints a, Ints b) { return {{_mm512_sub_epi32(a.part[0], b.part[0])}}; }
OCTET_ALWAYS_INLINE Ints clamp(Ints a, Ints lo, Ints hi) {
  return {{_mm512_min_epi32(_mm512_max_epi32(a.part[0], lo.part[0]), hi.part[0])}};
}
OCTET_ALWAYS_INLINE Floats to_floats(Ints a) { return {{_mm512_cvtepi32_ps(a.part[0])}}; }
OCTET_ALWAYS_INLINE Floats multiply(Floats a, Floats b) { return {{_mm512_mul_ps(a.part[0], b.part[0])}}; }
OCTET_ALWAYS_INLINE Floats divide(Floats a, Floats b) { return {{_mm512_div_ps(a.part[0], b.part[0])}}; }
OCTET_ALWAYS_INLINE Floats add(Floats a, Floats b) { return {{_mm512_add_ps(a.part[0], b.part[0])}}; }
// The second operand where the first is NaN.
OCTET_ALWAYS_INLINE Floats minimum(Floats a, Floats b) { return {{_mm512_min_ps(a.part[0], b.part[0])}}; }
// Nearest, ties to even; INT32_MIN for NaN and everything out of range.
OCTET_ALWAYS_INLINE Ints round_to_ints(Floats a) { return {{_mm512_cvtps_epi32(a.part[0])}}; }

// Saturates N vectors to 16 bits, adds zero, saturates to codes and, unless lo..hi are known to be 0..255, clamps.
template <int N, bool Clamp = true>
OCTET_ALWAYS_INLINE Codes pack_codes(const Ints (&v)[N], int32_t zero, int32_t lo, int32_t hi) {
  const __m512i zeros = _mm512_set1_epi16(static_cast<int16_t>(zero));
  const __m512i a = v[0].part[0];
  const __m512i b = N > 1 ? v[N > 1 ? 1 : 0].part[0] : a;
  const __m512i c = N > 2 ? v[N > 2 ? 2 : 0].part[0] : a;
  const __m512i d = N > 3 ? v[N > 3 ? 3 : 0].part[0] : c;
  const __m512i ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zeros);
  const __m512i cd = N > 2 ? _mm512_adds_epi16(_mm512_packs_epi32(c, d), zeros) : ab;
  __m512i bytes = _mm512_packus_epi16(ab, cd);  // 4 bytes of a, b, c, d from each quarter
  bytes = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
  if (!Clamp) return bytes;
  bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(static_cast<char>(lo)));
  return _mm512_min_epu8(bytes, _mm512_set1_epi8(static_cast<char>(hi)));
}

// The first `count` <= 16 N bytes.
template <int N>
OCTET_ALWAYS_INLINE void store_codes(uint8_t* p, Codes codes, int count) {
  if (N == 4 && count == 64) {
    _mm512_storeu_si512(p, codes);
  } else if (N == 2 && count == 32) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(codes));
  } else if (N == 1 && count == 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_castsi512_si128(codes));
  } else {
    _mm512_mask_storeu_epi8(p, count >= 64 ? ~0ull : (1ull << count) - 1, codes);
  }
}

OCTET_ALWAYS_INLINE Codes load_all_codes(const uint8_t* p) { return _mm512_loadu_si512(p); }

#else
typedef float NativeFloats __attribute__((vector_size(32)));
constexpr int kParts = 2;
constexpr int kMaxVectors = 2;

struct Ints {
  __m256i part[kParts];
};
struct Floats {
  __m256 part[kParts];
};
using Codes = __m256i;

OCTET_ALWAYS_INLINE __m256i load_native(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
OCTET_ALWAYS_INLINE Ints load_ints(const int32_t* p) { return {{load_native(p), load_native(p + 8)}}; }
OCTET_ALWAYS_INLINE Floats load_floats(const float* p) { return {{_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}}; }
OCTET_ALWAYS_INLINE void store_floats(float* p, Floats v) {
  _mm256_storeu_ps(p, v.part[0]);
  _mm256_storeu_ps(p + 8, v.part[1]);
}
OCTET_ALWAYS_INLINE Ints load_codes_as_ints(const uint8_t* p) {
  return {{_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))),
           _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)))}};
}
OCTET_ALWAYS_INLINE Ints all_ints(int32_t v) { return {{_mm256_set1_epi32(v), _mm256_set1_epi32(v)}}; }
OCTET_ALWAYS_INLINE Floats all_floats(float v) { return {{_mm256_set1_ps(v), _mm256_set1_ps(v)}}; }
OCTET_ALWAYS_INLINE Ints add(Ints a, Ints b) {
  return {{_mm256_add_epi32(a.part[0], b.part[0]), _mm256_add_epi32(a.part[1], b.part[1])}};
}
OCTET_ALWAYS_INLINE Ints subtract(Ints a, Ints b) {
  return {{_mm256_sub_epi32(a.part[0], b.part[0]), _mm256_sub_epi32(a.part[1], b.part[1])}};
}
OCTET_ALWAYS_INLINE Ints clamp(Ints a, Ints lo, Ints hi) {
  return {{_mm256_min_epi32(_mm256_max_epi32(a.part[0], lo.part[0]), hi.part[0]),
           _mm256_min_epi32(_mm256_max_epi32(a.part[1], lo.part[1]), hi.part[1])}};
}
OCTET_ALWAYS_INLINE Floats to_floats(Ints a) {
  return {{_mm256_cvtepi32_ps(a.part[0]), _mm256_cvtepi32_ps(a.part[1])}};
}
OCTET_ALWAYS_INLINE Floats multiply(Floats a, Floats b) {
  return {{_mm256_mul_ps(a.part[0], b.part[0]), _mm256_mul_ps(a.part[1], b.part[1])}};
}
OCTET_ALWAYS_INLINE Floats divide(Floats a, Floats b) {
  return {{_mm256_div_ps(a.part[0], b.part[0]), _mm256_div_ps(a.part[1], b.part[1])}};
}
OCTET_ALWAYS_INLINE Floats add(Floats a, Floats b) {
  return {{_mm256_add_ps(a.part[0], b.part[0]), _mm256_add_ps(a.part[1], b.part[1])}};
}
OCTET_ALWAYS_INLINE Floats minimum(Floats a, Floats b) {
  return {{_mm256_min_ps(a.part[0], b.part[0]), _mm256_min_ps(a.part[1], b.part[1])}};
}
OCTET_ALWAYS_INLINE Ints round_to_ints(Floats a) {
  return {{_mm256_cvtps_epi32(a.part[0]), _mm256_cvtps_epi32(a.part[1])}};
}

template <int N, bool Clamp = true>
OCTET_ALWAYS_INLINE Codes pack_codes(const Ints (&v)[N], int32_t zero, int32_t lo, int32_t hi) {
  const __m256i zeros = _mm256_set1_epi16(static_cast<int16_t>(zero));
  const Ints& second = v[N > 1 ? 1 : 0];
  const __m256i ab = _mm256_adds_epi16(_mm256_packs_epi32(v[0].part[0], v[0].part[1]), zeros);
  const __m256i cd = N > 1 ? _mm256_adds_epi16(_mm256_packs_epi32(second.part[0], second.part[1]), zeros) : ab;
  __m256i bytes = _mm256_packus_epi16(ab, cd);  // 4 bytes of each part from each half
  bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  if (!Clamp) return bytes;
  bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8(static_cast<char>(lo)));
  return _mm256_min_epu8(bytes, _mm256_set1_epi8(static_cast<char>(hi)));
}

template <int N>
OCTET_ALWAYS_INLINE void store_codes(uint8_t* p, Codes codes, int count) {
  if (N == 2 && count == 32) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), codes);
  } else if (N == 1 && count == 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(codes));
  } else {
    alignas(32) uint8_t bytes[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes), codes);
    __builtin_memcpy(p, bytes, static_cast<size_t>(count));
  }
}

OCTET_ALWAYS_INLINE Codes load_all_codes(const uint8_t* p) { return load_native(p); }
#endif

}  // namespace
}  // namespace octet::cpu
