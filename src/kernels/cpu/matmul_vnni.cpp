#include <immintrin.h>

#include "kernels/cpu/matmul_inline.h"

namespace octet::cpu {
namespace {

struct Vnni {
  using Ints = __m512i;
  static constexpr int64_t kLanes = 16;
  static constexpr int kRows = 8;
  static OCTET_ALWAYS_INLINE Ints zero() { return _mm512_setzero_si512(); }
  static OCTET_ALWAYS_INLINE Ints load(const int16_t* p) { return _mm512_loadu_si512(p); }
  static OCTET_ALWAYS_INLINE Ints repeat(const int16_t* p) {
    int32_t pair = 0;
    __builtin_memcpy(&pair, p, 4);
    return _mm512_set1_epi32(pair);
  }
  static OCTET_ALWAYS_INLINE Ints multiply_add(Ints sum, Ints a, Ints b) { return _mm512_dpwssd_epi32(sum, a, b); }
  static OCTET_ALWAYS_INLINE void store(int32_t* p, Ints v) { _mm512_storeu_si512(p, v); }
};

}  // namespace

void matmul_vnni(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch) {
  matmul_loops::matmul<Vnni>(call, begin, end, scratch);
}

}  // namespace octet::cpu
