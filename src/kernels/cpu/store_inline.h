// The store of store.h for vectors, included by kernels compiled for AVX2 or AVX-512; the same bits as
// reference_conv.cpp. Use: one StorePlan for a task, then store_block() for every block of int32 sums.
#pragma once

#include "kernels/cpu/curves.h"
#include "kernels/cpu/lanes_inline.h"
#include "kernels/cpu/store.h"

namespace octet::cpu {
namespace {

struct StorePlan {
  Store store;
  bool plain = false;        // sums to codes by multiplier alone
  bool may_overflow = true;  // a product may leave the range of int32
  bool simple = false;       // plain, to all codes 0..255, and no product overflows
};

// For channels [oc_begin, oc_begin + channels).
OCTET_ALWAYS_INLINE StorePlan plan_store(const Store& store, int64_t oc_begin, int64_t channels) {
  StorePlan plan;
  plan.store = store;
  plan.plain = !store.to_float && store.addend == nullptr && store.curve == Curve::kNone && store.table == nullptr &&
               store.residual == Residual::kNone;
  // |float(sum)| <= 2^31, and a smaller factor keeps the product inside.
  bool below_one = true;
  const float* multiplier = store.multiplier + oc_begin;
  for (int64_t c = 0; c < channels; ++c) below_one &= (multiplier[c] < 1.0f) & (multiplier[c] > -1.0f);
  plan.may_overflow = !below_one;
  plan.simple = plan.plain && below_one && store.first.lo == 0 && store.first.hi == 255;
  return plan;
}

// Sums of a block and where their codes go: rows are consecutive pixels, columns are channels oc_begin onwards.
struct StoreBlock {
  const int32_t* sums = nullptr;  // [rows][ld]; columns readable up to channels rounded up to 16
  int64_t ld = 0;
  const int32_t* compensation = nullptr;  // added to every row: [channels], or null
  int64_t rows = 0;
  int64_t oc_begin = 0;
  int channels = 0;
  void* dst = nullptr;  // first pixel, channel oc_begin
  int64_t dst_stride = 0;
  const uint8_t* residual = nullptr;  // the same; read up to 16 bytes past the last channel
  int64_t residual_stride = 0;
};

// Parameters of up to kMaxVectors * 16 channels.
template <int N>
struct StoreParameters {
  Floats multiplier[N];
  Floats addend[N];
  Ints compensation[N];
};

template <class T>
OCTET_ALWAYS_INLINE void copy_some(T* to, const T* from, int count) {
  for (int i = 0; i < count; ++i) to[i] = from[i];
}

template <int N>
OCTET_ALWAYS_INLINE StoreParameters<N> load_parameters(const Store& store, const int32_t* compensation, int64_t oc,
                                                       int channels) {
  StoreParameters<N> p;
  alignas(64) float copies[2][16 * N];
  alignas(64) int32_t constants[16 * N];
  const float* multiplier = store.multiplier + oc;
  const float* addend = store.addend == nullptr ? nullptr : store.addend + oc;
  if (channels < 16 * N) {
    // The arrays may end with the channels.
    copy_some(copies[0], multiplier, channels);
    multiplier = copies[0];
    if (addend != nullptr) copy_some(copies[1], addend, channels), addend = copies[1];
    if (compensation != nullptr) copy_some(constants, compensation, channels), compensation = constants;
  }
  for (int i = 0; i < N; ++i) {
    p.multiplier[i] = load_floats(multiplier + 16 * i);
    p.addend[i] = addend == nullptr ? all_floats(0) : load_floats(addend + 16 * i);
    p.compensation[i] = compensation == nullptr ? all_ints(0) : load_ints(compensation + 16 * i);
  }
  return p;
}

constexpr float kBeyondCodes = 1048576.0f;  // above every code, far inside int32

// Simple: codes 0..255, and no product overflows.
template <int N, bool Simple>
OCTET_ALWAYS_INLINE void store_plain_row(const Ints (&sums)[N], const Floats (&multiplier)[N], const Grid& grid,
                                         uint8_t* dst, int channels) {
  Ints codes[N];
  for (int i = 0; i < N; ++i) {
    Floats v = multiply(to_floats(sums[i]), multiplier[i]);
    if (!Simple) v = minimum(all_floats(kBeyondCodes), v);  // NaN stays, and becomes the lowest code
    codes[i] = round_to_ints(v);
  }
  store_codes<N>(dst, pack_codes<N, !Simple>(codes, grid.zero, grid.lo, grid.hi), channels);
}

// float(residual - residual_zero) * residual_scale
OCTET_ALWAYS_INLINE Floats residual_term(const Store& store, const uint8_t* residual) {
  const Ints codes = subtract(load_codes_as_ints(residual), all_ints(store.residual_zero));
  return multiply(to_floats(codes), all_floats(store.residual_scale));
}

// A residual addition and nothing else: what the blocks of residual networks store.
OCTET_ALWAYS_INLINE bool adds_residual_only(const Store& store) {
  return store.residual != Residual::kNone && !store.to_float && store.addend == nullptr &&
         store.curve == Curve::kNone && store.table == nullptr;
}

// The same bits as store_general_row() where adds_residual_only().
template <int N, bool AfterFirst>
OCTET_ALWAYS_INLINE void store_residual_row(const Store& store, const Ints (&sums)[N], const Floats (&multiplier)[N],
                                            const uint8_t* residual, uint8_t* dst, int channels) {
  const Grid& grid = AfterFirst ? store.second : store.first;
  Ints codes[N];
  for (int i = 0; i < N; ++i) {
    Floats v = multiply(to_floats(sums[i]), multiplier[i]);
    if (AfterFirst) {
      const Grid& first = store.first;
      Ints own = round_to_ints(minimum(all_floats(kBeyondCodes), v));
      own = clamp(own, all_ints(first.lo - first.zero), all_ints(first.hi - first.zero));
      v = multiply(to_floats(add(own, all_ints(first.zero - store.table_zero))), all_floats(store.self_scale));
    }
    v = add(v, residual_term(store, residual + 16 * i));
    codes[i] = round_to_ints(minimum(all_floats(kBeyondCodes), v));
  }
  store_codes<N>(dst, pack_codes<N>(codes, grid.zero, grid.lo, grid.hi), channels);
}

// In place on 16 N floats, through memory: curves are long, and only one copy of them should exist in a file.
[[gnu::noinline, maybe_unused]] void curve_floats(const Store& store, float* values, int count) {
  constexpr int kWidth = sizeof(NativeFloats) / sizeof(float);
  for (int i = 0; i < count; i += kWidth) {
    NativeFloats v;
    __builtin_memcpy(&v, values + i, sizeof(v));
    v = apply_curve<NativeFloats>(store.curve, v, store.alpha, store.beta);
    __builtin_memcpy(values + i, &v, sizeof(v));
  }
}

template <int N>
OCTET_ALWAYS_INLINE Codes look_up(Codes codes, const uint8_t* table) {
#if defined(__AVX512VBMI__)
  const __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(table), codes, _mm512_loadu_si512(table + 64));
  const __m512i high =
      _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128), codes, _mm512_loadu_si512(table + 192));
  return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high);
#else
  alignas(64) uint8_t bytes[sizeof(Codes)];
  store_codes<kMaxVectors>(bytes, codes, sizeof(Codes));
  for (int i = 0; i < 16 * N; ++i) bytes[i] = table[bytes[i]];
  return load_all_codes(bytes);
#endif
}

template <int N>
OCTET_ALWAYS_INLINE Codes add_after_first(const Store& store, Codes codes, const uint8_t* residual) {
  alignas(64) uint8_t bytes[sizeof(Codes)];
  store_codes<kMaxVectors>(bytes, codes, sizeof(Codes));
  Ints sums[N];
  for (int i = 0; i < N; ++i) {
    const Ints own = subtract(load_codes_as_ints(bytes + 16 * i), all_ints(store.table_zero));
    const Floats v =
        add(multiply(to_floats(own), all_floats(store.self_scale)), residual_term(store, residual + 16 * i));
    sums[i] = round_to_ints(minimum(all_floats(kBeyondCodes), v));
  }
  return pack_codes<N>(sums, store.second.zero, store.second.lo, store.second.hi);
}

template <int N>
OCTET_ALWAYS_INLINE void store_general_row(const Store& store, const StoreParameters<N>& p, const int32_t* sums,
                                           const uint8_t* residual, void* dst, int channels) {
  Floats v[N];
  for (int i = 0; i < N; ++i) {
    v[i] = multiply(to_floats(add(load_ints(sums + 16 * i), p.compensation[i])), p.multiplier[i]);
    if (store.addend != nullptr) v[i] = add(v[i], p.addend[i]);
    if (store.residual == Residual::kBeforeFirst) v[i] = add(v[i], residual_term(store, residual + 16 * i));
  }
  if (store.curve != Curve::kNone || store.to_float) {
    alignas(64) float values[16 * N];
    for (int i = 0; i < N; ++i) store_floats(values + 16 * i, v[i]);
    if (store.curve != Curve::kNone) curve_floats(store, values, 16 * N);
    if (store.to_float) {
      __builtin_memcpy(dst, values, static_cast<size_t>(channels) * sizeof(float));
      return;
    }
    for (int i = 0; i < N; ++i) v[i] = divide(load_floats(values + 16 * i), all_floats(store.first_divisor));
  }
  Ints rounded[N];
  for (int i = 0; i < N; ++i) rounded[i] = round_to_ints(minimum(all_floats(kBeyondCodes), v[i]));
  Codes codes = pack_codes<N>(rounded, store.first.zero, store.first.lo, store.first.hi);
  if (store.table != nullptr) codes = look_up<N>(codes, store.table);
  if (store.residual == Residual::kAfterFirst) codes = add_after_first<N>(store, codes, residual);
  store_codes<N>(static_cast<uint8_t*>(dst), codes, channels);
}

template <int N>
OCTET_ALWAYS_INLINE void store_columns(const StorePlan& plan, const StoreBlock& block, int first, int channels) {
  const Store& store = plan.store;
  const StoreParameters<N> p = load_parameters<N>(
      store, block.compensation == nullptr ? nullptr : block.compensation + first, block.oc_begin + first, channels);
  const int32_t* sums = block.sums + first;
  if (plan.plain) {
    uint8_t* dst = static_cast<uint8_t*>(block.dst) + first;
    for (int64_t r = 0; r < block.rows; ++r, sums += block.ld, dst += block.dst_stride) {
      Ints v[N];
      for (int i = 0; i < N; ++i) v[i] = add(load_ints(sums + 16 * i), p.compensation[i]);
      if (plan.simple) store_plain_row<N, true>(v, p.multiplier, store.first, dst, channels);
      else store_plain_row<N, false>(v, p.multiplier, store.first, dst, channels);
    }
    return;
  }
  const int64_t element = store.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
  char* dst = static_cast<char*>(block.dst) + first * element;
  const uint8_t* residual = block.residual == nullptr ? nullptr : block.residual + first;
  for (int64_t r = 0; r < block.rows; ++r) {
    store_general_row<N>(store, p, sums + r * block.ld,
                         residual == nullptr ? nullptr : residual + r * block.residual_stride,
                         dst + r * block.dst_stride * element, channels);
  }
}

// Any number of channels, 16 * kMaxVectors at a time.
[[gnu::noinline, maybe_unused]] void store_block(const StorePlan& plan, const StoreBlock& block) {
  int first = 0;
  constexpr int kWide = 16 * kMaxVectors;
  for (; block.channels - first > kWide - 16; first += kWide) {
    const int left = block.channels - first;
    store_columns<kMaxVectors>(plan, block, first, left < kWide ? left : kWide);
  }
  for (; first < block.channels; first += 16) {
    const int left = block.channels - first;
    store_columns<1>(plan, block, first, left < 16 ? left : 16);
  }
}

}  // namespace
}  // namespace octet::cpu
