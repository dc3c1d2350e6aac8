// Convolution by blocks of pixels x output channels that stay in registers: what the kernels vnni, avx2-quads,
// avx2-pairs and avx2-words share. The shared part (conv_blocked.cpp) splits the work, copies padded input where the
// geometry asks for it and packs weights; an instruction set adds one function that multiplies a panel.
//
// The products are summed along `runs`: stretches of source bytes that start at a fixed distance from every pixel's
// own place. Each run is a whole number of 4-byte steps; the weights of bytes beyond its end are 0. Four bytes are
// four u8 codes, or two codes widened to s16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/store.h"

namespace octet::cpu {

constexpr int kPanelLanes = 16;  // output channels of one vector

struct Run {
  int64_t offset = 0;  // in bytes
  int64_t steps = 0;   // of 4 bytes
};

// Sums of four products in 16 bits (kernel avx2-quads) are marked by bits, in chunks of 32 steps from the beginning
// of each run: one bit for either half of two consecutive words. Bit b of a chunk stands for this place:
constexpr int64_t kChunkSteps = 32;
struct QuadPlace {
  int step;  // of the first of the two words, in the chunk
  int half;  // codes 2 * half and 2 * half + 1 of either word
};
// The order in which vpshufps, vpackssdw and vpmovmskb leave them.
inline QuadPlace quad_place(int bit) {
  const int block = bit / 8 % 2 * 2 + bit / 4 % 2;  // of 32 bytes
  const int pair = bit / 16 * 2 + bit / 2 % 2;      // of words in the block
  return {8 * block + 2 * pair, bit % 2};
}

// Four codes that add up to no more than kLargestCodes[level] times weights of at most kLargestWeight[level], of
// either sign, stay in 16 bits. Several levels, because only few weights of a channel come near 128.
constexpr int kNarrowLevels = 4;
constexpr int16_t kLargestCodes[kNarrowLevels] = {255, 340, 450, 600};
constexpr int32_t kLargestWeight[kNarrowLevels] = {128, 96, 72, 54};

// `pixels` consecutive output pixels times the output channels of one panel.
struct PanelCall {
  const uint8_t* src = nullptr;
  const int64_t* offsets = nullptr;  // [pixels], in bytes from src
  int64_t pixels = 0;
  const Run* runs = nullptr;
  int64_t run_count = 0;
  int64_t run_chunks = 0;  // of kChunkSteps, in each run
  // Marks by chunk and level, [run_count][run_chunks][kNarrowLevels]: codes of every pixel that are above the level's
  // bound, and weights of this panel of which any level but theirs says too little. fragile is null when there are
  // none.
  const uint32_t* large = nullptr;
  const uint32_t* fragile = nullptr;
  const uint8_t* weights = nullptr;    // [steps of all runs][16 * vectors][4 bytes]
  const int32_t* constants = nullptr;  // [16 * vectors]: what every sum starts from
  int vectors = 1;
  const Store* store = nullptr;
  int64_t oc_begin = 0;
  int channels = 0;     // at most 16 * vectors
  void* dst = nullptr;  // first pixel, channel oc_begin
  int64_t dst_stride = 0;
  const uint8_t* residual = nullptr;
  int64_t residual_stride = 0;
};
using PanelFunction = void (*)(const PanelCall& call);

void multiply_panel_vnni(const PanelCall& call);
void multiply_panel_pairs_avx2(const PanelCall& call);
void multiply_panel_quads_avx2(const PanelCall& call);
void multiply_panel_words_avx2(const PanelCall& call);

// Fills `large` of the call's pixels.
void mark_large_codes_avx2(const PanelCall& call, uint32_t* large);

// to[i] = from[i]
void widen_codes_avx2(const uint8_t* from, size_t count, int16_t* to);

}  // namespace octet::cpu
