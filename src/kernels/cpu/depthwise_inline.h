// depthwise.h for one instruction set, given by D: D::V are the vectors of pixel_simd_*.h, D::kLaneRows rows go into
// a 32-bit lane, D::kRegisters registers of output pixels are summed at once (kRegistersOf3x3 for that kernel),
// D::dot() multiplies and adds a lane's rows. Everything is local to the file that includes it.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/lookup_inline.h"
#include "kernels/cpu/pixel_loops.h"
#include "kernels/cpu/store_inline.h"

namespace octet::cpu {
namespace {

// Output pixels [first, first + count) of a row group, in one block of channels.
struct DepthwisePass {
  const DepthwisePlan* plan = nullptr;
  const ConvCall* call = nullptr;
  DepthwiseBlock block;
  int64_t image = 0;
  int64_t row = 0;  // first output row
  int64_t first = 0, count = 0;
  const uint8_t* padding = nullptr;  // one register
  uint8_t* planes = nullptr;         // [row set][quarter][column modulo stride_w][slot][block.width bytes]
  int32_t* sums = nullptr;           // [pixel][block.width]
};

// An input row at the block's first channel; step is the distance of pixels, 0 for a row of padding.
struct DepthwiseRow {
  const uint8_t* first = nullptr;
  int64_t step = 0;
};

template <class D>
OCTET_ALWAYS_INLINE void find_rows(const DepthwisePass& pass, int64_t set, DepthwiseRow* rows) {
  const ConvGeometry& g = pass.call->problem->geometry;
  const int64_t used = (pass.plan->out_rows - 1) * g.stride_h + g.kh;
  for (int64_t k = 0; k < D::kLaneRows; ++k) {
    const int64_t tap = set * D::kLaneRows + k;
    const int64_t y = pass.row * g.stride_h - g.pad_top + tap * g.dilation_h;
    rows[k] = {pass.padding, 0};
    if (tap < used && y >= 0 && y < g.ih)
      rows[k] = {pass.call->src + (pass.image * g.ih + y) * g.iw * pass.call->src_pixel_stride + pass.block.begin,
                 pass.call->src_pixel_stride};
  }
}

// One register from pixels that are `step` bytes apart, kWidth bytes of each.
template <class D, int kWidth>
OCTET_ALWAYS_INLINE typename D::V::Bytes load_pixels(const uint8_t* p, int64_t step) {
  if constexpr (kWidth == D::V::kBytes) return D::V::load(p);
  const uint8_t* const each[4] = {p, p + step, p + 2 * step, p + 3 * step};
  return D::template join<kWidth>(each);
}

// The same from pixels x, x + stride, ... of which some lie outside the image.
template <class D, int kWidth>
OCTET_ALWAYS_INLINE typename D::V::Bytes load_edge(const DepthwiseRow& row, int64_t x, int64_t stride, int64_t size,
                                                   const uint8_t* padding) {
  if constexpr (kWidth == D::V::kBytes) return D::V::load(padding);
  const uint8_t* each[4];
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t at = x + i * stride;
    each[i] = at >= 0 && at < size ? row.first + at * row.step : padding;
  }
  return D::template join<kWidth>(each);
}

// Slots [slot, end) of the columns x0, x0 + stride, ...
template <class D, int kWidth>
OCTET_ALWAYS_INLINE void interleave_columns(const DepthwisePass& pass, const DepthwiseRow* rows, int64_t x0,
                                            int64_t slot, int64_t end, uint8_t* quarters) {
  using V = typename D::V;
  constexpr int64_t kPixels = V::kBytes / kWidth;  // in a register
  const ConvGeometry& g = pass.call->problem->geometry;
  const int64_t stride = g.stride_w, plane_bytes = pass.plan->plane_bytes;
  const auto put = [&](const typename V::Bytes* in) __attribute__((always_inline)) {
    typename V::Bytes out[4];
    D::interleave(in, out);
    for (int64_t q = 0; q < 4; ++q) V::store(quarters + q * plane_bytes + slot * kWidth, out[q]);
  };
  const auto edge = [&]() __attribute__((always_inline)) {
    typename V::Bytes in[D::kLaneRows];
    for (int64_t k = 0; k < D::kLaneRows; ++k)
      in[k] = load_edge<D, kWidth>(rows[k], x0 + slot * stride, stride, g.iw, pass.padding);
    put(in);
  };
  for (; slot < end && x0 + slot * stride < 0; slot += kPixels) edge();
  const uint8_t* at[D::kLaneRows];
  int64_t steps[D::kLaneRows];
  for (int64_t k = 0; k < D::kLaneRows; ++k) {
    at[k] = rows[k].first + (x0 + slot * stride) * rows[k].step;
    steps[k] = stride * rows[k].step;
  }
  for (; slot < end && x0 + (slot + kPixels - 1) * stride < g.iw; slot += kPixels) {
    typename V::Bytes in[D::kLaneRows];
#pragma GCC unroll 4
    for (int64_t k = 0; k < D::kLaneRows; ++k) {
      in[k] = load_pixels<D, kWidth>(at[k], steps[k]);
      at[k] += kPixels * steps[k];
    }
    put(in);
  }
  for (; slot < end; slot += kPixels) edge();
}

template <class D, int kWidth>
void interleave_set(const DepthwisePass& pass, int64_t set) {
  constexpr int64_t kRun = 16;  // slots after which the next residue has its turn: they share cache lines
  const DepthwisePlan& plan = *pass.plan;
  const ConvGeometry& g = pass.call->problem->geometry;
  DepthwiseRow rows[D::kLaneRows];
  find_rows<D>(pass, set, rows);
  const int64_t slots = pass.count + (g.kw - 1) * g.dilation_w / g.stride_w + 1;
  uint8_t* quarters = pass.planes + set * 4 * plan.plane_bytes;
  for (int64_t slot = 0; slot < slots; slot += kRun) {
    const int64_t end = slots - slot < kRun || g.stride_w == 1 ? slots : slot + kRun;
    for (int64_t residue = 0; residue < g.stride_w; ++residue)
      interleave_columns<D, kWidth>(pass, rows, pass.first * g.stride_w + residue - g.pad_left, slot, end,
                                    quarters + residue * plan.slots * kWidth);
    if (end == slots) return;
  }
}

// How codes leave the registers when nothing but multiplier, grid and table is asked for.
template <class D>
struct DepthwiseStore {
  using V = typename D::V;
  alignas(64) float multiplier[V::kBytes];  // by quarters and lanes
  bool in_registers = false;
  bool may_overflow = false;
  Grid grid;
  bool has_table = false;
  typename D::Lookup lookup;
};

template <class D>
OCTET_ALWAYS_INLINE void load_multipliers(const float* from, const DepthwiseBlock& block, float* to) {
  constexpr int64_t kGroups = D::V::kBytes / 16;  // of four channels in a quarter
  if (block.channels == D::V::kBytes) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < 4 * kGroups; ++i)
      __builtin_memcpy(to + 4 * i, from + block.begin + depthwise_lane_channel(i / kGroups, i % kGroups * 4), 16);
    return;
  }
  for (int64_t i = 0; i < 4 * kGroups; ++i) {
    const int64_t local = depthwise_lane_channel(i / kGroups, i % kGroups * 4) % block.width;
    // [oc rounded up to 16] exist
    if (local / 16 * 16 < block.channels) __builtin_memcpy(to + 4 * i, from + block.begin + local, 16);
    else __builtin_memset(to + 4 * i, 0, 16);
  }
}

// Whether |multiplier| < 1 for all channels does not hold: only then can a product leave the range of int32.
OCTET_ALWAYS_INLINE bool products_may_overflow(const float* multiplier, int64_t channels) {
  uint32_t found = 0;
  for (int64_t c = 0; c < channels; ++c) {
    uint32_t bits = 0;
    __builtin_memcpy(&bits, multiplier + c, 4);
    found |= (bits & 0x7fffffffu) >= 0x3f800000u ? 1u : 0u;
  }
  return found != 0;
}

// The first `pixels` of a register.
template <class D, int kWidth>
OCTET_ALWAYS_INLINE void store_pixels(uint8_t* dst, int64_t stride, typename D::V::Bytes codes, int64_t pixels,
                                      int64_t channels) {
  using V = typename D::V;
  constexpr int64_t kPixels = V::kBytes / kWidth;
  if (channels == kWidth && pixels == kPixels && (kPixels == 1 || stride == kWidth)) {
    V::store(dst, codes);
  } else if constexpr (kPixels == 1) {
    V::store(dst, codes, channels);
  } else if (channels == kWidth && pixels == kPixels) {
    D::template split<kWidth>(dst, stride, codes);
  } else {
    alignas(64) uint8_t bytes[2 * V::kBytes];
    V::store(bytes, codes);
    for (int64_t i = 0; i < pixels; ++i)
      D::template copy_narrow<kWidth>(dst + i * stride, bytes + i * kWidth, channels);
  }
}

template <class D>
OCTET_ALWAYS_INLINE typename D::V::Ints to_rounded(const DepthwiseStore<D>& store, typename D::V::Ints sum,
                                                   int64_t q) {
  using V = typename D::V;
  auto v = V::mul(V::to_floats(sum), V::load(store.multiplier + q * V::kLanes));
  if (store.may_overflow) v = V::min(V::set(kBeyondCodes), v);  // NaN stays, and becomes the lowest code
  return V::round(v);
}

// Where the data of a tap begin, for the first pixel and quarter.
struct DepthwiseTaps {
  const int64_t* offsets = nullptr;  // [tap]
  int64_t set_bytes = 0;             // from one set of rows to the next
  int64_t residue_bytes = 0;         // from the even columns to the odd ones
};

// Adds all taps of quarter q. kStride is 1 or 2 for 3x3 kernels without dilation: then the distances between taps are
// constants, and what neighbouring pixels share is loaded once.
template <class D, int kWidth, int kStride, int kRegisters>
OCTET_ALWAYS_INLINE void add_taps(const DepthwisePlan& plan, const DepthwiseTaps& taps, const uint8_t* data,
                                  const uint8_t* weights, typename D::V::Ints* sums) {
  using V = typename D::V;
  if constexpr (kStride > 0) {
    constexpr int64_t kSets = D::kTapsOf3x3 / 3;
#pragma GCC unroll 2
    for (int64_t set = 0; set < kSets; ++set) {
#pragma GCC unroll 3
      for (int64_t kx = 0; kx < 3; ++kx) {
        const auto w = V::load(weights + 4 * (kx * kSets + set) * V::kBytes);
        const uint8_t* at = data + set * taps.set_bytes + kx % kStride * taps.residue_bytes + kx / kStride * kWidth;
#pragma GCC unroll 8
        for (int64_t r = 0; r < kRegisters; ++r) sums[r] = D::dot(sums[r], V::load(at + r * V::kBytes), w);
      }
    }
  } else {
    for (int64_t t = 0; t < plan.taps; ++t) {
      const auto w = V::load(weights + 4 * t * V::kBytes);
      const uint8_t* at = data + taps.offsets[t];
#pragma GCC unroll 8
      for (int64_t r = 0; r < kRegisters; ++r) sums[r] = D::dot(sums[r], V::load(at + r * V::kBytes), w);
    }
  }
}

// Output pixels of one row from `slot` on: kRegisters registers of them, of which `pixels` count.
template <class D, int kWidth, int kStride, int kRegisters>
OCTET_ALWAYS_INLINE void sum_pixels(const DepthwisePass& pass, const DepthwiseStore<D>& store,
                                    const DepthwiseTaps& taps, const uint8_t* weights, const uint8_t* constants,
                                    int64_t slot, int64_t pixels, uint8_t* dst) {
  using V = typename D::V;
  constexpr int64_t kPixels = V::kBytes / kWidth;
  typename V::Bytes words[2][kRegisters];
#pragma GCC unroll 2
  for (int64_t half = 0; half < 2; ++half) {
    typename V::Ints sums[2][kRegisters];
#pragma GCC unroll 2
    for (int64_t i = 0; i < 2; ++i) {
      const int64_t q = 2 * half + i;
#pragma GCC unroll 8
      for (int64_t r = 0; r < kRegisters; ++r) sums[i][r] = V::load(constants + q * V::kBytes);
      add_taps<D, kWidth, kStride, kRegisters>(*pass.plan, taps,
                                               pass.planes + slot * kWidth + q * pass.plan->plane_bytes,
                                               weights + q * V::kBytes, sums[i]);
      if (store.in_registers) continue;
      // As depthwise_lane_channel() says.
      for (int64_t r = 0; r < kRegisters; ++r)
        D::store_lanes(pass.sums + (slot + r * kPixels) * kWidth + 4 * q, sums[i][r]);
    }
#pragma GCC unroll 8
    for (int64_t r = 0; r < kRegisters; ++r) {
      words[half][r] = V::narrow_to_words(to_rounded<D>(store, sums[0][r], 2 * half),
                                          to_rounded<D>(store, sums[1][r], 2 * half + 1));
    }
  }
  if (!store.in_registers) return;
  const int64_t stride = pass.call->dst_pixel_stride;
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRegisters; ++r) {
    auto codes = V::narrow_words(words[0][r], words[1][r], store.grid.zero, static_cast<uint8_t>(store.grid.lo));
    codes = V::min(codes, V::set(static_cast<uint8_t>(store.grid.hi)));
    if (store.has_table) codes = store.lookup.look_up(codes);
    store_pixels<D, kWidth>(dst + (slot + r * kPixels) * stride, stride, codes, pixels < kPixels ? pixels : kPixels,
                            pass.block.channels);
  }
}

// One output row of the pass.
template <class D, int kWidth, int kStride>
void sum_row(const DepthwisePass& pass, const DepthwiseStore<D>& store, const DepthwiseTaps& taps,
             const uint8_t* weights, const uint8_t* constants, uint8_t* dst) {
  constexpr int64_t kPixels = D::V::kBytes / kWidth;
  constexpr int kRegisters = kStride > 0 ? D::kRegistersOf3x3 : D::kRegisters;
  constexpr int64_t kStep = kPixels * kRegisters;
  int64_t slot = 0;
  for (; slot + kStep <= pass.count; slot += kStep)
    sum_pixels<D, kWidth, kStride, kRegisters>(pass, store, taps, weights, constants, slot, kStep, dst);
  if (slot == pass.count) return;
  if (pass.count >= kStep) {  // some once more
    sum_pixels<D, kWidth, kStride, kRegisters>(pass, store, taps, weights, constants, pass.count - kStep, kStep, dst);
    return;
  }
  for (; slot < pass.count; slot += kPixels)
    sum_pixels<D, kWidth, kStride, 1>(pass, store, taps, weights, constants, slot, pass.count - slot, dst);
}

template <class D>
void store_sums(const DepthwisePass& pass, int64_t pixel) {
  const ConvCall& call = *pass.call;
  StoreBlock block;
  block.sums = pass.sums;
  block.ld = pass.block.width;
  block.rows = pass.count;
  block.oc_begin = pass.block.begin;
  block.channels = static_cast<int>(pass.block.channels);
  const int64_t element = call.store.to_float ? 4 : 1;
  block.dst = static_cast<uint8_t*>(call.dst) + (pixel * call.dst_pixel_stride + pass.block.begin) * element;
  block.dst_stride = call.dst_pixel_stride;
  if (call.residual != nullptr)
    block.residual = call.residual + pixel * call.residual_pixel_stride + pass.block.begin;
  block.residual_stride = call.residual_pixel_stride;
  store_block(plan_store(call.store, pass.block.begin, pass.block.channels), block);
}

template <class D, int kWidth, int kStride>
void run_pass(const DepthwisePass& pass, const DepthwiseStore<D>& store, const uint8_t* packed) {
  const DepthwisePlan& plan = *pass.plan;
  const ConvGeometry& g = pass.call->problem->geometry;
  for (int64_t set = 0; set < plan.row_sets; ++set) interleave_set<D, kWidth>(pass, set);
  int64_t offsets[kDepthwiseMaxTaps];
  const DepthwiseTaps taps = {offsets, 4 * plan.plane_bytes, plan.slots * kWidth};
  for (int64_t t = 0; kStride == 0 && t < plan.taps; ++t) {
    const int64_t column = t / plan.row_sets * g.dilation_w, set = t % plan.row_sets;
    offsets[t] = set * taps.set_bytes + column % g.stride_w * taps.residue_bytes + column / g.stride_w * kWidth;
  }
  const uint8_t* weights = packed + 4 * plan.vector;
  for (int64_t r = 0; r < plan.out_rows && pass.row + r < g.oh; ++r, weights += plan.taps * 4 * plan.vector) {
    const int64_t pixel = (pass.image * g.oh + pass.row + r) * g.ow + pass.first;
    uint8_t* dst = static_cast<uint8_t*>(pass.call->dst) + pixel * pass.call->dst_pixel_stride + pass.block.begin;
    sum_row<D, kWidth, kStride>(pass, store, taps, weights, packed, dst);
    if (!store.in_registers) store_sums<D>(pass, pixel);
  }
}

template <class D, int kStride>
OCTET_ALWAYS_INLINE void run_width(const DepthwisePass& pass, const DepthwiseStore<D>& store, const uint8_t* packed) {
  if (pass.block.width == 16) {
    run_pass<D, 16, kStride>(pass, store, packed);
  } else if (D::V::kBytes == 32 || pass.block.width == 32) {
    run_pass<D, 32, kStride>(pass, store, packed);
  } else {
    run_pass<D, D::V::kBytes, kStride>(pass, store, packed);
  }
}

template <class D>
OCTET_ALWAYS_INLINE void prepare_store(const Store& from, int64_t channels, DepthwiseStore<D>& store) {
  store.in_registers =
      !from.to_float && from.addend == nullptr && from.curve == Curve::kNone && from.residual == Residual::kNone;
  store.may_overflow = products_may_overflow(from.multiplier, channels);
  store.grid = from.first;
  store.has_table = from.table != nullptr;
  if (store.in_registers && store.has_table) store.lookup.prepare(from.table);
}

template <class D>
OCTET_ALWAYS_INLINE void run_units(const DepthwisePlan& plan, const ConvCall& call, int64_t begin, int64_t end,
                                   uint8_t* scratch) {
  const ConvGeometry& g = call.problem->geometry;
  DepthwiseStore<D> store;
  prepare_store(call.store, g.oc, store);
  D::V::store(scratch, D::V::set(static_cast<uint8_t>(call.problem->src_zero)));
  DepthwisePass pass;
  pass.plan = &plan;
  pass.call = &call;
  pass.padding = scratch;
  pass.planes = scratch + plan.vector;
  pass.sums = reinterpret_cast<int32_t*>(pass.planes + 4 * plan.row_sets * plan.plane_bytes);
  const bool small = plan.taps == D::kTapsOf3x3 && g.kw == 3 && g.dilation_w == 1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t block = unit % plan.blocks, group = unit / plan.blocks;
    pass.block = depthwise_block(plan, g.oc, block);
    pass.image = group / plan.row_groups;
    pass.row = group % plan.row_groups * plan.out_rows;
    load_multipliers<D>(call.store.multiplier, pass.block, store.multiplier);
    const uint8_t* packed = call.packed + block * plan.block_bytes;
    for (pass.first = 0; pass.first < g.ow; pass.first += plan.chunk) {
      pass.count = g.ow - pass.first < plan.chunk ? g.ow - pass.first : plan.chunk;
      if (small && g.stride_w == 1) run_width<D, 1>(pass, store, packed);
      else if (small && g.stride_w == 2) run_width<D, 2>(pass, store, packed);
      else run_width<D, 0>(pass, store, packed);
    }
  }
}

}  // namespace
}  // namespace octet::cpu
