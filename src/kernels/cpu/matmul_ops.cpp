#include "kernels/cpu/matmul_ops.h"

#include <algorithm>

#include "arith/scalar.h"
#include "kernels/cpu/features.h"
#include "kernels/cpu/matmul_loops.h"

namespace octet::cpu {
namespace {

int64_t parts_of(const MatMulCall& call) { return (call.m + kMatMulRows - 1) / kMatMulRows; }

// The definition, one element at a time, and what CPUs without AVX2 run.
void matmul_base(const MatMulCall& call, int64_t begin, int64_t end, uint8_t*) {
  for (int64_t part = begin; part < end; ++part) {
    const int64_t matrix = part / parts_of(call), first = part % parts_of(call) * kMatMulRows;
    for (int64_t row = first; row < std::min(first + kMatMulRows, call.m); ++row) {
      const uint8_t* a = call.a + (matrix * call.m + row) * call.k;
      for (int64_t column = 0; column < call.n; ++column) {
        const uint8_t* b = call.b + matrix * call.k * call.n + column;
        int32_t sum = 0;
        for (int64_t i = 0; i < call.k; ++i) sum += (a[i] - call.a_zero) * (b[i * call.n] - call.b_zero);
        const float v = static_cast<float>(sum) * call.scale;
        const int64_t at = (matrix * call.m + row) * call.n + column;
        if (call.to_float) {
          static_cast<float*>(call.dst)[at] = v;
        } else {
          static_cast<uint8_t*>(call.dst)[at] = static_cast<uint8_t>(to_grid(v, call.grid));
        }
      }
    }
  }
}

MatMulLoop loop() {
#ifdef OCTET_X86_LEVELS
  const uint32_t features = cpu_features();
  if ((features & kAvx512) != 0 && (features & kAvx512Vnni) != 0) return matmul_vnni;
  if ((features & kAvx512) != 0) return matmul_avx512;
  if ((features & kAvx2) != 0) return matmul_avx2;
#endif
  return matmul_base;
}

}  // namespace

int64_t matmul_rows(const MatMulCall& call) { return call.matrices * parts_of(call); }

int64_t matmul_scratch_bytes(const MatMulCall& call) {
  const int64_t pairs = (call.k + 1) / 2;
  const int64_t columns = (call.n + kMatMulColumns - 1) / kMatMulColumns * kMatMulColumns;
  return (columns + kMatMulRows) * pairs * 2 * static_cast<int64_t>(sizeof(int16_t));
}

void matmul(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch) {
  loop()(call, begin, end, scratch);
}

}  // namespace octet::cpu
