#include "kernels/cpu/matmul_wide_inline.h"

namespace octet::cpu {

void matmul_avx512(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch) {
  matmul_loops::matmul<Avx512>(call, begin, end, scratch);
}

}  // namespace octet::cpu
