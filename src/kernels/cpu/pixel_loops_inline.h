// The element-wise and window operators of pixel_ops.h, written once over the vectors V of pixel_simd_*.h and a table
// look-up; pixel_layout_inline.h has the layout moves. Everything is local to the file that includes it.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/lookup_inline.h"
#include "kernels/cpu/pixel_loops.h"

namespace octet::cpu {
namespace pixel_loops {
namespace {

// Rows that lie without gaps are one long row.
struct Rows {
  int64_t count = 0, length = 0;
};
OCTET_ALWAYS_INLINE Rows merge_rows(int64_t count, int64_t length, bool gapless) {
  if (gapless) return {1, count * length};
  return {count, length};
}

template <class V>
OCTET_ALWAYS_INLINE void copy_bytes(const uint8_t* src, uint8_t* dst, int64_t n) {
  int64_t i = 0;
  for (; i + V::kBytes <= n; i += V::kBytes) V::store(dst + i, V::load(src + i));
  if (i < n) V::store(dst + i, V::load(src + i, n - i), n - i);
}

template <class V, class Lookup>
void apply_table(const TableCall& call, int64_t begin, int64_t end) {
  const Rows rows =
      merge_rows(end - begin, call.channels, call.src_stride == call.channels && call.dst_stride == call.channels);
  const uint8_t* src = call.src + begin * call.src_stride;
  uint8_t* dst = call.dst + begin * call.dst_stride;
  if (call.table == nullptr) {
    for (int64_t r = 0; r < rows.count; ++r)
      copy_bytes<V>(src + r * call.src_stride, dst + r * call.dst_stride, rows.length);
    return;
  }
  Lookup lookup;
  lookup.prepare(call.table);
  for (int64_t r = 0; r < rows.count; ++r, src += call.src_stride, dst += call.dst_stride) {
    int64_t i = 0;
    for (; i + V::kBytes <= rows.length; i += V::kBytes) V::store(dst + i, lookup.look_up(V::load(src + i)));
    if (i < rows.length) {
      const int64_t n = rows.length - i;
      V::store(dst + i, lookup.look_up(V::load(src + i, n)), n);
    }
  }
}

// to_grid() of four quarters.
template <class V>
OCTET_ALWAYS_INLINE typename V::Bytes quarters_to_grid(const typename V::Floats* v, const Grid& grid) {
  const auto hi = V::set(static_cast<float>(grid.hi - grid.zero));
  typename V::Ints rounded[4];
  // What is below every 32-bit integer, and NaN, becomes the lowest one by the conversion's own rule.
  for (int k = 0; k < 4; ++k) rounded[k] = V::round(V::min(hi, v[k]));
  return V::narrow(rounded, grid.zero, static_cast<uint8_t>(grid.lo));
}

template <class V, bool kMultiply, int kQuarter>
OCTET_ALWAYS_INLINE typename V::Floats binary_quarter(const BinaryCall& call, typename V::Bytes a,
                                                      typename V::Bytes b) {
  const auto ia = V::sub(V::template quarter<kQuarter>(a), V::set(call.a_zero));
  const auto ib = V::sub(V::template quarter<kQuarter>(b), V::set(call.b_zero));
  if constexpr (kMultiply) return V::mul(V::to_floats(V::mul(ia, ib)), V::set(call.a_scale));
  return V::add(V::mul(V::to_floats(ia), V::set(call.a_scale)), V::mul(V::to_floats(ib), V::set(call.b_scale)));
}

template <class V, bool kMultiply>
OCTET_ALWAYS_INLINE typename V::Bytes binary_codes(const BinaryCall& call, typename V::Bytes a, typename V::Bytes b) {
  const typename V::Floats v[4] = {
      binary_quarter<V, kMultiply, 0>(call, a, b), binary_quarter<V, kMultiply, 1>(call, a, b),
      binary_quarter<V, kMultiply, 2>(call, a, b), binary_quarter<V, kMultiply, 3>(call, a, b)};
  return quarters_to_grid<V>(v, call.grid);
}

template <class V, class Lookup, bool kMultiply, bool kTable>
void binary_rows(const BinaryCall& full, int64_t begin, int64_t end) {
  const BinaryCall call = full;  // a copy, whose fields no store can change
  Lookup lookup;
  if constexpr (kTable) lookup.prepare(call.table);
  const bool gapless = !call.b_per_image && call.a_stride == call.channels && call.b_stride == call.channels &&
                       call.dst_stride == call.channels;
  const Rows rows = merge_rows(end - begin, call.channels, gapless);
  for (int64_t r = 0; r < rows.count; ++r) {
    const int64_t row = begin + r;
    const uint8_t* a = call.a + row * call.a_stride;
    const uint8_t* b = call.b + (call.b_per_image ? row / call.pixels : row) * call.b_stride;
    uint8_t* dst = call.dst + row * call.dst_stride;
    for (int64_t i = 0; i < rows.length; i += V::kBytes) {
      const int64_t n = rows.length - i;
      const bool full_vector = n >= V::kBytes;
      auto codes = binary_codes<V, kMultiply>(call, full_vector ? V::load(a + i) : V::load(a + i, n),
                                              full_vector ? V::load(b + i) : V::load(b + i, n));
      if constexpr (kTable) codes = lookup.look_up(codes);
      if (full_vector) {
        V::store(dst + i, codes);
      } else {
        V::store(dst + i, codes, n);
      }
    }
  }
}

template <class V, class Lookup>
void binary(const BinaryCall& call, int64_t begin, int64_t end) {
  if (call.multiply) {
    (call.table != nullptr ? binary_rows<V, Lookup, true, true> : binary_rows<V, Lookup, true, false>)(call, begin,
                                                                                                       end);
  } else {
    (call.table != nullptr ? binary_rows<V, Lookup, false, true> : binary_rows<V, Lookup, false, false>)(call, begin,
                                                                                                         end);
  }
}

// The pixels of one window inside the image.
struct Window {
  const uint8_t* first = nullptr;
  int64_t rows = 0, columns = 0;
  int64_t row_step = 0, column_step = 0;  // bytes
};

// kChunks vectors of channels at once; `tail`: channels of the only one when it is not full.
template <class V, int kChunks, bool kTail>
OCTET_ALWAYS_INLINE void max_chunk(const Window& w, int64_t c, uint8_t* dst, int64_t tail) {
  typename V::Bytes most[kChunks];
  for (int k = 0; k < kChunks; ++k) most[k] = V::set(static_cast<uint8_t>(0));
  const uint8_t* row = w.first + c;
  for (int64_t y = 0; y < w.rows; ++y, row += w.row_step) {
    const uint8_t* p = row;
    for (int64_t x = 0; x < w.columns; ++x, p += w.column_step)
      for (int k = 0; k < kChunks; ++k)
        most[k] = V::max(most[k], kTail ? V::load(p, tail) : V::load(p + k * V::kBytes));
  }
  for (int k = 0; k < kChunks; ++k) {
    if constexpr (kTail) {
      V::store(dst + c, most[k], tail);
    } else {
      V::store(dst + c + k * V::kBytes, most[k]);
    }
  }
}

struct Averaging {
  float multiplier = 1;
  int32_t offset = 0;  // src_zero times the number of pixels
  Grid grid;
};

template <class V, int kChunks, bool kTail>
OCTET_ALWAYS_INLINE void average_chunk(const Window& w, const Averaging& a, int64_t c, uint8_t* dst, int64_t tail) {
  typename V::Ints sums[kChunks][4];
  typename V::Bytes all[kChunks], odd[kChunks];
  for (int k = 0; k < kChunks; ++k) {
    for (auto& sum : sums[k]) sum = V::set(static_cast<int32_t>(0));
    all[k] = odd[k] = V::set(static_cast<uint8_t>(0));
  }
  int64_t pending = 0;  // 257 * 255 still fits 16 bits
  const uint8_t* row = w.first + c;
  for (int64_t y = 0; y < w.rows; ++y, row += w.row_step) {
    const uint8_t* p = row;
    for (int64_t x = 0; x < w.columns; ++x, p += w.column_step) {
      for (int k = 0; k < kChunks; ++k)
        V::sum_words(kTail ? V::load(p, tail) : V::load(p + k * V::kBytes), &all[k], &odd[k]);
      if (++pending < 257) continue;
      pending = 0;
      for (int k = 0; k < kChunks; ++k) {
        V::widen_sums(all[k], odd[k], sums[k]);
        all[k] = odd[k] = V::set(static_cast<uint8_t>(0));
      }
    }
  }
  for (int k = 0; k < kChunks; ++k) {
    V::widen_sums(all[k], odd[k], sums[k]);
    typename V::Floats v[4];
    for (int q = 0; q < 4; ++q)
      v[q] = V::mul(V::to_floats(V::sub(sums[k][q], V::set(a.offset))), V::set(a.multiplier));
    const auto codes = quarters_to_grid<V>(v, a.grid);
    if constexpr (kTail) {
      V::store(dst + c, codes, tail);
    } else {
      V::store(dst + c + k * V::kBytes, codes);
    }
  }
}

template <class V>
OCTET_ALWAYS_INLINE void max_pixel(const Window& w, int64_t channels, uint8_t* dst) {
  int64_t c = 0;
  for (; c + 4 * V::kBytes <= channels; c += 4 * V::kBytes) max_chunk<V, 4, false>(w, c, dst, 0);
  for (; c + V::kBytes <= channels; c += V::kBytes) max_chunk<V, 1, false>(w, c, dst, 0);
  if (c < channels) max_chunk<V, 1, true>(w, c, dst, channels - c);
}

template <class V>
OCTET_ALWAYS_INLINE void average_pixel(const Window& w, const Averaging& a, int64_t channels, uint8_t* dst) {
  int64_t c = 0;
  for (; c + 2 * V::kBytes <= channels; c += 2 * V::kBytes) average_chunk<V, 2, false>(w, a, c, dst, 0);
  for (; c + V::kBytes <= channels; c += V::kBytes) average_chunk<V, 1, false>(w, a, c, dst, 0);
  if (c < channels) average_chunk<V, 1, true>(w, a, c, dst, channels - c);
}

template <class V>
void pool(const PoolCall& call, int64_t begin, int64_t end) {
  Window w;
  w.row_step = call.dilation_h * call.iw * call.src_stride;
  w.column_step = call.dilation_w * call.src_stride;
  Averaging a;
  a.grid = call.grid;
  int64_t last_counted = -1;
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* image = call.src + row / call.oh * call.ih * call.iw * call.src_stride;
    const int64_t y0 = row % call.oh * call.stride_h - call.pad_top;
    const TapRange ty = taps_inside(y0, call.kh, call.dilation_h, call.ih);
    w.rows = ty.end - ty.begin;
    uint8_t* dst = call.dst + row * call.ow * call.dst_stride;
    for (int64_t x = 0; x < call.ow; ++x, dst += call.dst_stride) {
      const int64_t x0 = x * call.stride_w - call.pad_left;
      const TapRange tx = taps_inside(x0, call.kw, call.dilation_w, call.iw);
      w.columns = tx.end - tx.begin;
      w.first =
          image + ((y0 + ty.begin * call.dilation_h) * call.iw + x0 + tx.begin * call.dilation_w) * call.src_stride;
      if (!call.average) {
        max_pixel<V>(w, call.channels, dst);
        continue;
      }
      const int64_t inside = w.rows * w.columns;
      const int64_t counted = call.count_pad ? call.kh * call.kw : inside;
      if (counted != last_counted) a.multiplier = call.scale / static_cast<float>(counted > 0 ? counted : 1);
      last_counted = counted;
      a.offset = static_cast<int32_t>(inside * call.src_zero);
      average_pixel<V>(w, a, call.channels, dst);
    }
  }
}

template <class V>
void resize_nearest(const ResizeCall& call, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* src =
        call.src + (row / call.oh * call.ih + call.row_of[row % call.oh]) * call.iw * call.src_stride;
    uint8_t* dst = call.dst + row * call.ow * call.dst_stride;
    for (int64_t x = 0; x < call.ow; ++x)
      copy_bytes<V>(src + call.column_of[x] * call.src_stride, dst + x * call.dst_stride, call.channels);
  }
}

}  // namespace
}  // namespace pixel_loops
}  // namespace octet::cpu
