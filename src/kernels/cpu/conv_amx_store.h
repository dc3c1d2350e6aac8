// The store of store.h for int32 tiles, four vectors at a time: one row of 64 channels, two of 32 or four of 16.
// Covers stores of codes without a curve; everything else goes to store_block(). For files compiled for AVX-512 with
// VBMI.
#pragma once

#include "kernels/cpu/store_inline.h"

namespace octet::cpu {
namespace {

// The common forms have loops without questions in them: those cost a third of the time.
enum class Form { kPlain, kTable, kAdd, kTableAdd, kAny, kOther };

struct TileStore {
  StorePlan plan;
  Form form = Form::kOther;
  bool guard_first = false;  // results may leave the range of int32
  bool guard_second = false;
};

OCTET_ALWAYS_INLINE TileStore plan_tile_store(const Store& store, int64_t oc_begin, int64_t channels) {
  TileStore t;
  t.plan = plan_store(store, oc_begin, channels);
  if (store.to_float || store.curve != Curve::kNone) return t;
  t.guard_first = t.plan.may_overflow || store.addend != nullptr || store.residual == Residual::kBeforeFirst;
  const float most = 256.0f * (__builtin_fabsf(store.self_scale) + __builtin_fabsf(store.residual_scale));
  t.guard_second = store.residual == Residual::kAfterFirst && !(most < kBeyondCodes);
  if (t.guard_first || t.guard_second) t.form = Form::kAny;
  else if (store.residual == Residual::kAfterFirst) t.form = store.table == nullptr ? Form::kAdd : Form::kTableAdd;
  else t.form = store.table == nullptr ? Form::kPlain : Form::kTable;
  return t;
}

// Bytes of vector i, element e, when the 16-bit halves of four vectors have been packed within 128-bit lanes.
OCTET_ALWAYS_INLINE __m512i packed_place(int i) {
  const __m512i element = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 32, 33, 34, 35, 48, 49, 50, 51);
  return _mm512_add_epi32(element, _mm512_set1_epi32(4 * i));
}

// A byte b put below the exponent of 2^23 is the float 2^23 + b; subtracting 2^23 + zero leaves b - zero, exactly.
constexpr float kTwo23 = 8388608.0f;
constexpr __mmask64 kLowBytes = 0x1111111111111111ull;

OCTET_ALWAYS_INLINE __m512 bytes_to_floats(__m512i bytes, __m512i place, __m512 two23_and_zero) {
  const __m512i put =
      _mm512_mask_permutexvar_epi8(_mm512_castps_si512(_mm512_set1_ps(kTwo23)), kLowBytes, place, bytes);
  return _mm512_sub_ps(_mm512_castsi512_ps(put), two23_and_zero);
}

// A grid in registers: bytes stored in between could change it in memory, as far as the compiler knows.
struct GridVectors {
  __m512i zero, lo, hi;
};

OCTET_ALWAYS_INLINE GridVectors grid_vectors(const Grid& grid) {
  return {_mm512_set1_epi16(static_cast<int16_t>(grid.zero)), _mm512_set1_epi8(static_cast<char>(grid.lo)),
          _mm512_set1_epi8(static_cast<char>(grid.hi))};
}

// Integers to codes, in the order of packed_place().
OCTET_ALWAYS_INLINE __m512i pack_four(const __m512i (&v)[4], const GridVectors& grid) {
  const __m512i ab = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), grid.zero);
  const __m512i cd = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), grid.zero);
  const __m512i codes = _mm512_packus_epi16(ab, cd);
  return _mm512_min_epu8(_mm512_max_epu8(codes, grid.lo), grid.hi);
}

template <int C>
OCTET_ALWAYS_INLINE void store_rows_of_codes(__m512i codes, uint8_t* const (&rows)[4 / C], __mmask64 channels) {
  if constexpr (C == 4) {
    _mm512_mask_storeu_epi8(rows[0], channels, codes);
  } else if constexpr (C == 2) {
    const auto mask = static_cast<__mmask32>(channels);
    _mm256_mask_storeu_epi8(rows[0], mask, _mm512_castsi512_si256(codes));
    _mm256_mask_storeu_epi8(rows[1], mask, _mm512_extracti64x4_epi64(codes, 1));
  } else {
    const auto mask = static_cast<__mmask16>(channels);
    _mm_mask_storeu_epi8(rows[0], mask, _mm512_castsi512_si128(codes));
    _mm_mask_storeu_epi8(rows[1], mask, _mm512_extracti32x4_epi32(codes, 1));
    _mm_mask_storeu_epi8(rows[2], mask, _mm512_extracti32x4_epi32(codes, 2));
    _mm_mask_storeu_epi8(rows[3], mask, _mm512_extracti32x4_epi32(codes, 3));
  }
}

// Rows of sums that wait to be stored, at most 64 channels wide.
struct PendingRows {
  static constexpr int kMost = 32;
  int64_t count = 0;
  int64_t next = 0;
  int64_t oc = 0;
  int64_t channels = 0;
  const int32_t* sums[kMost + 3] = {};
  int64_t pixel[kMost + 3] = {};
};

// Where rows go, with addresses of the first of the pending channels.
struct RowTarget {
  uint8_t* dst = nullptr;
  int64_t dst_stride = 0;
  const uint8_t* residual = nullptr;
  int64_t residual_stride = 0;
};

// Everything that a step needs, in registers: codes stored in between could change it in memory, as far as the
// compiler knows.
template <int C, Form kForm>
struct RowStore {
  static constexpr int kRows = 4 / C;
  static constexpr bool kAny = kForm == Form::kAny;
  __m512 multiplier[C], addend[C];
  GridVectors first, second;
  __m512 residual_zero, residual_scale, table_zero, self_scale;
  const uint8_t* table;
  bool has_table, has_addend, before, after, guard_first, guard_second;
  RowTarget target;
  __mmask64 channels;

  OCTET_ALWAYS_INLINE RowStore(const TileStore& t, const RowTarget& to, const PendingRows& rows)
      : first(grid_vectors(t.plan.store.first)), second(grid_vectors(t.plan.store.second)), target(to) {
    const Store& store = t.plan.store;
    channels = rows.channels >= 64 ? ~0ull : (1ull << rows.channels) - 1;
    for (int i = 0; i < C; ++i) {
      const auto there = static_cast<__mmask16>(channels >> (16 * i));
      const int64_t oc = rows.oc + (there != 0 ? 16 * i : 0);
      multiplier[i] = _mm512_maskz_loadu_ps(there, store.multiplier + oc);
      addend[i] = store.addend == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(there, store.addend + oc);
    }
    residual_zero = _mm512_set1_ps(kTwo23 + static_cast<float>(store.residual_zero));
    residual_scale = _mm512_set1_ps(store.residual_scale);
    table_zero = _mm512_set1_ps(kTwo23 + static_cast<float>(store.table_zero));
    self_scale = _mm512_set1_ps(store.self_scale);
    table = store.table;
    has_table = kAny ? table != nullptr : kForm == Form::kTable || kForm == Form::kTableAdd;
    has_addend = kAny && store.addend != nullptr;
    before = kAny && store.residual == Residual::kBeforeFirst;
    after = kAny ? store.residual == Residual::kAfterFirst : kForm == Form::kAdd || kForm == Form::kTableAdd;
    guard_first = kAny && t.guard_first;
    guard_second = kAny && t.guard_second;
  }

  OCTET_ALWAYS_INLINE __m512 residual(int64_t pixel, int i) const {
    const uint8_t* at = target.residual + pixel * target.residual_stride + 16 * i;
    const __m512i element = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i bytes = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    return _mm512_mul_ps(bytes_to_floats(bytes, element, residual_zero), residual_scale);
  }

  OCTET_ALWAYS_INLINE void add_residual(__m512i& codes, const PendingRows& rows, int64_t at) const {
    __m512i v[4];
    for (int i = 0; i < 4; ++i) {
      const __m512 own = _mm512_mul_ps(bytes_to_floats(codes, packed_place(i), table_zero), self_scale);
      __m512 x = _mm512_add_ps(own, residual(rows.pixel[at + i / C], i % C));
      if (guard_second) x = _mm512_min_ps(_mm512_set1_ps(kBeyondCodes), x);
      v[i] = _mm512_cvtps_epi32(x);
    }
    codes = pack_four(v, second);
  }

  // Stores pending rows [at, at + kRows). All is loaded before anything is stored: the residual may be dst itself.
  OCTET_ALWAYS_INLINE void step(const PendingRows& rows, int64_t at) const {
    __m512i v[4];
    for (int i = 0; i < 4; ++i) {
      const __m512i sums = _mm512_loadu_si512(rows.sums[at + i / C] + 16 * (i % C));
      __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), multiplier[i % C]);
      if (has_addend) x = _mm512_add_ps(x, addend[i % C]);
      if (before) x = _mm512_add_ps(x, residual(rows.pixel[at + i / C], i % C));
      if (guard_first) x = _mm512_min_ps(_mm512_set1_ps(kBeyondCodes), x);
      v[i] = _mm512_cvtps_epi32(x);
    }
    __m512i codes = pack_four(v, first);
    if (has_table) codes = look_up<4>(codes, table);
    if (after) add_residual(codes, rows, at);
    const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    uint8_t* dst[kRows];
    for (int i = 0; i < kRows; ++i) dst[i] = target.dst + rows.pixel[at + i] * target.dst_stride;
    store_rows_of_codes<C>(_mm512_permutexvar_epi32(in_order, codes), dst, channels);
  }
};

template <Form kForm>
OCTET_ALWAYS_INLINE void store_form(const TileStore& t, const RowTarget& target, PendingRows& rows) {
  const auto all = [&](const auto& store, int64_t step) {
    for (; rows.next < rows.count; rows.next += step) store.step(rows, rows.next);
  };
  if (rows.channels > 32) all(RowStore<4, kForm>(t, target, rows), 1);
  else if (rows.channels > 16) all(RowStore<2, kForm>(t, target, rows), 2);
  else all(RowStore<1, kForm>(t, target, rows), 4);
}

[[gnu::noinline]] void store_by_block(const TileStore& t, const RowTarget& target, PendingRows& rows) {
  const int64_t element = t.plan.store.to_float ? 4 : 1;
  StoreBlock block;
  block.rows = 1;
  block.oc_begin = rows.oc;
  block.channels = static_cast<int>(rows.channels);
  for (; rows.next < rows.count; ++rows.next) {
    const int64_t pixel = rows.pixel[rows.next];
    block.sums = rows.sums[rows.next];
    block.dst = target.dst + pixel * target.dst_stride * element;
    if (target.residual != nullptr) block.residual = target.residual + pixel * target.residual_stride;
    store_block(t.plan, block);
  }
}

// All that is left.
[[gnu::noinline]] void store_pending(const TileStore& t, const RowTarget& target, PendingRows& rows) {
  switch (t.form) {
    case Form::kPlain: return store_form<Form::kPlain>(t, target, rows);
    case Form::kTable: return store_form<Form::kTable>(t, target, rows);
    case Form::kAdd: return store_form<Form::kAdd>(t, target, rows);
    case Form::kTableAdd: return store_form<Form::kTableAdd>(t, target, rows);
    case Form::kAny: return store_form<Form::kAny>(t, target, rows);
    case Form::kOther: return store_by_block(t, target, rows);
  }
}

}  // namespace
}  // namespace octet::cpu
