// The hot loops of calibration, filled in once per instruction set by histogram_loops.cpp. The same results at every
// level: the first two are integer arithmetic, the error sums add in eight fixed lanes.
#pragma once

#include <cstdint>

namespace octet {

// Extremes of a run of floats, NaN and infinities included.
struct ChunkScan {
  uint32_t amax_bits;  // largest sign-stripped bit pattern; >= 0x7f800000 when a value is not finite
  int32_t min_key;     // see float_key()
  int32_t max_key;
};

struct ErrorSums {
  double e;
  double e_sq;
};

struct HistogramLoops {
  // n >= 1.
  ChunkScan (*scan)(const float* x, int64_t n);
  // Appends side * 4096 + bin (side 1: negative) of every non-zero value; all values finite and below 4096 * 2^k.
  // Returns how many; `indices` has room for n + 16.
  int64_t (*pack)(const float* x, int64_t n, int k, uint16_t* indices);
  // Over bins [0, n) of `counts`, each bin uniform and `ratio` steps wide: the sums of count * integral of
  // (round(t) - t) and of its square over the bin, t in steps.
  ErrorSums (*grid_error)(const double* counts, int n, double ratio);
  // Sums over samples of e = fake_quantize(x) - x and of e^2.
  ErrorSums (*sample_error)(const float* x, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi);
};

// The table of the active instruction set.
const HistogramLoops& histogram_loops();

// Integers in the order of the floats they stand for; -0 just below +0. Its own inverse on the bits.
inline __attribute__((always_inline)) int32_t float_key(uint32_t bits) {
  const auto s = static_cast<int32_t>(bits);
  return s ^ ((s >> 31) & 0x7fffffff);
}

namespace base {
extern const HistogramLoops kHistogramLoops;
}
namespace avx2 {
extern const HistogramLoops kHistogramLoops;
}
namespace avx512 {
extern const HistogramLoops kHistogramLoops;
}

}  // namespace octet
