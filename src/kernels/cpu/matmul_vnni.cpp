#include "kernels/cpu/matmul_wide_inline.h"

namespace octet::cpu {
namespace {

// The product and the sum are one instruction.
struct Vnni : Avx512 {
  static OCTET_ALWAYS_INLINE Ints multiply_add(Ints sum, Ints a, Ints b) { return _mm512_dpwssd_epi32(sum, a, b); }
};

}  // namespace

void matmul_vnni(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch) {
  matmul_loops::matmul<Vnni>(call, begin, end, scratch);
}

}  // namespace octet::cpu
