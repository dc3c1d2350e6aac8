// Panels with AVX-512 VNNI: vpdpbusd adds four u8 x s8 products to each 32-bit sum.
#include <immintrin.h>

#include "kernels/cpu/conv_blocked.h"
#include "kernels/cpu/panel_store_inline.h"

namespace octet::cpu {
namespace {

// 14 x 2 sums, 2 vectors of weights and 1 broadcast source word fill 31 of the 32 registers; 14 divides the widths of
// the common networks.
constexpr int kMaxRows = 14;

OCTET_ALWAYS_INLINE __m512i broadcast_step(const uint8_t* src) {
  int32_t step;
  __builtin_memcpy(&step, src, sizeof(step));
  return _mm512_set1_epi32(step);
}

// Rows pixels times 16 * Vectors channels, to int32 sums in memory.
template <int Rows, int Vectors>
OCTET_ALWAYS_INLINE void multiply_block(const PanelCall& call, const int64_t* offsets, int32_t* sums) {
  // A sum depends on the one before for 5 cycles, 2 sums start each cycle: with few rows, several chains.
  constexpr int kChains = Rows * Vectors >= 10 ? 1 : Rows * Vectors >= 4 ? 2 : 4;
  __m512i acc[kChains][Rows][Vectors];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) {
      acc[0][r][v] = _mm512_loadu_si512(call.constants + 16 * v);
      for (int c = 1; c < kChains; ++c) acc[c][r][v] = _mm512_setzero_si512();
    }
  }
  const uint8_t* weights = call.weights;
  for (int64_t i = 0; i < call.run_count; ++i) {
    const uint8_t* base = call.src + call.runs[i].offset;
    const int64_t steps = call.runs[i].steps;
    const uint8_t* src[Rows];
    for (int r = 0; r < Rows; ++r) src[r] = base + offsets[r];
    const auto step = [&](int64_t at, int chain) __attribute__((always_inline)) {
      __m512i w[Vectors];
      for (int v = 0; v < Vectors; ++v) w[v] = _mm512_loadu_si512(weights + 64 * v);
      weights += 64 * Vectors;
      for (int r = 0; r < Rows; ++r) {
        const __m512i a = broadcast_step(src[r] + 4 * at);
        for (int v = 0; v < Vectors; ++v) acc[chain][r][v] = _mm512_dpbusd_epi32(acc[chain][r][v], a, w[v]);
      }
    };
    int64_t at = 0;
    if (kChains > 1) {
      for (; at + kChains <= steps; at += kChains)
        for (int c = 0; c < kChains; ++c) step(at + c, c);
    }
#pragma GCC unroll 1
    for (; at < steps; ++at) step(at, 0);
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) {
      __m512i sum = acc[0][r][v];
      for (int c = 1; c < kChains; ++c) sum = _mm512_add_epi32(sum, acc[c][r][v]);
      _mm512_store_si512(sums + (r * Vectors + v) * 16, sum);
    }
  }
}

template <int Vectors>
OCTET_ALWAYS_INLINE void multiply_rows(const PanelCall& call, const int64_t* offsets, int rows, int32_t* sums) {
  switch (rows) {
    case 1: return multiply_block<1, Vectors>(call, offsets, sums);
    case 2: return multiply_block<2, Vectors>(call, offsets, sums);
    case 3: return multiply_block<3, Vectors>(call, offsets, sums);
    case 4: return multiply_block<4, Vectors>(call, offsets, sums);
    case 5: return multiply_block<5, Vectors>(call, offsets, sums);
    case 6: return multiply_block<6, Vectors>(call, offsets, sums);
    case 7: return multiply_block<7, Vectors>(call, offsets, sums);
    case 8: return multiply_block<8, Vectors>(call, offsets, sums);
    case 9: return multiply_block<9, Vectors>(call, offsets, sums);
    case 10: return multiply_block<10, Vectors>(call, offsets, sums);
    case 11: return multiply_block<11, Vectors>(call, offsets, sums);
    case 12: return multiply_block<12, Vectors>(call, offsets, sums);
    case 13: return multiply_block<13, Vectors>(call, offsets, sums);
    default: return multiply_block<kMaxRows, Vectors>(call, offsets, sums);
  }
}

template <int Vectors>
OCTET_ALWAYS_INLINE void multiply_pixels(const PanelCall& call) {
  alignas(64) int32_t sums[kMaxRows * Vectors * 16];
  const PanelStore<Vectors> store(call);
  for_each_block(
      call.pixels, kMaxRows, [&](int64_t begin, int64_t rows) __attribute__((always_inline)) {
        multiply_rows<Vectors>(call, call.offsets + begin, static_cast<int>(rows), sums);
        store.store(sums, begin, rows);
      });
}

}  // namespace

void multiply_panel_vnni(const PanelCall& call) {
  if (call.vectors == 2) multiply_pixels<2>(call);
  else multiply_pixels<1>(call);
}

}  // namespace octet::cpu
