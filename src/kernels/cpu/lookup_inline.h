// Tables of 256 bytes in vector registers. Everything is local to the file that includes it.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "arith/scalar.h"

namespace octet::cpu {
namespace {

// table[x] for 16 entries is one byte shuffle, which gives 0 where bit 7 of x is set. Subtracting 16 per step, a code
// drops out behind its own 16 entries; storing differences (xor) to the 16 entries before makes the steps add up.
template <class V>
struct ShuffleLookup {
  alignas(64) uint8_t steps[16 * 64];

  OCTET_ALWAYS_INLINE void prepare(const uint8_t* table) {
    for (int i = 0; i < 16; ++i) {
      __m128i step = _mm_loadu_si128((const __m128i*)(table + 16 * i));
      if (i % 8 != 0) step = _mm_xor_si128(step, _mm_loadu_si128((const __m128i*)(table + 16 * (i - 1))));
      V::store(steps + i * V::kBytes, V::repeat16(step));
    }
  }
  OCTET_ALWAYS_INLINE typename V::Bytes look_up(typename V::Bytes codes) const {
    const auto sixteen = V::set(static_cast<uint8_t>(16));
    auto upper = V::bit_xor(codes, V::set(static_cast<uint8_t>(0x80)));
    auto result = V::set(static_cast<uint8_t>(0));
    for (int i = 0; i < 8; ++i) {
      const auto a = V::shuffle(V::load(steps + i * V::kBytes), codes);
      const auto b = V::shuffle(V::load(steps + (i + 8) * V::kBytes), upper);
      result = V::bit_xor(result, V::bit_xor(a, b));
      codes = V::sub_saturating(codes, sixteen);
      upper = V::sub_saturating(upper, sixteen);
    }
    return result;
  }
};

#if defined(__AVX512VBMI__)
struct PermuteLookup {
  __m512i quarters[4];

  OCTET_ALWAYS_INLINE void prepare(const uint8_t* table) {
    for (int i = 0; i < 4; ++i) quarters[i] = _mm512_loadu_si512(table + 64 * i);
  }
  OCTET_ALWAYS_INLINE __m512i look_up(__m512i codes) const {
    const __m512i low = _mm512_permutex2var_epi8(quarters[0], codes, quarters[1]);
    const __m512i high = _mm512_permutex2var_epi8(quarters[2], codes, quarters[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high);
  }
};
#endif

}  // namespace
}  // namespace octet::cpu
