// float32 NHWC to NCHW in tiles that stay in the first-level cache; plain loops, which the compiler turns into
// shuffles of any x86-64 CPU.
#include <algorithm>

#include "kernels/cpu/pixel_loops.h"

namespace octet::cpu {

void floats_to_nchw(const LayoutCall& call, int64_t begin, int64_t end) {
  constexpr int64_t kTile = 16;
  for (int64_t row = begin; row < end; ++row) {
    const LayoutRow r = layout_row(call, row);
    const float* src = static_cast<const float*>(call.src) + (r.image * call.pixels + r.first) * call.pixel_stride;
    float* dst = static_cast<float*>(call.dst) + r.image * call.channels * call.pixels + r.first;
    for (int64_t c = 0; c < call.channels; c += kTile) {
      const int64_t channels = std::min(kTile, call.channels - c);
      for (int64_t p = 0; p < r.count; p += kTile) {
        const int64_t pixels = std::min(kTile, r.count - p);
        for (int64_t i = 0; i < channels; ++i)
          for (int64_t j = 0; j < pixels; ++j)
            dst[(c + i) * call.pixels + p + j] = src[(p + j) * call.pixel_stride + c + i];
      }
    }
  }
}

}  // namespace octet::cpu
