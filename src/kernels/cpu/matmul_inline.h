// matmul() written once over vectors V: pairs of 16-bit differences are multiplied and added to 32 bits, which no
// codes and zero points can overflow. Everything is local to the file that includes it.
//
// V: Ints, zero(), load(pairs), repeat(one pair), multiply_add(sum, pairs, pairs), store(int32s); kLanes int32 each;
// kRows result rows whose sums stay in registers.
#pragma once

#include <cstdint>

#include "arith/scalar.h"
#include "kernels/cpu/matmul_loops.h"

namespace octet::cpu {
namespace matmul_loops {
namespace {

// b as [block of columns][pair of k][column][2], a as [row][pair of k][2]; zeros where there is nothing.
template <class V>
struct Packed {
  static constexpr int64_t kColumns = 2 * V::kLanes;
  int64_t pairs = 0, blocks = 0;
  int16_t* right = nullptr;
  int16_t* left = nullptr;

  Packed(const MatMulCall& call, uint8_t* scratch)
      : pairs((call.k + 1) / 2), blocks((call.n + kColumns - 1) / kColumns) {
    right = reinterpret_cast<int16_t*>(scratch);
    left = right + blocks * pairs * kColumns * 2;
  }

  void pack_right(const MatMulCall& call, const uint8_t* b) {
    const auto zero = static_cast<int16_t>(call.b_zero);
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = block * kColumns;
      const int64_t count = call.n - first < kColumns ? call.n - first : kColumns;
      for (int64_t p = 0; p < pairs; ++p) {
        int16_t* to = right + (block * pairs + p) * kColumns * 2;
        const uint8_t* even = b + 2 * p * call.n + first;
        const bool both = 2 * p + 1 < call.k;
        const uint8_t* odd = both ? even + call.n : even;
        const auto keep = static_cast<int16_t>(both ? -1 : 0);
        for (int64_t j = 0; j < count; ++j) {
          to[2 * j] = static_cast<int16_t>(even[j] - zero);
          to[2 * j + 1] = static_cast<int16_t>((odd[j] - zero) & keep);
        }
        for (int64_t j = 2 * count; j < 2 * kColumns; ++j) to[j] = 0;
      }
    }
  }

  void pack_left(const MatMulCall& call, const uint8_t* a, int64_t rows) {
    const auto zero = static_cast<int16_t>(call.a_zero);
    for (int64_t i = 0; i < rows; ++i) {
      int16_t* to = left + i * pairs * 2;
      const uint8_t* from = a + i * call.k;
      for (int64_t k = 0; k < call.k; ++k) to[k] = static_cast<int16_t>(from[k] - zero);
      if (call.k % 2 != 0) to[call.k] = 0;
    }
    for (int64_t i = rows * pairs * 2; i < kMatMulRows * pairs * 2; ++i) left[i] = 0;
  }
};

OCTET_ALWAYS_INLINE void store_row(const MatMulCall& call, const int32_t* sums, int64_t count, int64_t at) {
  const Grid grid = call.grid;
  const float scale = call.scale;
  if (call.to_float) {
    float* to = static_cast<float*>(call.dst) + at;
    for (int64_t j = 0; j < count; ++j) to[j] = static_cast<float>(sums[j]) * scale;
  } else {
    uint8_t* to = static_cast<uint8_t*>(call.dst) + at;
    for (int64_t j = 0; j < count; ++j)
      to[j] = static_cast<uint8_t>(to_grid(static_cast<float>(sums[j]) * scale, grid));
  }
}

// V::kRows rows times one block of columns.
template <class V>
OCTET_ALWAYS_INLINE void multiply_tile(const Packed<V>& packed, int64_t row, int64_t block, int32_t* sums) {
  typename V::Ints sum[V::kRows][2];
  for (auto& pair : sum) pair[0] = pair[1] = V::zero();
  const int16_t* right = packed.right + block * packed.pairs * Packed<V>::kColumns * 2;
  const int16_t* left = packed.left + row * packed.pairs * 2;
  for (int64_t p = 0; p < packed.pairs; ++p, right += 2 * Packed<V>::kColumns, left += 2) {
    const auto b0 = V::load(right), b1 = V::load(right + 2 * V::kLanes);
    for (int r = 0; r < V::kRows; ++r) {
      const auto a = V::repeat(left + r * packed.pairs * 2);
      sum[r][0] = V::multiply_add(sum[r][0], a, b0);
      sum[r][1] = V::multiply_add(sum[r][1], a, b1);
    }
  }
  for (int r = 0; r < V::kRows; ++r) {
    V::store(sums + r * Packed<V>::kColumns, sum[r][0]);
    V::store(sums + r * Packed<V>::kColumns + V::kLanes, sum[r][1]);
  }
}

template <class V>
void matmul(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch) {
  constexpr int64_t kColumns = Packed<V>::kColumns;
  alignas(64) int32_t sums[V::kRows * kColumns];
  Packed<V> packed(call, scratch);
  const int64_t parts = (call.m + kMatMulRows - 1) / kMatMulRows;
  int64_t at_hand = -1;
  for (int64_t part = begin; part < end; ++part) {
    const int64_t matrix = part / parts, first = part % parts * kMatMulRows;
    const int64_t rows = call.m - first < kMatMulRows ? call.m - first : kMatMulRows;
    if (matrix != at_hand) packed.pack_right(call, call.b + matrix * call.k * call.n);
    at_hand = matrix;
    packed.pack_left(call, call.a + (matrix * call.m + first) * call.k, rows);
    for (int64_t block = 0; block < packed.blocks; ++block) {
      const int64_t left = call.n - block * kColumns, count = left < kColumns ? left : kColumns;
      for (int64_t row = 0; row < rows; row += V::kRows) {
        multiply_tile(packed, row, block, sums);
        for (int64_t r = 0; r < V::kRows && row + r < rows; ++r)
          store_row(call, sums + r * kColumns, count,
                    (matrix * call.m + first + row + r) * call.n + block * kColumns);
      }
    }
  }
}

}  // namespace
}  // namespace matmul_loops
}  // namespace octet::cpu
