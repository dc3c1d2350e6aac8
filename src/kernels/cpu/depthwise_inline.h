// depthwise.h for one instruction set, given by D: D::V are the vectors of pixel_simd_*.h, D::kLaneRows rows go into
// a 32-bit lane, D::kPixels registers of output pixels are summed at once, D::dot() multiplies and adds a lane's
// rows. Everything is local to the file that includes it.
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
  uint8_t* planes = nullptr;         // [row set][quarter][column modulo stride_w][slot][block.width * 4 / 4 bytes]
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

// One register from pixels x, x + stride, ... of a row, kWidth bytes of each.
template <class D, int kWidth>
OCTET_ALWAYS_INLINE typename D::V::Bytes load_pixels(const DepthwiseRow& row, int64_t x, int64_t stride) {
  const uint8_t* p = row.first + x * row.step;
  if constexpr (kWidth == D::V::kBytes) return D::V::load(p);
  return D::template load_narrow<kWidth>(p, stride * row.step);
}

// The same where some of the pixels lie outside the image.
template <class D, int kWidth>
OCTET_ALWAYS_INLINE typename D::V::Bytes load_edge(const DepthwiseRow& row, int64_t x, int64_t stride, int64_t size,
                                                   const uint8_t* padding) {
  alignas(64) uint8_t bytes[D::V::kBytes];
  for (int64_t i = 0; i < D::V::kBytes / kWidth; ++i) {
    const int64_t at = x + i * stride;
    __builtin_memcpy(bytes + i * kWidth, at >= 0 && at < size ? row.first + at * row.step : padding, kWidth);
  }
  return D::V::load(bytes);
}

template <class D, int kWidth>
void interleave_set(const DepthwisePass& pass, int64_t set) {
  using V = typename D::V;
  constexpr int64_t kPixels = V::kBytes / kWidth;  // in a register
  const DepthwisePlan& plan = *pass.plan;
  const ConvGeometry& g = pass.call->problem->geometry;
  DepthwiseRow rows[D::kLaneRows];
  find_rows<D>(pass, set, rows);
  const int64_t stride = g.stride_w;
  const int64_t slots = pass.count + (g.kw - 1) * g.dilation_w / stride + 1;
  uint8_t* quarters = pass.planes + set * 4 * plan.plane_bytes;
  for (int64_t residue = 0; residue < stride; ++residue, quarters += plan.slots * kWidth) {
    const int64_t x0 = pass.first * stride + residue - g.pad_left;
    const auto put = [&](int64_t slot, const typename V::Bytes* in) __attribute__((always_inline)) {
      typename V::Bytes out[4];
      D::interleave(in, out);
      for (int64_t q = 0; q < 4; ++q) V::store(quarters + q * plan.plane_bytes + slot * kWidth, out[q]);
    };
    const auto edge = [&](int64_t slot) __attribute__((noinline)) {
      typename V::Bytes in[D::kLaneRows];
      for (int64_t k = 0; k < D::kLaneRows; ++k)
        in[k] = load_edge<D, kWidth>(rows[k], x0 + slot * stride, stride, g.iw, pass.padding);
      put(slot, in);
    };
    int64_t slot = 0;
    for (; slot < slots && x0 + slot * stride < 0; slot += kPixels) edge(slot);
    for (; slot < slots && x0 + (slot + kPixels - 1) * stride < g.iw; slot += kPixels) {
      typename V::Bytes in[D::kLaneRows];
      for (int64_t k = 0; k < D::kLaneRows; ++k) in[k] = load_pixels<D, kWidth>(rows[k], x0 + slot * stride, stride);
      put(slot, in);
    }
    for (; slot < slots; slot += kPixels) edge(slot);
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
  for (int64_t i = 0; i < D::V::kBytes / 4; ++i) {
    const int64_t local = depthwise_lane_channel(i / (D::V::kBytes / 16), i % (D::V::kBytes / 16) * 4) % block.width;
    // [oc rounded up to 16] exist
    if (local / 16 * 16 < block.channels) {
      __builtin_memcpy(to + 4 * i, from + block.begin + local, 16);
    } else {
      __builtin_memset(to + 4 * i, 0, 16);
    }
  }
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
  } else {
    alignas(64) uint8_t bytes[2 * V::kBytes];
    V::store(bytes, codes);
    for (int64_t i = 0; i < pixels; ++i)
      D::template copy_narrow<kWidth>(dst + i * stride, bytes + i * kWidth, channels);
  }
}

template <class D>
OCTET_ALWAYS_INLINE typename D::V::Bytes to_codes(const DepthwiseStore<D>& store, const typename D::V::Ints* sums) {
  using V = typename D::V;
  typename V::Ints rounded[4];
  for (int64_t q = 0; q < 4; ++q) {
    auto v = V::mul(V::to_floats(sums[q]), V::load(store.multiplier + q * V::kLanes));
    if (store.may_overflow) v = V::min(v, V::set(kBeyondCodes));
    rounded[q] = V::round(v);
  }
  auto codes = V::narrow(rounded, store.grid.zero, static_cast<uint8_t>(store.grid.lo));
  codes = V::min(codes, V::set(static_cast<uint8_t>(store.grid.hi)));
  return store.has_table ? store.lookup.look_up(codes) : codes;
}

// Output pixels of one row from `slot` on: kRegisters registers of them, of which `pixels` count.
template <class D, int kWidth, int kTaps, int kRegisters>
OCTET_ALWAYS_INLINE void sum_pixels(const DepthwisePass& pass, const DepthwiseStore<D>& store, const int64_t* offsets,
                                    const uint8_t* weights, const uint8_t* constants, int64_t slot, int64_t pixels,
                                    uint8_t* dst) {
  using V = typename D::V;
  constexpr int64_t kPixels = V::kBytes / kWidth;
  const int64_t plane_bytes = pass.plan->plane_bytes;
  const int64_t taps = kTaps > 0 ? kTaps : pass.plan->taps;
  typename V::Ints sums[kRegisters][4];
  for (int64_t r = 0; r < kRegisters; ++r)
    for (int64_t q = 0; q < 4; ++q) sums[r][q] = V::load(constants + q * V::kBytes);
  const uint8_t* data = pass.planes + slot * kWidth;
  const auto add_tap = [&](int64_t t) __attribute__((always_inline)) {
    for (int64_t q = 0; q < 4; ++q) {
      const auto w = V::load(weights + (4 * t + q) * V::kBytes);
      const uint8_t* at = data + offsets[t] + q * plane_bytes;
      for (int64_t r = 0; r < kRegisters; ++r) sums[r][q] = D::dot(sums[r][q], V::load(at + r * V::kBytes), w);
    }
  };
  if constexpr (kTaps > 0) {
#pragma GCC unroll 16
    for (int64_t t = 0; t < kTaps; ++t) add_tap(t);
  } else {
    for (int64_t t = 0; t < taps; ++t) add_tap(t);
  }
  if (store.in_registers) {
    const int64_t stride = pass.call->dst_pixel_stride;
    for (int64_t r = 0; r < kRegisters; ++r)
      store_pixels<D, kWidth>(dst + (slot + r * kPixels) * stride, stride, to_codes(store, sums[r]),
                              pixels < kPixels ? pixels : kPixels, pass.block.channels);
  } else {
    // As depthwise_lane_channel() says.
    for (int64_t r = 0; r < kRegisters; ++r)
      for (int64_t q = 0; q < 4; ++q) D::store_lanes(pass.sums + (slot + r * kPixels) * kWidth + 4 * q, sums[r][q]);
  }
}

// One output row of the pass.
template <class D, int kWidth, int kTaps>
void sum_row(const DepthwisePass& pass, const DepthwiseStore<D>& store, const int64_t* offsets,
             const uint8_t* weights, const uint8_t* constants, uint8_t* dst) {
  constexpr int64_t kPixels = D::V::kBytes / kWidth;
  constexpr int64_t kStep = kPixels * D::kPixels;
  int64_t slot = 0;
  for (; slot + kStep <= pass.count; slot += kStep)
    sum_pixels<D, kWidth, kTaps, D::kPixels>(pass, store, offsets, weights, constants, slot, kStep, dst);
  if (slot == pass.count) return;
  if (pass.count >= kStep) {  // some once more
    sum_pixels<D, kWidth, kTaps, D::kPixels>(pass, store, offsets, weights, constants, pass.count - kStep, kStep,
                                             dst);
    return;
  }
  for (; slot < pass.count; slot += kPixels)
    sum_pixels<D, kWidth, kTaps, 1>(pass, store, offsets, weights, constants, slot, pass.count - slot, dst);
}

template <class D>
void store_sums(const DepthwisePass& pass, const StorePlan& plan, int64_t pixel) {
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
  store_block(plan, block);
}

template <class D, int kWidth, int kTaps>
void run_pass(const DepthwisePass& pass, const DepthwiseStore<D>& store, const StorePlan& general,
              const uint8_t* packed) {
  const DepthwisePlan& plan = *pass.plan;
  const ConvGeometry& g = pass.call->problem->geometry;
  for (int64_t set = 0; set < plan.row_sets; ++set) interleave_set<D, kWidth>(pass, set);
  int64_t offsets[kDepthwiseMaxTaps];
  for (int64_t t = 0; t < plan.taps; ++t) {
    const int64_t column = t / plan.row_sets * g.dilation_w, set = t % plan.row_sets;
    offsets[t] = set * 4 * plan.plane_bytes + (column % g.stride_w * plan.slots + column / g.stride_w) * kWidth;
  }
  const uint8_t* weights = packed + 4 * plan.vector;
  for (int64_t r = 0; r < plan.out_rows && pass.row + r < g.oh; ++r, weights += plan.taps * 4 * plan.vector) {
    const int64_t pixel = (pass.image * g.oh + pass.row + r) * g.ow + pass.first;
    uint8_t* dst = static_cast<uint8_t*>(pass.call->dst) + pixel * pass.call->dst_pixel_stride + pass.block.begin;
    sum_row<D, kWidth, kTaps>(pass, store, offsets, weights, packed, dst);
    if (!store.in_registers) store_sums<D>(pass, general, pixel);
  }
}

template <class D, int kTaps>
OCTET_ALWAYS_INLINE void run_width(const DepthwisePass& pass, const DepthwiseStore<D>& store,
                                   const StorePlan& general, const uint8_t* packed) {
  if (pass.block.width == 16) {
    run_pass<D, 16, kTaps>(pass, store, general, packed);
  } else if (D::V::kBytes == 32 || pass.block.width == 32) {
    run_pass<D, 32, kTaps>(pass, store, general, packed);
  } else {
    run_pass<D, D::V::kBytes, kTaps>(pass, store, general, packed);
  }
}

template <class D>
OCTET_ALWAYS_INLINE void run_units(const DepthwisePlan& plan, const ConvCall& call, int64_t begin, int64_t end,
                                   uint8_t* scratch) {
  const ConvGeometry& g = call.problem->geometry;
  DepthwiseStore<D> store;
  store.in_registers = !call.store.to_float && call.store.addend == nullptr && call.store.curve == Curve::kNone &&
                       call.store.residual == Residual::kNone;
  store.grid = call.store.first;
  store.has_table = call.store.table != nullptr;
  if (store.has_table) store.lookup.prepare(call.store.table);
  D::V::store(scratch, D::V::set(static_cast<uint8_t>(call.problem->src_zero)));
  DepthwisePass pass;
  pass.plan = &plan;
  pass.call = &call;
  pass.padding = scratch;
  pass.planes = scratch + plan.vector;
  pass.sums = reinterpret_cast<int32_t*>(pass.planes + 4 * plan.row_sets * plan.plane_bytes);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t block = unit % plan.blocks, group = unit / plan.blocks;
    pass.block = depthwise_block(plan, g.oc, block);
    pass.image = group / plan.row_groups;
    pass.row = group % plan.row_groups * plan.out_rows;
    const StorePlan general = plan_store(call.store, pass.block.begin, pass.block.channels);
    store.may_overflow = general.may_overflow;
    load_multipliers<D>(call.store.multiplier, pass.block, store.multiplier);
    const uint8_t* packed = call.packed + block * plan.block_bytes;
    for (pass.first = 0; pass.first < g.ow; pass.first += plan.chunk) {
      pass.count = g.ow - pass.first < plan.chunk ? g.ow - pass.first : plan.chunk;
      if (plan.taps == D::kTapsOf3x3) run_width<D, D::kTapsOf3x3>(pass, store, general, packed);
      else run_width<D, 0>(pass, store, general, packed);
    }
  }
}

}  // namespace
}  // namespace octet::cpu
