// INT8 operators on rows of u8 codes in ONNX's order: Softmax, LayerNormalization, Transpose. Every function computes
// rows [begin, end) of the work it names, so that the runtime can share it between threads, and gives the same codes
// on every CPU. No allocation.
//
// Softmax and LayerNormalization compute in float64 exactly as the reference operators do (kernels/ref), in the same
// order, round once to float32 and quantize: their codes are those of the interpreter, bit for bit. The exponential
// is the C library's.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/cpu/store.h"

namespace octet::cpu {

// e^(real[q] - real[m]) for all codes q <= m, at m * (m + 1) / 2 + q.
constexpr int64_t kSoftmaxTable = 256 * 257 / 2;
// real: what each of the 256 codes stands for, finite and never less than the one before.
void fill_softmax_table(const float* real, double* table);

// Softmax along rows of `length` codes, quantized with scale and grid.
struct SoftmaxCall {
  int64_t length = 1;
  const double* table = nullptr;  // [kSoftmaxTable]
  float scale = 1;
  Grid grid;
  const uint8_t* src = nullptr;
  uint8_t* dst = nullptr;
};
void softmax(const SoftmaxCall& call, int64_t begin, int64_t end);

// ONNX LayerNormalization along rows of `length` codes, quantized with scale and grid.
struct LayerNormCall {
  int64_t length = 1;
  const float* real = nullptr;    // [256]: what each code stands for
  const float* weight = nullptr;  // [length]
  const float* bias = nullptr;    // [length] or null
  float epsilon = 1e-5f;
  float scale = 1;
  Grid grid;
  const uint8_t* src = nullptr;
  uint8_t* dst = nullptr;
};
void layer_norm(const LayerNormCall& call, int64_t begin, int64_t end);

// A permutation of the dimensions of bytes. Sizes and source strides are those of the result's dimensions; unused
// dimensions in front have size 1. Row = one run along the last dimension.
constexpr int kMostAxes = 8;
struct TransposeCall {
  std::array<int64_t, kMostAxes> size{1, 1, 1, 1, 1, 1, 1, 1};
  std::array<int64_t, kMostAxes> src_stride{};
  const uint8_t* src = nullptr;
  uint8_t* dst = nullptr;
};
int64_t transpose_rows(const TransposeCall& call);
void transpose(const TransposeCall& call, int64_t begin, int64_t end);

}  // namespace octet::cpu
