// The copy of input rows in scratch that the AMX convolution reads: padding written out, columns taken at the stride
// of a 1x1 filter, rows of a fold interleaved pixel by pixel. For files compiled for AVX-512.
//
// Everything is written from the front to the back, so that a store may be wider than its pixel: what it spoils
// behind is written later. Behind the last row scratch has kAmxCopySlack bytes.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/conv_amx.h"

namespace octet::cpu {
namespace {

OCTET_ALWAYS_INLINE void fill_bytes(uint8_t* dst, int64_t bytes, uint8_t code) {
  const __m512i codes = _mm512_set1_epi8(static_cast<char>(code));
  for (int64_t i = 0; i < bytes; i += 64) _mm512_storeu_si512(dst + i, codes);
}

// The part of a row of the copy that comes from the image: for each slot of the fold a row, or `outside` repeated.
struct CopySource {
  const uint8_t* row[kTileBytes] = {};
  int64_t stride[kTileBytes] = {};  // 0 outside
  alignas(64) uint8_t outside[kTileBytes];
};

// Pixels of 4 codes lying together, two or four rows in a fold, 16 pixels at a time.
OCTET_ALWAYS_INLINE __m512i load_16_pixels(const CopySource& source, int64_t slot, int64_t first) {
  return source.stride[slot] == 0 ? _mm512_load_si512(source.outside)
                                  : _mm512_loadu_si512(source.row[slot] + 4 * first);
}

OCTET_ALWAYS_INLINE void interleave_dwords(__m512i a, __m512i b, __m512i* low, __m512i* high) {
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  *low = _mm512_permutex2var_epi32(a, first, b);
  *high = _mm512_permutex2var_epi32(a, second, b);
}

OCTET_ALWAYS_INLINE void interleave_qwords(__m512i a, __m512i b, uint8_t* dst) {
  const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i second = _mm512_add_epi64(first, _mm512_set1_epi64(4));
  _mm512_storeu_si512(dst, _mm512_permutex2var_epi64(a, first, b));
  _mm512_storeu_si512(dst + 64, _mm512_permutex2var_epi64(a, second, b));
}

template <int kFold>
OCTET_ALWAYS_INLINE void interleave_fours(const CopySource& source, int64_t count, uint8_t* dst) {
  for (int64_t i = 0; i < count; i += 16, dst += 64 * kFold) {
    __m512i a[2], b[2];
    interleave_dwords(load_16_pixels(source, 0, i), load_16_pixels(source, 1, i), &a[0], &a[1]);
    if constexpr (kFold == 2) {
      _mm512_storeu_si512(dst, a[0]);
      _mm512_storeu_si512(dst + 64, a[1]);
    } else {
      interleave_dwords(load_16_pixels(source, 2, i), load_16_pixels(source, 3, i), &b[0], &b[1]);
      interleave_qwords(a[0], b[0], dst);
      interleave_qwords(a[1], b[1], dst + 128);
    }
  }
}

// Pixel by pixel and slot by slot, kWidth bytes at a time.
template <int kWidth>
OCTET_ALWAYS_INLINE void copy_pixels(CopySource& source, int64_t slots, int64_t count, int64_t bytes,
                                     int64_t pixel_bytes, uint8_t* dst) {
  for (int64_t p = 0; p < count; ++p, dst += pixel_bytes) {
    for (int64_t s = 0; s < slots; ++s) {
      for (int64_t i = 0; i < bytes; i += kWidth) {
        __builtin_memcpy(dst + s * bytes + i, source.row[s] + i, kWidth);
      }
      source.row[s] += source.stride[s];
    }
  }
}

[[gnu::noinline]] void copy_body(CopySource& source, int64_t slots, int64_t count, int64_t bytes, int64_t pixel_bytes,
                                 int64_t src_stride, uint8_t* dst) {
  const bool packed = bytes == 4 && src_stride == 4;
  if (packed && slots == 2) interleave_fours<2>(source, count, dst);
  else if (packed && slots == 4) interleave_fours<4>(source, count, dst);
  else if (src_stride == bytes && pixel_bytes == bytes) copy_pixels<64>(source, 1, 1, bytes * count, 0, dst);
  else if (bytes <= 16) copy_pixels<16>(source, slots, count, bytes, pixel_bytes, dst);
  else if (bytes <= 32) copy_pixels<32>(source, slots, count, bytes, pixel_bytes, dst);
  else copy_pixels<64>(source, slots, count, bytes, pixel_bytes, dst);
}

// A row of the copy: rows y .. y + fold - 1 of the padded image.
OCTET_ALWAYS_INLINE void copy_row(const AmxPlan& plan, const ConvCall& call, const uint8_t* image, int64_t y,
                                  uint8_t* dst) {
  const ConvGeometry& g = call.problem->geometry;
  const auto zero = static_cast<uint8_t>(call.problem->src_zero);
  const int64_t step = plan.column_step;
  int64_t from = (g.pad_left + step - 1) / step;
  if (from > plan.pitch) from = plan.pitch;
  int64_t to = (g.iw - 1 + g.pad_left) / step + 1;
  if (to > plan.pitch) to = plan.pitch;
  CopySource source;
  bool any = false;
  _mm512_store_si512(source.outside, _mm512_set1_epi8(static_cast<char>(zero)));
  for (int64_t slot = 0; slot < plan.fold; ++slot) {
    const int64_t row = y + slot - g.pad_top;
    const bool inside = row >= 0 && row < g.ih;
    any |= inside;
    source.row[slot] =
        inside ? image + (row * g.iw + from * step - g.pad_left) * call.src_pixel_stride : source.outside;
    source.stride[slot] = inside ? call.src_pixel_stride * step : 0;
  }
  if (!any || to <= from) return fill_bytes(dst, plan.pitch * plan.pixel_bytes, zero);
  fill_bytes(dst, from * plan.pixel_bytes, zero);
  copy_body(source, plan.fold, to - from, g.ic, plan.pixel_bytes, call.src_pixel_stride * step,
            dst + from * plan.pixel_bytes);
  fill_bytes(dst + to * plan.pixel_bytes, (plan.pitch - to) * plan.pixel_bytes, zero);
}

// The rows that output rows [row, row + count) of an image read.
void copy_band(const AmxPlan& plan, const ConvCall& call, const uint8_t* image, int64_t row, int64_t count,
               uint8_t* copy) {
  const ConvGeometry& g = call.problem->geometry;
  const int64_t row_bytes = plan.pitch * plan.pixel_bytes;
  for (int64_t p = 0; p < plan.planes; ++p) {
    uint8_t* dst = copy + p * plan.plane_bytes(count);
    for (int64_t q = 0; q < plan.plane_rows(count); ++q, dst += row_bytes) {
      copy_row(plan, call, image, (row + q) * g.stride_h + p, dst);
    }
    fill_bytes(dst, plan.spill * plan.pixel_bytes, static_cast<uint8_t>(call.problem->src_zero));
  }
}

}  // namespace
}  // namespace octet::cpu
