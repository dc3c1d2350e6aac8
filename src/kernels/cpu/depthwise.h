// Depthwise convolution with one filter for each channel: what its kernels share.
//
// The work goes by blocks of channels that fill one vector, and by groups of output rows. Of the input rows that such
// a group needs, 4 (VNNI) or 2 (AVX2, widened to 16 bits) at a time are interleaved into 32-bit lanes, one lane for
// each channel, and kept in scratch memory; padding is written there too. Every output pixel is then a sum over
// columns of the kernel, one multiply-add instruction for a column of 4 (2) weights. Interleaving is paid once for
// all columns of the kernel and for all rows of the group: row r of the group has its own copy of the weights,
// shifted down by r rows and filled with zeros.
#pragma once

#include <cstdint>

#include "kernels/cpu/conv.h"

namespace octet::cpu {

constexpr int64_t kDepthwiseMaxTaps = 64;

struct DepthwisePlan {
  int64_t vector = 0;       // bytes of a register: channels of a full block
  int64_t lane_rows = 0;    // input rows in one 32-bit lane
  int64_t row_sets = 0;     // sets of lane_rows that cover the rows of a group
  int64_t out_rows = 0;     // output rows of a group
  int64_t row_groups = 0;   // of an image
  int64_t blocks = 0;       // of channels
  int64_t taps = 0;         // kernel columns times row_sets: multiply-adds for 4 x 4 bytes each
  int64_t block_bytes = 0;  // packed: constants, then weights for each row of a group
  int64_t chunk = 0;        // output pixels of a row at a time, so that the scratch stays in the nearest cache
  int64_t slots = 0;        // columns of one residue modulo stride_w
  int64_t plane_bytes = 0;  // scratch of one quarter of the channels of one set of rows
};

// The channels of block b. A narrow last block has several pixels beside each other in a register.
struct DepthwiseBlock {
  int64_t begin = 0;
  int64_t channels = 0;
  int64_t width = 0;  // bytes for each pixel: 16, 32 or 64
};
OCTET_ALWAYS_INLINE DepthwiseBlock depthwise_block(const DepthwisePlan& plan, int64_t channels, int64_t block) {
  DepthwiseBlock b;
  b.begin = block * plan.vector;
  b.channels = channels - b.begin < plan.vector ? channels - b.begin : plan.vector;
  b.width = b.channels <= 16 ? 16 : b.channels <= 32 ? 32 : plan.vector;
  return b;
}

// The output pixels that a register of a block of this width holds are beside each other; a 32-bit lane of quarter q
// holds the channel (counted over all pixels of the register) that byte unpacking puts there.
OCTET_ALWAYS_INLINE int64_t depthwise_lane_channel(int64_t quarter, int64_t lane) {
  return lane / 4 * 16 + quarter * 4 + lane % 4;
}

// Units [begin, end) of images x row groups x blocks, blocks innermost.
using DepthwiseFunction = void (*)(const DepthwisePlan& plan, const ConvCall& call, int64_t begin, int64_t end,
                                   uint8_t* scratch);
void depthwise_vnni(const DepthwisePlan& plan, const ConvCall& call, int64_t begin, int64_t end, uint8_t* scratch);
void depthwise_avx2(const DepthwisePlan& plan, const ConvCall& call, int64_t begin, int64_t end, uint8_t* scratch);

}  // namespace octet::cpu
