// The tile loops of the AMX convolution; conv_amx.h says how a convolution becomes a matrix product.
#include "kernels/cpu/conv_amx.h"

#include <immintrin.h>

#include "kernels/cpu/conv_amx_copy.h"
#include "kernels/cpu/conv_amx_store.h"

namespace octet::cpu {
namespace {

constexpr int64_t kSumsStride = kAmxSumsColumns * 4;
constexpr int64_t kLine = 64;  // of a cache

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
  int32_t* sums = nullptr;           // two of [2 * kTileRows][kAmxSumsColumns], in turn
  int64_t turn = 0;
  int64_t tile_rows = kTileRows;
  Region region;
  PendingRows pending;             // of the block before
  const uint8_t* ahead = nullptr;  // weights of the next panels, and how many lines of them to fetch in a step
  int64_t ahead_lines = 0;
  RowTarget target;
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

// Nothing to store between tile instructions.
struct NoStore {
  OCTET_ALWAYS_INLINE void between_tiles() {}
};

// Spreads the pending rows over the half steps of a block.
template <int C, Form kForm>
struct StoreBetween {
  RowStore<C, kForm> store;
  PendingRows& rows;
  int64_t every;  // half steps
  int64_t at_once;
  int64_t wait;

  OCTET_ALWAYS_INLINE StoreBetween(Context& c, int64_t half_steps)
      : store(c.store, c.target, c.pending), rows(c.pending) {
    constexpr int64_t kRows = 4 / C;
    const int64_t stores = (rows.count + kRows - 1) / kRows;
    at_once = (stores + half_steps - 1) / half_steps;
    const int64_t times = at_once > 0 ? (stores + at_once - 1) / at_once : 1;
    every = half_steps / times;
    wait = every;
  }
  OCTET_ALWAYS_INLINE void between_tiles() {
    if (--wait > 0) return;
    wait = every;
    for (int64_t i = 0; i < at_once && rows.next < rows.count; ++i, rows.next += 4 / C) store.step(rows, rows.next);
  }
};

// A block: one or two tiles of positions by one or two panels of channels.
struct Block {
  const uint8_t* a0 = nullptr;
  const uint8_t* a1 = nullptr;
  bool two_rows = false;
  int64_t panel = 0;
  int64_t panel_end = 0;
  int32_t* sums = nullptr;
};

// sums[TM tiles of positions][TN tiles of channels] = constants + A * B
template <int TM, int TN, class Between>
OCTET_ALWAYS_INLINE void multiply_panel(Context& c, const Block& block, int64_t panel, Between& between) {
  const AmxPlan& plan = *c.plan;
  const auto* constants = reinterpret_cast<const int32_t*>(c.call->packed) + panel * kPanelChannels;
  const uint8_t* b = c.call->packed + amx_constants_bytes(plan) + panel * plan.steps() * 2 * kBTileBytes;
  const int64_t row_bytes = c.region.row_bytes;
  _tile_loadd(0, constants, 0);  // a stride of 0 repeats the row
  if (TM > 1) _tile_loadd(2, constants, 0);
  if (TN > 1) _tile_loadd(1, constants + 16, 0);
  if (TM > 1 && TN > 1) _tile_loadd(3, constants + 16, 0);
  const int64_t groups = plan.groups();
  const int64_t chunks = plan.chunks;
  const int64_t ahead_lines = c.ahead_lines;
  const uint8_t* ahead = c.ahead;
  c.ahead += ahead_lines * kLine * plan.steps();
  for (int64_t g = 0; g < groups; ++g) {
    const uint8_t* p0 = block.a0 + c.offsets[g];
    const uint8_t* p1 = block.a1 + c.offsets[g];
    for (int64_t i = 0; i < chunks; ++i, p0 += kTileBytes, p1 += kTileBytes, b += TN * kBTileBytes) {
      for (int64_t line = 0; line < ahead_lines; ++line, ahead += kLine) _mm_prefetch(ahead, _MM_HINT_T1);
      _tile_loadd(6, b, 64);
      _tile_loadd(4, p0, row_bytes);
      _tile_dpbusd(0, 4, 6);
      if (TM > 1) {
        _tile_loadd(5, p1, row_bytes);
        _tile_dpbusd(2, 5, 6);
      }
      between.between_tiles();
      if (TN > 1) {
        _tile_loadd(7, b + kBTileBytes, 64);
        _tile_dpbusd(1, 4, 7);
        if (TM > 1) _tile_dpbusd(3, 5, 7);
        between.between_tiles();
      }
    }
  }
  int32_t* sums = block.sums + (panel - block.panel) * kPanelChannels;
  _tile_stored(0, sums, kSumsStride);
  if (TN > 1) _tile_stored(1, sums + 16, kSumsStride);
  sums += c.tile_rows * kAmxSumsColumns;
  if (TM > 1) _tile_stored(2, sums, kSumsStride);
  if (TM > 1 && TN > 1) _tile_stored(3, sums + 16, kSumsStride);
}

void multiply_alone(Context& c, const Block& block, int64_t panel) {
  const bool two_columns = panel * 2 + 1 < c.plan->channel_tiles;
  NoStore none;
  if (block.two_rows && two_columns) multiply_panel<2, 2>(c, block, panel, none);
  else if (block.two_rows) multiply_panel<2, 1>(c, block, panel, none);
  else if (two_columns) multiply_panel<1, 2>(c, block, panel, none);
  else multiply_panel<1, 1>(c, block, panel, none);
}

template <int C, Form kForm>
[[gnu::noinline]] void multiply_and_store(Context& c, const Block& block) {
  StoreBetween<C, kForm> between(c, (block.panel_end - block.panel) * c.plan->steps() * 2);
  for (int64_t p = block.panel; p < block.panel_end; ++p) multiply_panel<2, 2>(c, block, p, between);
}

// False when there is no code for this form of store.
template <int C>
bool multiply_and_store_form(Context& c, const Block& block) {
  switch (c.store.form) {
    case Form::kPlain: multiply_and_store<C, Form::kPlain>(c, block); return true;
    case Form::kTable: multiply_and_store<C, Form::kTable>(c, block); return true;
    case Form::kAdd: multiply_and_store<C, Form::kAdd>(c, block); return true;
    case Form::kTableAdd: multiply_and_store<C, Form::kTableAdd>(c, block); return true;
    default: return false;
  }
}

// Multiplies the block; stores the pending rows meanwhile or after.
//
// Steps of a block from which storing between them is faster than storing after them. (Below, the interruptions cost
// more: while tiles are multiplied, one of two vector units stands still, and each interruption drains both.)
constexpr int64_t kStepsToStoreBetween = 34;

void multiply_block(Context& c, const Block& block) {
  bool done = false;
  const int64_t steps = (block.panel_end - block.panel) * c.plan->steps();
  if (c.pending.count > 0 && steps >= kStepsToStoreBetween && block.two_rows &&
      block.panel_end * 2 <= c.plan->channel_tiles) {
    if (c.pending.channels > 32) done = multiply_and_store_form<4>(c, block);
    else if (c.pending.channels > 16) done = multiply_and_store_form<2>(c, block);
  }
  if (!done) {
    for (int64_t p = block.panel; p < block.panel_end; ++p) multiply_alone(c, block, p);
  }
  store_pending(c.store, c.target, c.pending);
}

// Lists positions [begin, end), whose sums are consecutive rows, as pending.
void add_pending(Context& c, int64_t begin, int64_t end, const int32_t* sums) {
  const Region& region = c.region;
  PendingRows& rows = c.pending;
  int64_t row = region.count > region.pitch ? begin / region.pitch : 0;
  int64_t column = begin - row * region.pitch;
  int64_t n = rows.count;
  for (; begin < end; ++begin, ++column, sums += kAmxSumsColumns) {
    if (column == region.pitch) {
      column = 0;
      ++row;
    }
    rows.sums[n] = sums;
    rows.pixel[n] = region.first_pixel + row * region.valid + column;
    n += column < region.valid;
  }
  rows.count = n;
}

// Positions from `begin` (one or two tiles) by one or two panels from `panel`: at most 64 channels.
void run_block(Context& c, int64_t begin, int64_t panel, int64_t panel_end) {
  const Region& region = c.region;
  const ConvCall& call = *c.call;
  const int64_t rows = c.tile_rows;
  // A last tile that would stick out is moved back; rows that it has in common with the one before are not stored.
  const int64_t limit = region.count - rows;
  const int64_t start0 = begin < limit ? begin : limit;
  const int64_t start1 = begin + rows < limit ? begin + rows : limit;
  Block block;
  block.a0 = region.a + start0 * region.row_bytes;
  block.a1 = region.a + start1 * region.row_bytes;
  block.two_rows = begin + rows < region.count;
  block.panel = panel;
  block.panel_end = panel_end;
  block.sums = c.sums + c.turn * (kAmxSumsBytes / 8);
  c.turn ^= 1;
  multiply_block(c, block);
  const int64_t oc = panel * kPanelChannels;
  const int64_t left = call.problem->geometry.oc - oc;
  const int64_t most = (panel_end - panel) * kPanelChannels;
  c.pending.count = 0;
  c.pending.next = 0;
  c.pending.oc = oc;
  c.pending.channels = left < most ? left : most;
  c.target.dst = static_cast<uint8_t*>(call.dst) + oc * (call.store.to_float ? 4 : 1);
  if (call.residual != nullptr) c.target.residual = call.residual + oc;
  const int64_t end0 = begin + rows < region.count ? begin + rows : region.count;
  add_pending(c, begin, end0, block.sums + (begin - start0) * kAmxSumsColumns);
  if (block.two_rows) {
    const int64_t end1 = end0 + rows < region.count ? end0 + rows : region.count;
    add_pending(c, end0, end1, block.sums + (rows + end0 - start1) * kAmxSumsColumns);
  }
  for (int64_t i = 0; i < 3 && c.pending.count > 0; ++i) {  // steps of several rows may repeat the last
    c.pending.sums[c.pending.count + i] = c.pending.sums[c.pending.count - 1];
    c.pending.pixel[c.pending.count + i] = c.pending.pixel[c.pending.count - 1];
  }
}

// Weights are walked once for every kWalk positions, so that codes and results of the walk stay in the near caches;
// when the weights themselves come from afar, once for all.
constexpr int64_t kWalk = 256;
constexpr int64_t kFarWeights = 1 << 20;
constexpr int64_t kMostLinesAhead = 6;  // in a step; more of them would hold up the loads of the step itself

void run_region(Context& c, const AmxTask& task) {
  const Region& region = c.region;
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
      // Weights come from memory when a layer begins: the first walk fetches each pair of panels during the one
      // before.
      const int64_t blocks = (last - first + block - 1) / block;
      const int64_t lines = (2 * kBTileBytes / kLine + blocks - 1) / blocks;
      c.ahead_lines = first > 0 || p_end == task.panel_end ? 0 : lines < kMostLinesAhead ? lines : kMostLinesAhead;
      c.ahead = c.call->packed + amx_constants_bytes(*c.plan) + p_end * panel_bytes;
      for (int64_t m = first; m < last; m += block) run_block(c, m, p, p_end);
    }
  }
  store_pending(c.store, c.target, c.pending);
  c.pending.count = 0;
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
  Region& region = c.region;
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
    run_region(c, task);
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
  c.target.dst_stride = call.dst_pixel_stride;
  c.target.residual_stride = call.residual_pixel_stride;
  auto* offsets = reinterpret_cast<int64_t*>(scratch + kAmxSumsBytes);
  c.offsets = offsets;
  if (plan.direct) {
    offsets[0] = 0;
    Region& region = c.region;
    region.a = call.src + task.begin * call.src_pixel_stride;
    region.row_bytes = call.src_pixel_stride;
    region.count = task.end - task.begin;
    region.pitch = region.valid = region.count;
    region.first_pixel = task.begin;
    run_region(c, task);
  } else {
    run_bands(c, task, offsets, scratch + kAmxSumsBytes + amx_offsets_bytes(plan));
  }
  _tile_release();
}

}  // namespace octet::cpu
