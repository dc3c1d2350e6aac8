// The store of store.h for int32 tiles, four vectors at a time: one row of 64 channels, two of 32 or four of 16. Covers
// stores of codes without a curve; everything else goes to store_block(). For files compiled for AVX-512 with VBMI.
#pragma once

#include "kernels/cpu/store_inline.h"

namespace octet::cpu {
namespace {

struct TileStore {
  StorePlan plan;
  bool fast = false;
  bool guard_first = false;   // results may leave the range of int32
  bool guard_second = false;
  bool clamp_first = false;   // the grid is narrower than bytes
  bool clamp_second = false;
};

OCTET_ALWAYS_INLINE TileStore plan_tile_store(const Store& store, int64_t oc_begin, int64_t channels) {
  TileStore t;
  t.plan = plan_store(store, oc_begin, channels);
  t.fast = !store.to_float && store.curve == Curve::kNone;
  t.guard_first = t.plan.may_overflow || store.addend != nullptr || store.residual == Residual::kBeforeFirst;
  const float most = 256.0f * (__builtin_fabsf(store.self_scale) + __builtin_fabsf(store.residual_scale));
  t.guard_second = !(most < kBeyondCodes);
  t.clamp_first = store.first.lo != 0 || store.first.hi != 255;
  t.clamp_second = store.second.lo != 0 || store.second.hi != 255;
  return t;
}

// Bytes of vector i, element e, when the 16-bit halves of four vectors have been packed within 128-bit lanes.
OCTET_ALWAYS_INLINE __m512i packed_place(int i) {
  const __m512i element = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 32, 33, 34, 35, 48, 49, 50, 51);
  return _mm512_add_epi32(element, _mm512_set1_epi32(4 * i));
}

// A byte b put below the exponent of 2^23 is the float 2^23 + b; subtracting 2^23 + zero leaves b - zero, exactly.
constexpr int32_t kTwo23 = 0x4b000000;
constexpr __mmask64 kLowBytes = 0x1111111111111111ull;

OCTET_ALWAYS_INLINE __m512 bytes_to_floats(__m512i bytes, __m512i place, __m512 two23_and_zero) {
  const __m512i put = _mm512_mask_permutexvar_epi8(_mm512_set1_epi32(kTwo23), kLowBytes, place, bytes);
  return _mm512_sub_ps(_mm512_castsi512_ps(put), two23_and_zero);
}

OCTET_ALWAYS_INLINE __m512i pack_four(const __m512i (&v)[4], __m512i zero) {
  const __m512i ab = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), zero);
  const __m512i cd = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), zero);
  return _mm512_packus_epi16(ab, cd);
}

OCTET_ALWAYS_INLINE __m512i clamp_bytes(__m512i bytes, const Grid& grid) {
  bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(static_cast<char>(grid.lo)));
  return _mm512_min_epu8(bytes, _mm512_set1_epi8(static_cast<char>(grid.hi)));
}

template <int C>
OCTET_ALWAYS_INLINE void store_rows_of_codes(__m512i codes, uint8_t* const (&rows)[4], int channels) {
  if constexpr (C == 4) {
    if (channels == 64) _mm512_storeu_si512(rows[0], codes);
    else _mm512_mask_storeu_epi8(rows[0], (1ull << channels) - 1, codes);
  } else if constexpr (C == 2) {
    const __m256i half[2] = {_mm512_castsi512_si256(codes), _mm512_extracti64x4_epi64(codes, 1)};
    for (int i = 0; i < 2; ++i) {
      if (channels == 32) _mm256_storeu_si256(reinterpret_cast<__m256i*>(rows[i]), half[i]);
      else _mm256_mask_storeu_epi8(rows[i], (1u << channels) - 1, half[i]);
    }
  } else {
    const __m128i quarter[4] = {_mm512_castsi512_si128(codes), _mm512_extracti32x4_epi32(codes, 1),
                                _mm512_extracti32x4_epi32(codes, 2), _mm512_extracti32x4_epi32(codes, 3)};
    for (int i = 0; i < 4; ++i) {
      if (channels == 16) _mm_storeu_si128(reinterpret_cast<__m128i*>(rows[i]), quarter[i]);
      else _mm_mask_storeu_epi8(rows[i], static_cast<__mmask16>((1u << channels) - 1), quarter[i]);
    }
  }
}

// Rows of at most 16 * C channels. Rows that the last step lacks repeat the last row: its loads come before its stores,
// so that this is right even where the residual is overwritten in place.
template <int C>
OCTET_ALWAYS_INLINE void store_tile_rows(const TileStore& t, const StoreBlock& b) {
  const Store& store = t.plan.store;
  __m512 multiplier[C], addend[C];
  for (int i = 0; i < C; ++i) {
    const int left = b.channels - 16 * i;
    const __mmask16 there = left >= 16 ? 0xffff : left > 0 ? static_cast<__mmask16>((1u << left) - 1) : 0;
    const int64_t oc = b.oc_begin + (left > 0 ? 16 * i : 0);
    multiplier[i] = _mm512_maskz_loadu_ps(there, store.multiplier + oc);
    addend[i] = store.addend == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(there, store.addend + oc);
  }
  const __m512 beyond = _mm512_set1_ps(kBeyondCodes);
  const __m512i first_zero = _mm512_set1_epi16(static_cast<int16_t>(store.first.zero));
  const __m512i second_zero = _mm512_set1_epi16(static_cast<int16_t>(store.second.zero));
  const __m512 residual_zero = _mm512_set1_ps(8388608.0f + static_cast<float>(store.residual_zero));
  const __m512 residual_scale = _mm512_set1_ps(store.residual_scale);
  const __m512 table_zero = _mm512_set1_ps(8388608.0f + static_cast<float>(store.table_zero));
  const __m512 self_scale = _mm512_set1_ps(store.self_scale);
  const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i element = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  constexpr int kRows = 4 / C;
  for (int64_t r = 0; r < b.rows; r += kRows) {
    int64_t row[4] = {};
    uint8_t* dst[4] = {};
    for (int i = 0; i < kRows; ++i) {
      row[i] = r + i < b.rows ? r + i : b.rows - 1;
      dst[i] = static_cast<uint8_t*>(b.dst) + row[i] * b.dst_stride;
    }
    const auto residual = [&](int i) {
      const uint8_t* at = b.residual + row[i / C] * b.residual_stride + 16 * (i % C);
      const __m512i bytes = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
      return _mm512_mul_ps(bytes_to_floats(bytes, element, residual_zero), residual_scale);
    };
    __m512i v[4];
    for (int i = 0; i < 4; ++i) {
      const __m512i sums = _mm512_loadu_si512(b.sums + row[i / C] * b.ld + 16 * (i % C));
      __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), multiplier[i % C]);
      if (store.addend != nullptr) x = _mm512_add_ps(x, addend[i % C]);
      if (store.residual == Residual::kBeforeFirst) x = _mm512_add_ps(x, residual(i));
      if (t.guard_first) x = _mm512_min_ps(x, beyond);
      v[i] = _mm512_cvtps_epi32(x);
    }
    __m512i codes = pack_four(v, first_zero);
    if (t.clamp_first) codes = clamp_bytes(codes, store.first);
    if (store.table != nullptr) codes = look_up<4>(codes, store.table);
    if (store.residual == Residual::kAfterFirst) {
      for (int i = 0; i < 4; ++i) {
        const __m512 own = _mm512_mul_ps(bytes_to_floats(codes, packed_place(i), table_zero), self_scale);
        __m512 x = _mm512_add_ps(own, residual(i));
        if (t.guard_second) x = _mm512_min_ps(x, beyond);
        v[i] = _mm512_cvtps_epi32(x);
      }
      codes = pack_four(v, second_zero);
      if (t.clamp_second) codes = clamp_bytes(codes, store.second);
    }
    store_rows_of_codes<C>(_mm512_permutexvar_epi32(in_order, codes), dst, b.channels);
  }
}

// At most 64 channels.
[[gnu::noinline]] void store_tile_block(const TileStore& t, const StoreBlock& block) {
  if (!t.fast) store_block(t.plan, block);
  else if (block.channels > 32) store_tile_rows<4>(t, block);
  else if (block.channels > 16) store_tile_rows<2>(t, block);
  else store_tile_rows<1>(t, block);
}

}  // namespace
}  // namespace octet::cpu
