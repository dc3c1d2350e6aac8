#include "executor/layout.h"

#include <algorithm>

namespace octet::exec {
namespace {

// dst[c][r] = src[r][c], in tiles that stay in the first-level cache.
void transpose(const float* src, float* dst, int64_t rows, int64_t cols) {
  constexpr int64_t kTile = 32;
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const int64_t r1 = std::min(rows, r0 + kTile);
    for (int64_t c0 = 0; c0 < cols; c0 += kTile) {
      const int64_t c1 = std::min(cols, c0 + kTile);
      for (int64_t c = c0; c < c1; ++c)
        for (int64_t r = r0; r < r1; ++r) dst[c * rows + r] = src[r * cols + c];
    }
  }
}

void transpose_each_image(const float* src, float* dst, int64_t images, int64_t rows, int64_t cols) {
#pragma omp parallel for if (images > 1)
  for (int64_t n = 0; n < images; ++n) transpose(src + n * rows * cols, dst + n * rows * cols, rows, cols);
}

}  // namespace

void to_channels_last(const float* src, float* dst, const Dims& dims) {
  transpose_each_image(src, dst, dims[0], dims[1], dims[2] * dims[3]);
}

void to_plain(const float* src, float* dst, const Dims& dims) {
  transpose_each_image(src, dst, dims[0], dims[2] * dims[3], dims[1]);
}

}  // namespace octet::exec
