// The hot loops of repair, compiled once per instruction set (octet_hot_loops). The same bits at every level: each
// sum is added up in the order of its terms.
#pragma once

#include <cstdint>

namespace octet::repair {

constexpr int64_t kLanes = 16;  // n of `add_products` is a multiple of it

struct ProductLoops {
  // c[i][j] += sum over t < k of a[t][i] * b[t][j], for i < m, j < n: the product of a transposed and b, all
  // row-major with the given distances between rows.
  void (*add_products)(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t k, int64_t m, int64_t n,
                       float* c, int64_t ldc);
};

const ProductLoops& product_loops();

namespace base {
extern const ProductLoops kProductLoops;
}
namespace avx2 {
extern const ProductLoops kProductLoops;
}
namespace avx512 {
extern const ProductLoops kProductLoops;
}

}  // namespace octet::repair
