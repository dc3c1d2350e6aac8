#include <immintrin.h>

#include "kernels/cpu/matmul_inline.h"

namespace octet::cpu {
namespace {

struct Avx2 {
  using Ints = __m256i;
  static constexpr int64_t kLanes = 8;
  static constexpr int kRows = 4;
  static OCTET_ALWAYS_INLINE Ints zero() { return _mm256_setzero_si256(); }
  static OCTET_ALWAYS_INLINE Ints load(const int16_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
  static OCTET_ALWAYS_INLINE Ints repeat(const int16_t* p) {
    int32_t pair = 0;
    __builtin_memcpy(&pair, p, 4);
    return _mm256_set1_epi32(pair);
  }
  static OCTET_ALWAYS_INLINE Ints multiply_add(Ints sum, Ints a, Ints b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }
  static OCTET_ALWAYS_INLINE void store(int32_t* p, Ints v) { _mm256_storeu_si256((__m256i*)p, v); }
};

}  // namespace

void matmul_avx2(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch) {
  matmul_loops::matmul<Avx2>(call, begin, end, scratch);
}

}  // namespace octet::cpu
