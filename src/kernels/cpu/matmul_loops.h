// matmul() of matmul_ops.h once per instruction set; matmul_ops.cpp has the definition and chooses. Included by files
// that are compiled for wider CPUs: no standard containers here.
#pragma once

#include "kernels/cpu/matmul_ops.h"

namespace octet::cpu {

using MatMulLoop = void (*)(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch);
void matmul_avx2(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch);
void matmul_avx512(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch);
void matmul_vnni(const MatMulCall& call, int64_t begin, int64_t end, uint8_t* scratch);

constexpr int64_t kMatMulColumns = 32;  // the widest block of columns of any level

}  // namespace octet::cpu
