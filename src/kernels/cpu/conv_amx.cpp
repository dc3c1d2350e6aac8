// The tile loops of the AMX convolution; conv_amx.h says how a convolution becomes a matrix product.
#include "kernels/cpu/conv_amx.h"

#include <immintrin.h>

#include "kernels/cpu/conv_amx_store.h"

namespace octet::cpu {
namespace {

constexpr int64_t kSumsStride = kAmxSumsColumns * 4;

// Positions whose tile rows lie row_bytes apart; `valid` of every `pitch` positions are output pixels.
struct Region {
  const uint8_t* a = nullptr;
  int64_t row_bytes = 0;
  int64_t count = 0;
  int64_t pitch = 1;
  int64_t valid = 1;
  int64_t first_pixel = 0;
};

struct Context {
  const AmxPlan* plan = nullptr;
  const ConvCall* call = nullptr;
  TileStore store;
  const int64_t* offsets = nullptr;  // of groups
  int32_t* sums = nullptr;           // [2 * kTileRows][kAmxSumsColumns]
  int64_t tile_rows = kTileRows;
};

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0..3 are sums, 4 and 5 positions, 6 and 7 weights.
void load_config(int64_t tile_rows) {
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = static_cast<uint8_t>(i < 6 ? tile_rows : 16);
  }
  _tile_loadconfig(&config);
}

// sums[TM tiles of positions][TN tiles of channels] = constants + A * B
template <int TM, int TN>
OCTET_ALWAYS_INLINE void multiply_block(const Context& c, const uint8_t* a0, const uint8_t* a1, int64_t row_bytes,
                                        const uint8_t* b, const int32_t* constants, int32_t* sums) {
  _tile_loadd(0, constants, 0);  // a stride of 0 repeats the row
  if (TM > 1) _tile_loadd(2, constants, 0);
  if (TN > 1) _tile_loadd(1, constants + 16, 0);
  if (TM > 1 && TN > 1) _tile_loadd(3, constants + 16, 0);
  const int64_t groups = c.plan->groups();
  const int64_t chunks = c.plan->chunks;
  for (int64_t g = 0; g < groups; ++g) {
    const uint8_t* p0 = a0 + c.offsets[g];
    const uint8_t* p1 = a1 + c.offsets[g];
    for (int64_t i = 0; i < chunks; ++i) {
      _tile_loadd(6, b, 64);
      _tile_loadd(4, p0, row_bytes);
      _tile_dpbusd(0, 4, 6);
      if (TM > 1) {
        _tile_loadd(5, p1, row_bytes);
        _tile_dpbusd(2, 5, 6);
      }
      if (TN > 1) {
        _tile_loadd(7, b + kBTileBytes, 64);
        _tile_dpbusd(1, 4, 7);
        if (TM > 1) _tile_dpbusd(3, 5, 7);
      }
      p0 += kTileBytes;
      p1 += kTileBytes;
      b += TN * kBTileBytes;
    }
  }
  _tile_stored(0, sums, kSumsStride);
  if (TN > 1) _tile_stored(1, sums + 16, kSumsStride);
  int32_t* second = sums + c.tile_rows * kAmxSumsColumns;
  if (TM > 1) _tile_stored(2, second, kSumsStride);
  if (TM > 1 && TN > 1) _tile_stored(3, second + 16, kSumsStride);
}

void multiply_any(const Context& c, bool two_rows, bool two_columns, const uint8_t* a0, const uint8_t* a1,
                  int64_t row_bytes, const uint8_t* b, const int32_t* constants, int32_t* sums) {
  if (two_rows && two_columns) multiply_block<2, 2>(c, a0, a1, row_bytes, b, constants, sums);
  else if (two_rows) multiply_block<2, 1>(c, a0, a1, row_bytes, b, constants, sums);
  else if (two_columns) multiply_block<1, 2>(c, a0, a1, row_bytes, b, constants, sums);
  else multiply_block<1, 1>(c, a0, a1, row_bytes, b, constants, sums);
}

// Stores positions [begin, end) of the region, whose sums are the consecutive rows of `sums`, at channels oc onwards.
void store_positions(const Context& c, const Region& region, int64_t begin, int64_t end, const int32_t* sums,
                     int64_t oc, int channels) {
  const ConvCall& call = *c.call;
  const int64_t element = call.store.to_float ? 4 : 1;
  StoreBlock block;
  block.ld = kAmxSumsColumns;
  block.oc_begin = oc;
  block.channels = channels;
  block.dst_stride = call.dst_pixel_stride;
  block.residual_stride = call.residual_pixel_stride;
  while (begin < end) {
    const int64_t row = begin / region.pitch;
    const int64_t row_start = row * region.pitch;
    const int64_t row_end = row_start + region.valid;
    const int64_t stop = row_end < end ? row_end : end;
    if (begin < stop) {
      const int64_t pixel = region.first_pixel + row * region.valid + (begin - row_start);
      block.sums = sums;
      block.rows = stop - begin;
      block.dst = static_cast<char*>(call.dst) + (pixel * call.dst_pixel_stride + oc) * element;
      if (call.residual != nullptr) block.residual = call.residual + pixel * call.residual_pixel_stride + oc;
      store_tile_block(c.store, block);
    }
    int64_t next = row_start + region.pitch;
    if (next > end) next = end;
    sums += (next - begin) * kAmxSumsColumns;
    begin = next;
  }
}

// Positions from `begin` (one or two tiles) by one or two panels from `panel`: at most 64 channels.
void run_block(const Context& c, const Region& region, int64_t begin, int64_t panel, int64_t panel_end) {
  const AmxPlan& plan = *c.plan;
  const int64_t rows = c.tile_rows;
  // A last tile that would stick out is moved back; rows that it has in common with the one before are not stored.
  const int64_t limit = region.count - rows;
  const int64_t start0 = begin < limit ? begin : limit;
  const int64_t start1 = begin + rows < limit ? begin + rows : limit;
  const bool two_rows = begin + rows < region.count;
  const uint8_t* a0 = region.a + start0 * region.row_bytes;
  const uint8_t* a1 = region.a + start1 * region.row_bytes;
  const uint8_t* weights = c.call->packed + amx_constants_bytes(plan);
  const auto* constants = reinterpret_cast<const int32_t*>(c.call->packed);
  int32_t* sums = c.sums;
  const int64_t oc = panel * kPanelChannels;
  for (int64_t p = panel; p < panel_end; ++p) {
    const bool two_columns = p * 2 + 1 < plan.channel_tiles;
    multiply_any(c, two_rows, two_columns, a0, a1, region.row_bytes, weights + p * plan.steps() * 2 * kBTileBytes,
                 constants + p * kPanelChannels, sums + (p - panel) * kPanelChannels);
  }
  const int64_t left = c.call->problem->geometry.oc - oc;
  const int64_t most = (panel_end - panel) * kPanelChannels;
  const int channels = static_cast<int>(left < most ? left : most);
  const int64_t end0 = begin + rows < region.count ? begin + rows : region.count;
  store_positions(c, region, begin, end0, sums + (begin - start0) * kAmxSumsColumns, oc, channels);
  if (!two_rows) return;
  const int64_t end1 = end0 + rows < region.count ? end0 + rows : region.count;
  store_positions(c, region, end0, end1, sums + (rows + end0 - start1) * kAmxSumsColumns, oc, channels);
}

// Weights are walked once for every kWalk positions, so that codes and results of the walk stay in the near caches;
// when the weights themselves come from afar, once for all.
constexpr int64_t kWalk = 256;
constexpr int64_t kFarWeights = 1 << 20;

void run_region(Context& c, const Region& region, const AmxTask& task) {
  const int64_t tiles = (region.count + kTileRows - 1) / kTileRows;
  c.tile_rows = (region.count + tiles - 1) / tiles;
  load_config(c.tile_rows);
  const int64_t panel_bytes = c.plan->steps() * 2 * kBTileBytes;
  const bool far = (task.panel_end - task.panel_begin) * panel_bytes > kFarWeights;
  const int64_t block = 2 * c.tile_rows;
  const int64_t walk = far ? region.count : kWalk / block * block;
  for (int64_t first = 0; first < region.count; first += walk) {
    const int64_t last = first + walk < region.count ? first + walk : region.count;
    for (int64_t p = task.panel_begin; p < task.panel_end; p += 2) {
      const int64_t p_end = p + 2 < task.panel_end ? p + 2 : task.panel_end;
      for (int64_t m = first; m < last; m += block) run_block(c, region, m, p, p_end);
    }
  }
}

// Copies `count` pixels of `bytes` codes.
void copy_pixels(uint8_t* dst, int64_t dst_stride, const uint8_t* src, int64_t src_stride, int64_t count,
                 int64_t bytes) {
  if (dst_stride == bytes && src_stride == bytes) {
    bytes *= count;
    count = 1;
  }
  const int64_t whole = bytes / 64 * 64;
  const __mmask64 tail = (1ull << (bytes - whole)) - 1;
  for (; count > 0; --count, dst += dst_stride, src += src_stride) {
    for (int64_t i = 0; i < whole; i += 64) _mm512_storeu_si512(dst + i, _mm512_loadu_si512(src + i));
    if (tail != 0) _mm512_mask_storeu_epi8(dst + whole, tail, _mm512_maskz_loadu_epi8(tail, src + whole));
  }
}

void fill_pixels(uint8_t* dst, int64_t stride, int64_t count, int64_t bytes, uint8_t code) {
  if (stride == bytes) {
    bytes *= count;
    count = 1;
  }
  const __m512i codes = _mm512_set1_epi8(static_cast<char>(code));
  const int64_t whole = bytes / 64 * 64;
  const __mmask64 tail = (1ull << (bytes - whole)) - 1;
  for (; count > 0; --count, dst += stride) {
    for (int64_t i = 0; i < whole; i += 64) _mm512_storeu_si512(dst + i, codes);
    if (tail != 0) _mm512_mask_storeu_epi8(dst + whole, tail, codes);
  }
}

// One input row (padded row `y` of the image) to one slot of a row of the copy.
void copy_row(const AmxPlan& plan, const ConvCall& call, const uint8_t* image, int64_t y, uint8_t* dst) {
  const ConvGeometry& g = call.problem->geometry;
  const auto zero = static_cast<uint8_t>(call.problem->src_zero);
  const int64_t row = y - g.pad_top;
  if (row < 0 || row >= g.ih) return fill_pixels(dst, plan.pixel_bytes, plan.pitch, g.ic, zero);
  const int64_t step = plan.column_step;
  int64_t from = (g.pad_left + step - 1) / step;
  if (from > plan.pitch) from = plan.pitch;
  int64_t to = (g.iw - 1 + g.pad_left) / step + 1;
  if (to > plan.pitch) to = plan.pitch;
  if (to < from) to = from;
  const uint8_t* src = image + (row * g.iw + from * step - g.pad_left) * call.src_pixel_stride;
  fill_pixels(dst, plan.pixel_bytes, from, g.ic, zero);
  copy_pixels(dst + from * plan.pixel_bytes, plan.pixel_bytes, src, call.src_pixel_stride * step, to - from, g.ic);
  fill_pixels(dst + to * plan.pixel_bytes, plan.pixel_bytes, plan.pitch - to, g.ic, zero);
}

// The rows that output rows [row, row + count) of an image read.
void copy_band(const AmxPlan& plan, const ConvCall& call, const uint8_t* image, int64_t row, int64_t count,
               uint8_t* copy) {
  const ConvGeometry& g = call.problem->geometry;
  for (int64_t p = 0; p < plan.planes; ++p) {
    uint8_t* plane = copy + p * plan.plane_bytes(count);
    const int64_t rows = plan.plane_rows(count);
    for (int64_t q = 0; q < rows; ++q) {
      for (int64_t slot = 0; slot < plan.fold; ++slot) {
        copy_row(plan, call, image, (row + q) * g.stride_h + p + slot,
                 plane + q * plan.pitch * plan.pixel_bytes + slot * g.ic);
      }
    }
    fill_pixels(plane + rows * plan.pitch * plan.pixel_bytes, plan.pixel_bytes, plan.spill, plan.fold * g.ic,
                static_cast<uint8_t>(call.problem->src_zero));
  }
}

void fill_offsets(const AmxPlan& plan, const ConvGeometry& g, int64_t out_rows, int64_t* offsets) {
  for (int64_t r = 0; r < plan.row_groups; ++r) {
    const int64_t row = r * plan.fold * g.dilation_h;
    const int64_t plane = row % g.stride_h;
    const int64_t base = plane * plan.plane_bytes(out_rows) + row / g.stride_h * plan.pitch * plan.pixel_bytes;
    for (int64_t k = 0; k < plan.column_groups; ++k) {
      offsets[r * plan.column_groups + k] = base + k * plan.taps * g.dilation_w * plan.pixel_bytes;
    }
  }
}

void run_bands(Context& c, const AmxTask& task, int64_t* offsets, uint8_t* copy) {
  const AmxPlan& plan = *c.plan;
  const ConvCall& call = *c.call;
  const ConvGeometry& g = call.problem->geometry;
  Region region;
  region.a = copy;
  region.row_bytes = plan.stride_w * plan.pixel_bytes;
  region.pitch = plan.positions;
  region.valid = g.ow;
  for (int64_t begin = task.begin; begin < task.end;) {
    const int64_t image = begin / g.oh;
    int64_t end = (image + 1) * g.oh;
    if (end > task.end) end = task.end;
    const int64_t bands = (end - begin + plan.band_rows - 1) / plan.band_rows;
    const int64_t count = (end - begin + bands - 1) / bands;
    copy_band(plan, call, call.src + image * g.ih * g.iw * call.src_pixel_stride, begin % g.oh, count, copy);
    fill_offsets(plan, g, count, offsets);
    region.count = (count - 1) * plan.positions + g.ow;
    region.first_pixel = begin * g.ow;
    run_region(c, region, task);
    begin += count;
  }
}

}  // namespace

void run_amx_task(const AmxPlan& plan, const ConvCall& call, const AmxTask& task, uint8_t* scratch) {
  Context c;
  c.plan = &plan;
  c.call = &call;
  const int64_t left = call.problem->geometry.oc - task.panel_begin * kPanelChannels;
  const int64_t most = (task.panel_end - task.panel_begin) * kPanelChannels;
  const int64_t channels = left < most ? left : most;
  c.store = plan_tile_store(call.store, task.panel_begin * kPanelChannels, channels);
  c.sums = reinterpret_cast<int32_t*>(scratch);
  auto* offsets = reinterpret_cast<int64_t*>(scratch + kAmxSumsBytes);
  c.offsets = offsets;
  if (plan.direct) {
    offsets[0] = 0;
    Region region;
    region.a = call.src + task.begin * call.src_pixel_stride;
    region.row_bytes = call.src_pixel_stride;
    region.count = task.end - task.begin;
    region.pitch = region.valid = region.count;
    region.first_pixel = task.begin;
    run_region(c, region, task);
  } else {
    run_bands(c, task, offsets, scratch + kAmxSumsBytes + amx_offsets_bytes(plan));
  }
  _tile_release();
}

}  // namespace octet::cpu
