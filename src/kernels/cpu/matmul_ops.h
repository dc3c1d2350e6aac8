// Products of two matrices of u8 codes, both activations: attention. Exact in 32 bits on every CPU.
#pragma once

#include <cstdint>

#include "kernels/cpu/store.h"

namespace octet::cpu {

// For each of `matrices`: sum = sum over k of (a - a_zero) * (b - b_zero), a [m, k] times b [k, n], row-major and
// dense. to_float: dst is float32, float(sum) * scale. Otherwise codes, to_grid(float(sum) * scale), with scale = a's
// * b's / dst's, as QLinearMatMul has it. k is at most kMostTerms.
struct MatMulCall {
  int64_t matrices = 1, m = 1, k = 1, n = 1;
  int32_t a_zero = 0, b_zero = 0;
  float scale = 1;
  bool to_float = false;
  Grid grid;
  const uint8_t* a = nullptr;
  const uint8_t* b = nullptr;
  void* dst = nullptr;
};
constexpr int64_t kMostTerms = 33025;  // 255 * 255 * 33025 < 2^31

// Row = kMatMulRows rows of one result, or what is left of them. A task that has rows of one matrix one after the
// other rearranges b once.
constexpr int64_t kMatMulRows = 64;
int64_t matmul_rows(const MatMulCall& call);
// Of each thread, 64-byte aligned.
int64_t matmul_scratch_bytes(const MatMulCall& call);
void matmul(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch);

}  // namespace octet::cpu
