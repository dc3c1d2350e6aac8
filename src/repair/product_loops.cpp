// Compiled once per instruction set (octet_hot_loops). See product_loops.h for the contract.
#include "repair/product_loops.h"

namespace octet::repair::OCTET_ISA {
namespace {

// Sixteen floats, in one, two or four registers. Unaligned: rows may begin anywhere.
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));

// Six rows of c at once: with AVX2 twelve registers of sums, two of b and one of a.
template <int kRows>
void tile(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t k, float* c, int64_t ldc) {
  Lanes sum[kRows];
  for (int i = 0; i < kRows; ++i) sum[i] = *reinterpret_cast<const Lanes*>(c + i * ldc);
  for (int64_t t = 0; t < k; ++t) {
    const Lanes row = *reinterpret_cast<const Lanes*>(b + t * ldb);
    for (int i = 0; i < kRows; ++i) sum[i] += a[t * lda + i] * row;
  }
  for (int i = 0; i < kRows; ++i) *reinterpret_cast<Lanes*>(c + i * ldc) = sum[i];
}

void add_products(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t k, int64_t m, int64_t n, float* c,
                  int64_t ldc) {
  for (int64_t j = 0; j < n; j += kLanes) {
    int64_t i = 0;
    for (; i + 6 <= m; i += 6) tile<6>(a + i, lda, b + j, ldb, k, c + i * ldc + j, ldc);
    for (; i + 2 <= m; i += 2) tile<2>(a + i, lda, b + j, ldb, k, c + i * ldc + j, ldc);
    for (; i < m; ++i) tile<1>(a + i, lda, b + j, ldb, k, c + i * ldc + j, ldc);
  }
}

}  // namespace

extern const ProductLoops kProductLoops;
const ProductLoops kProductLoops = {add_products};

}  // namespace octet::repair::OCTET_ISA
