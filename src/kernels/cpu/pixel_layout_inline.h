// The layout moves of pixel_ops.h over the vectors V of pixel_simd_*.h, in tiles of 16 pixels by 16 channels.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/pixel_loops.h"

namespace octet::cpu {
namespace pixel_loops {
namespace {

// 16 rows of 16 bytes become 16 columns: each round joins row i with row i + 8, byte by byte.
OCTET_ALWAYS_INLINE void transpose_16x16(__m128i* rows) {
  __m128i other[16];
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 8; ++i) {
      other[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + 8]);
      other[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + 8]);
    }
    for (int i = 0; i < 8; ++i) {
      rows[2 * i] = _mm_unpacklo_epi8(other[i], other[i + 8]);
      rows[2 * i + 1] = _mm_unpackhi_epi8(other[i], other[i + 8]);
    }
  }
}

// quantize_value() without its zero point and mostly without the division: the product with the reciprocal is within
// 255 * 3 * 2^-24 of the quotient, so that only what lies nearer than 0.001 to a tie must be divided.
template <class V>
struct Quantizer {
  typename V::Floats scale, reciprocal, lo, hi, near_tie;
  typename V::Ints zero;

  explicit OCTET_ALWAYS_INLINE Quantizer(const LayoutCall& call)
      : scale(V::set(call.scale)),
        reciprocal(V::set(1.0f / call.scale)),
        lo(V::set(static_cast<float>(call.grid.lo - call.grid.zero))),
        hi(V::set(static_cast<float>(call.grid.hi - call.grid.zero))),
        // Reciprocals near the ends of float's range are not that exact: divide always.
        near_tie(V::set(call.scale > 1e-30f && call.scale < 1e30f ? 0.499f : -1.0f)),
        zero(V::set(call.grid.zero)) {}

  OCTET_ALWAYS_INLINE typename V::Ints operator()(typename V::Floats x) const {
    auto t = V::min(V::max(V::mul(x, reciprocal), lo), hi);
    auto code = V::round(t);
    if (__builtin_expect(V::any_magnitude_at_least(V::sub(t, V::to_floats(code)), near_tie), 0)) {
      t = V::min(V::max(V::div(x, scale), lo), hi);
      code = V::round(t);
    }
    return V::add(code, zero);
  }
};

// 16 consecutive codes of one plane; what is beyond n is unspecified.
template <class V>
OCTET_ALWAYS_INLINE __m128i quantize_16(const Quantizer<V>& quantize, const float* src, int64_t n) {
  typename V::Ints codes[16 / V::kLanes];
  for (int64_t i = 0; i < 16 / V::kLanes; ++i)
    codes[i] = quantize(n >= 16 ? V::load(src + i * V::kLanes) : V::load(src + i * V::kLanes, n - i * V::kLanes));
  return V::narrow16(codes);
}

// Up to four channels in pixels of four bytes: what stems read. Planes that do not exist repeat `zero`.
template <class V, int kChannels>
void quantize_to_four(const LayoutCall& call, const float* src, uint8_t* dst, int64_t count) {
  const Quantizer<V> quantize(call);
  const auto absent = V::set(static_cast<int32_t>((kChannels < 4 ? static_cast<uint32_t>(call.grid.zero) << 24 : 0) |
                                                  (kChannels < 3 ? static_cast<uint32_t>(call.grid.zero) << 16 : 0) |
                                                  (kChannels < 2 ? static_cast<uint32_t>(call.grid.zero) << 8 : 0)));
  for (int64_t p = 0; p < count; p += V::kLanes) {
    const int64_t n = count - p;
    typename V::Ints word = absent;
    const auto load = [&](int64_t c) __attribute__((always_inline)) {
      const float* at = src + c * call.pixels + p;
      return quantize(n >= V::kLanes ? V::load(at) : V::load(at, n));
    };
    word = V::bit_or(word, load(0));
    if constexpr (kChannels > 1) word = V::bit_or(word, V::template shift_left<8>(load(1)));
    if constexpr (kChannels > 2) word = V::bit_or(word, V::template shift_left<16>(load(2)));
    if constexpr (kChannels > 3) word = V::bit_or(word, V::template shift_left<24>(load(3)));
    if (n >= V::kLanes) {
      V::store_ints(dst + 4 * p, word);
    } else {
      alignas(64) uint8_t bytes[4 * V::kLanes];
      V::store_ints(bytes, word);
      __builtin_memcpy(dst + 4 * p, bytes, static_cast<uint64_t>(4 * n));
    }
  }
}

// Fills pixels of NHWC from planes: get(c, first pixel, n) gives 16 codes of channel c.
template <class V, class Get>
OCTET_ALWAYS_INLINE void planes_to_pixels(const LayoutCall& call, uint8_t* dst, int64_t count, Get get) {
  const __m128i absent = _mm_set1_epi8(static_cast<char>(call.grid.zero));
  for (int64_t p = 0; p < count; p += 16) {
    const int64_t pixels = count - p < 16 ? count - p : 16;
    for (int64_t c = 0; c < call.pixel_stride; c += 16) {
      __m128i tile[16];
      for (int64_t i = 0; i < 16; ++i) tile[i] = c + i < call.channels ? get(c + i, p, pixels) : absent;
      transpose_16x16(tile);
      const int64_t channels = call.pixel_stride - c < 16 ? call.pixel_stride - c : 16;
      for (int64_t i = 0; i < pixels; ++i) V::store16(dst + (p + i) * call.pixel_stride + c, tile[i], channels);
    }
  }
}

// The way back: put(c, first pixel, n, 16 codes of channel c).
template <class V, class Put>
OCTET_ALWAYS_INLINE void pixels_to_planes(const LayoutCall& call, const uint8_t* src, int64_t count, Put put) {
  for (int64_t p = 0; p < count; p += 16) {
    const int64_t pixels = count - p < 16 ? count - p : 16;
    for (int64_t c = 0; c < call.channels; c += 16) {
      const int64_t channels = call.channels - c < 16 ? call.channels - c : 16;
      __m128i tile[16];
      for (int64_t i = 0; i < 16; ++i)
        tile[i] = i < pixels ? V::load16(src + (p + i) * call.pixel_stride + c, channels) : _mm_setzero_si128();
      transpose_16x16(tile);
      for (int64_t i = 0; i < channels; ++i) put(c + i, p, pixels, tile[i]);
    }
  }
}

template <class V>
void quantize_to_nhwc(const LayoutCall& call, int64_t begin, int64_t end) {
  const Quantizer<V> quantize(call);
  for (int64_t row = begin; row < end; ++row) {
    const LayoutRow r = layout_row(call, row);
    const float* src = static_cast<const float*>(call.src) + r.image * call.channels * call.pixels + r.first;
    uint8_t* dst = static_cast<uint8_t*>(call.dst) + (r.image * call.pixels + r.first) * call.pixel_stride;
    if (call.pixels == 1) {
      for (int64_t c = 0; c < call.channels; c += 16)
        V::store16(dst + c, quantize_16<V>(quantize, src + c, call.channels - c), call.channels - c);
      for (int64_t c = call.channels; c < call.pixel_stride; ++c) dst[c] = static_cast<uint8_t>(call.grid.zero);
    } else if (call.pixel_stride == 4 && call.channels == 3) {
      quantize_to_four<V, 3>(call, src, dst, r.count);
    } else if (call.pixel_stride == 4 && call.channels == 1) {
      quantize_to_four<V, 1>(call, src, dst, r.count);
    } else if (call.pixel_stride == 4 && call.channels == 4) {
      quantize_to_four<V, 4>(call, src, dst, r.count);
    } else {
      planes_to_pixels<V>(
          call, dst, r.count, [&](int64_t c, int64_t p, int64_t n) __attribute__((always_inline)) {
            return quantize_16<V>(quantize, src + c * call.pixels + p, n);
          });
    }
  }
}

template <class V>
OCTET_ALWAYS_INLINE void dequantize_16(const LayoutCall& call, __m128i codes, float* dst, int64_t n) {
  typename V::Ints wide[16 / V::kLanes];
  V::widen16(codes, wide);
  for (int64_t i = 0; i < 16 / V::kLanes; ++i) {
    const auto v = V::mul(V::to_floats(V::sub(wide[i], V::set(call.grid.zero))), V::set(call.scale));
    if (n >= 16) {
      V::store(dst + i * V::kLanes, v);
    } else {
      V::store(dst + i * V::kLanes, v, n - i * V::kLanes);
    }
  }
}

template <class V>
void dequantize_to_nchw(const LayoutCall& call, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const LayoutRow r = layout_row(call, row);
    const uint8_t* src =
        static_cast<const uint8_t*>(call.src) + (r.image * call.pixels + r.first) * call.pixel_stride;
    float* dst = static_cast<float*>(call.dst) + r.image * call.channels * call.pixels + r.first;
    if (call.pixels == 1) {
      for (int64_t c = 0; c < call.channels; c += 16)
        dequantize_16<V>(call, V::load16(src + c, call.channels - c), dst + c, call.channels - c);
    } else {
      pixels_to_planes<V>(
          call, src, r.count, [&](int64_t c, int64_t p, int64_t n, __m128i codes) __attribute__((always_inline)) {
            dequantize_16<V>(call, codes, dst + c * call.pixels + p, n);
          });
    }
  }
}

template <class V>
void bytes_to_nhwc(const LayoutCall& call, uint8_t flip, int64_t begin, int64_t end) {
  const __m128i flips = _mm_set1_epi8(static_cast<char>(flip));
  for (int64_t row = begin; row < end; ++row) {
    const LayoutRow r = layout_row(call, row);
    const uint8_t* src = static_cast<const uint8_t*>(call.src) + r.image * call.channels * call.pixels + r.first;
    uint8_t* dst = static_cast<uint8_t*>(call.dst) + (r.image * call.pixels + r.first) * call.pixel_stride;
    if (call.pixels == 1) {
      for (int64_t c = 0; c < call.channels; c += 16) {
        const int64_t n = call.channels - c;
        V::store16(dst + c, _mm_xor_si128(V::load16(src + c, n), flips), n);
      }
      for (int64_t c = call.channels; c < call.pixel_stride; ++c) dst[c] = static_cast<uint8_t>(call.grid.zero);
    } else {
      planes_to_pixels<V>(
          call, dst, r.count, [&](int64_t c, int64_t p, int64_t n) __attribute__((always_inline)) {
            return _mm_xor_si128(V::load16(src + c * call.pixels + p, n), flips);
          });
    }
  }
}

template <class V>
void bytes_to_nchw(const LayoutCall& call, uint8_t flip, int64_t begin, int64_t end) {
  const __m128i flips = _mm_set1_epi8(static_cast<char>(flip));
  for (int64_t row = begin; row < end; ++row) {
    const LayoutRow r = layout_row(call, row);
    const uint8_t* src =
        static_cast<const uint8_t*>(call.src) + (r.image * call.pixels + r.first) * call.pixel_stride;
    uint8_t* dst = static_cast<uint8_t*>(call.dst) + r.image * call.channels * call.pixels + r.first;
    if (call.pixels == 1) {
      for (int64_t c = 0; c < call.channels; c += 16) {
        const int64_t n = call.channels - c;
        V::store16(dst + c, _mm_xor_si128(V::load16(src + c, n), flips), n);
      }
    } else {
      pixels_to_planes<V>(
          call, src, r.count, [&](int64_t c, int64_t p, int64_t n, __m128i codes) __attribute__((always_inline)) {
            V::store16(dst + c * call.pixels + p, _mm_xor_si128(codes, flips), n);
          });
    }
  }
}

}  // namespace
}  // namespace pixel_loops
}  // namespace octet::cpu
