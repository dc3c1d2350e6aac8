// Integer Winograd F(2x2, 3x3) (Lavin and Gray, 2015, section 4.1) on 16-bit words: 16 products where the direct form
// has 36. With B, G and A of that paper, a tile of 2x2 outputs is A' [(G g G') * (B' d B)] A; twice G has integer
// entries, so that four times the outputs are computed and the division is exact.
//
// Sizes: |B' d B| <= 4 * 255 and |(2G) g (2G)'| <= 9 * 128 fit in 16 bits. Sums wrap around in 32 bits, which is
// harmless as long as four times the final sum of source code times weight stays inside.
#pragma once

#include <cstdint>

#include "kernels/cpu/store.h"

namespace octet::cpu {

constexpr int64_t kWinogradPoints = 16;

// Transforms one tile: 4x4 pixels of `channels` codes (a multiple of 16, readable to the end) to
// to[point * point_stride + channel].
void transform_winograd_tile_avx2(const uint8_t* const (&pixels)[kWinogradPoints], int64_t channels,
                                  int64_t point_stride, int16_t* to);

// Some consecutive tiles of an image times 16 output channels.
struct WinogradPanel {
  const int16_t* source = nullptr;   // [point][tiles][channels]
  const int64_t* offsets = nullptr;  // [tiles]: of a tile's channels within a point, in bytes
  int64_t tiles = 0;
  int64_t channels = 0;                // input channels, a multiple of 16
  const int16_t* weights = nullptr;    // [point][channels / 2][16][2]
  const int32_t* constants = nullptr;  // [16]
  int32_t* products = nullptr;         // scratch: [point][tiles][16]
  const Store* store = nullptr;
  int64_t oc_begin = 0;
  int oc_count = 0;
  int64_t first_tile = 0, tiles_a_row = 1;
  int64_t oh = 1, ow = 1;
  void* dst = nullptr;  // the image's first pixel, channel oc_begin
  int64_t dst_stride = 0;
  const uint8_t* residual = nullptr;
  int64_t residual_stride = 0;
};
void multiply_winograd_panel_avx2(const WinogradPanel& panel);

}  // namespace octet::cpu
