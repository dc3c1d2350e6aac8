// Convolution by blocks of pixels x output channels that stay in registers: what the kernels vnni, avx2-pairs and
// avx2-words share. The shared part (conv_blocked.cpp) splits the work, copies padded input where the geometry asks
// for it and packs weights; an instruction set adds one function that multiplies a panel.
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

// `pixels` consecutive output pixels times the output channels of one panel.
struct PanelCall {
  const uint8_t* src = nullptr;
  const int64_t* offsets = nullptr;  // [pixels], in bytes from src
  int64_t pixels = 0;
  const Run* runs = nullptr;
  int64_t run_count = 0;
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
void multiply_panel_words_avx2(const PanelCall& call);

// to[i] = from[i]
void widen_codes_avx2(const uint8_t* from, size_t count, int16_t* to);

}  // namespace octet::cpu
