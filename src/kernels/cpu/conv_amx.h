// The AMX convolution's geometry, shared by amx_conv.cpp (plans, packs, splits) and conv_amx.cpp (computes).
//
// A convolution is a matrix product. A is [positions][K codes], read in tiles of 16 positions x 64 codes whose rows
// lie a constant distance apart; B is [K][16 channels] in tiles of 64 codes. 1x1 layers read the tensor itself. All
// others read a copy of a band of input rows in scratch, in which padding is written out and output positions are
// numbered through from row to row, so that tiles stay full on small images; a few positions between rows are
// computed in vain.
#pragma once

#include <cstdint>

#include "kernels/cpu/conv.h"

namespace octet::cpu {

constexpr int64_t kTileRows = 16;       // positions of a tile
constexpr int64_t kTileBytes = 64;      // K codes of a tile
constexpr int64_t kTileChannels = 16;   // output channels of a tile
constexpr int64_t kBTileBytes = 1024;   // one weight tile
constexpr int64_t kPanelChannels = 32;  // two weight tiles, side by side in packed memory

// K is walked in groups of `chunks` consecutive tiles; each group starts at an offset from the position's first code.
struct AmxPlan {
  bool direct = false;      // tiles read the tensor itself
  int64_t fold = 1;         // input rows interleaved in a pixel of the copy
  int64_t pixel_bytes = 0;  // of the copy
  int64_t column_step = 1;  // the copy takes every n-th input column (kw == 1)
  int64_t stride_w = 1;     // pixels of the copy from position to position
  int64_t taps = 1;         // kernel columns in a group
  int64_t row_groups = 1;   // groups = row_groups * column_groups
  int64_t column_groups = 1;
  int64_t chunks = 1;
  int64_t planes = 1;         // the copy holds padded rows p, p + stride_h, ... as plane p
  int64_t more_rows = 0;      // rows of a plane beyond the band's output rows
  int64_t pitch = 0;          // pixels of a row of the copy
  int64_t positions = 0;      // of a row: pitch / stride_w
  int64_t spill = 0;          // pixels that the last position reads past its row: always padding
  int64_t band_rows = 1;      // output rows that a copy may serve
  int64_t channel_tiles = 0;  // ceil(oc / 16)
  int64_t panels = 0;         // ceil(oc / 32)

  OCTET_ALWAYS_INLINE constexpr int64_t groups() const { return row_groups * column_groups; }
  OCTET_ALWAYS_INLINE constexpr int64_t steps() const { return groups() * chunks; }
  OCTET_ALWAYS_INLINE constexpr int64_t plane_rows(int64_t out_rows) const { return out_rows + more_rows; }
  OCTET_ALWAYS_INLINE constexpr int64_t plane_bytes(int64_t out_rows) const {
    return (plane_rows(out_rows) * pitch + spill) * pixel_bytes;
  }
};

// Packed: int32 constants of 16 * channel_tiles channels (to a multiple of 64 bytes), then panels: for every step its
// two weight tiles (one in a last panel of at most 16 channels).
OCTET_ALWAYS_INLINE constexpr int64_t amx_constants_bytes(const AmxPlan& plan) {
  return plan.channel_tiles * kTileChannels * 4;
}

// Scratch: sums of two blocks, then offsets of groups, then the copy.
constexpr int64_t kAmxSumsColumns = 64;
constexpr int64_t kAmxSumsBytes = 2 * 2 * kTileRows * kAmxSumsColumns * 4;
OCTET_ALWAYS_INLINE constexpr int64_t amx_offsets_bytes(const AmxPlan& plan) {
  return (plan.groups() * 8 + 63) / 64 * 64;
}

// Steps read whole tiles past the last pixel (what they find is multiplied by zero weights), and the copy is written
// in vectors of up to 16 folded pixels.
constexpr int64_t kAmxCopySlack = 512;

// What one task computes: units [begin, end) (direct: positions of the whole batch; otherwise output rows of the
// whole batch) by panels [panel_begin, panel_end).
struct AmxTask {
  int64_t begin = 0, end = 0;
  int64_t panel_begin = 0, panel_end = 0;
};

void run_amx_task(const AmxPlan& plan, const ConvCall& call, const AmxTask& task, uint8_t* scratch);

}  // namespace octet::cpu
