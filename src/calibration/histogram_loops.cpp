// Compiled once per instruction set (octet_hot_loops). See histogram_loops.h for the contracts.
#include "calibration/histogram_loops.h"

#include "arith/scalar.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace octet::OCTET_ISA {
namespace {

constexpr uint32_t kMagnitudeMask = 0x7fffffffu;

uint32_t bits_of(float x) {
  uint32_t b;
  __builtin_memcpy(&b, &x, sizeof b);
  return b;
}

ChunkScan scan(const float* x, int64_t n) {
  uint32_t amax = 0;
  int32_t lo = 0x7fffffff, hi = -0x7fffffff - 1;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t b = bits_of(x[i]);
    const uint32_t mag = b & kMagnitudeMask;
    const int32_t key = float_key(b);
    amax = mag > amax ? mag : amax;
    lo = key < lo ? key : lo;
    hi = key > hi ? key : hi;
  }
  return {amax, lo, hi};
}

// |x| = m * 2^(max(e, 1) - 150) with 24-bit m, so that floor(|x| * 2^-k) = m >> (150 + k - e): no rounding, and no
// slow denormal arithmetic. Below k = -126 denormals no longer all fall into bin 0 and need their own exponent.
// Without branches, since signs and zeros are unpredictable.
uint32_t bin_of(uint32_t mag, int k) {
  const uint32_t e = mag >> 23;
  const uint32_t normal = e != 0;
  const uint32_t m = (mag & 0x7fffffu) | normal << 23;
  const uint32_t shift = static_cast<uint32_t>(149 + k) + normal - e;  // >= 0, because |x| < 4096 * 2^k
  return m >> (shift < 31 ? shift : 31);
}

int64_t pack_scalar(const float* x, int64_t n, int k, uint16_t* indices) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t b = bits_of(x[i]);
    const uint32_t mag = b & kMagnitudeMask;
    indices[count] = static_cast<uint16_t>((b >> 31 << 12) | bin_of(mag, k));
    count += mag != 0;
  }
  return count;
}

#if defined(__AVX512F__)

int64_t pack_vector(const float* x, int64_t n, int k, uint16_t* indices) {
  const __m512i magnitude = _mm512_set1_epi32(static_cast<int>(kMagnitudeMask));
  const __m512i fraction = _mm512_set1_epi32(0x7fffff);
  const __m512i one = _mm512_set1_epi32(0x800000);
  const __m512i sign_bin = _mm512_set1_epi32(0x1000);
  const __m512i shift0 = _mm512_set1_epi32(150 + k);
  uint16_t* out = indices;
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t left = n - i;
    const __mmask16 lanes = left >= 16 ? 0xffff : static_cast<__mmask16>((1u << left) - 1);
    const __m512i b = _mm512_maskz_loadu_epi32(lanes, x + i);
    const __m512i mag = _mm512_and_si512(b, magnitude);
    const __mmask16 nonzero = _mm512_test_epi32_mask(b, magnitude);
    const __m512i m = _mm512_or_si512(_mm512_and_si512(b, fraction), one);
    const __m512i bin = _mm512_srlv_epi32(m, _mm512_sub_epi32(shift0, _mm512_srli_epi32(mag, 23)));
    const __m512i index = _mm512_or_si512(bin, _mm512_and_si512(_mm512_srli_epi32(b, 19), sign_bin));
    const __m512i packed = _mm512_maskz_compress_epi32(nonzero, index);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(packed));
    out += __builtin_popcount(nonzero);
  }
  return out - indices;
}

#elif defined(__AVX2__)

// kCompress[mask]: the lanes of the set bits of mask, moved to the front, as eight bytes.
struct CompressTable {
  alignas(64) uint8_t lane[256][8];
  constexpr CompressTable() : lane() {
    for (int mask = 0; mask < 256; ++mask) {
      int at = 0;
      for (uint8_t l = 0; l < 8; ++l)
        if (mask >> l & 1) lane[mask][at++] = l;
    }
  }
};
constexpr CompressTable kCompress;

int64_t pack_vector(const float* x, int64_t n, int k, uint16_t* indices) {
  const __m256i magnitude = _mm256_set1_epi32(static_cast<int>(kMagnitudeMask));
  const __m256i fraction = _mm256_set1_epi32(0x7fffff);
  const __m256i one = _mm256_set1_epi32(0x800000);
  const __m256i sign_bin = _mm256_set1_epi32(0x1000);
  const __m256i shift0 = _mm256_set1_epi32(150 + k);
  uint16_t* out = indices;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    const __m256i mag = _mm256_and_si256(b, magnitude);
    const __m256i zero = _mm256_cmpeq_epi32(mag, _mm256_setzero_si256());
    const auto nonzero = static_cast<uint32_t>(~_mm256_movemask_ps(_mm256_castsi256_ps(zero))) & 0xffu;
    const __m256i m = _mm256_or_si256(_mm256_and_si256(b, fraction), one);
    const __m256i bin = _mm256_srlv_epi32(m, _mm256_sub_epi32(shift0, _mm256_srli_epi32(mag, 23)));
    const __m256i index = _mm256_or_si256(bin, _mm256_and_si256(_mm256_srli_epi32(b, 19), sign_bin));
    const __m128i lanes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kCompress.lane[nonzero]));
    const __m256i packed = _mm256_permutevar8x32_epi32(index, _mm256_cvtepu8_epi32(lanes));
    const __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(packed, packed), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(halves));
    out += __builtin_popcount(nonzero);
  }
  return out - indices + pack_scalar(x + i, n - i, k, out);
}

#else

int64_t pack_vector(const float* x, int64_t n, int k, uint16_t* indices) { return pack_scalar(x, n, k, indices); }

#endif

int64_t pack(const float* x, int64_t n, int k, uint16_t* indices) {
  return k >= -126 ? pack_vector(x, n, k, indices) : pack_scalar(x, n, k, indices);
}

constexpr int kLanes = 8;  // the order of summation, whatever the vector width

double sum_lanes(const double* lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// Antiderivatives of (round(t) - t)^2 and round(t) - t that vanish at 0, r = t - round(t): every unit cell adds 1/12
// to the first and nothing to the second.
ErrorSums grid_error(const double* counts, int n, double ratio) {
  constexpr int kBlock = 256;
  constexpr double kShifter = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to integer
  double f[kBlock + 1], g[kBlock + 1];
  double sum_f[kLanes] = {}, sum_g[kLanes] = {};
  for (int first = 0; first < n; first += kBlock) {
    const int m = n - first < kBlock ? n - first : kBlock;
    for (int j = 0; j <= m; ++j) {
      const double t = static_cast<double>(first + j) * ratio;
      const double cell = (t + kShifter) - kShifter;
      const double r = t - cell;
      f[j] = cell * (1.0 / 12) + r * r * r * (1.0 / 3);
      g[j] = -0.5 * r * r;
    }
    const double* c = counts + first;
    int j = 0;
    for (; j + kLanes <= m; j += kLanes) {
      for (int l = 0; l < kLanes; ++l) {
        sum_f[l] += c[j + l] * (f[j + l + 1] - f[j + l]);
        sum_g[l] += c[j + l] * (g[j + l + 1] - g[j + l]);
      }
    }
    for (int l = 0; j < m; ++j, ++l) {
      sum_f[l] += c[j] * (f[j + 1] - f[j]);
      sum_g[l] += c[j] * (g[j + 1] - g[j]);
    }
  }
  return {sum_lanes(sum_g), sum_lanes(sum_f)};
}

ErrorSums sample_error(const float* x, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  double sum[kLanes] = {}, sum_sq[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const float y = fake_quantize_value(x[i + l], scale, zp, lo, hi);
      const double e = static_cast<double>(y) - static_cast<double>(x[i + l]);
      sum[l] += e;
      sum_sq[l] += e * e;
    }
  }
  for (int l = 0; i < n; ++i, ++l) {
    const double e = static_cast<double>(fake_quantize_value(x[i], scale, zp, lo, hi)) - static_cast<double>(x[i]);
    sum[l] += e;
    sum_sq[l] += e * e;
  }
  return {sum_lanes(sum), sum_lanes(sum_sq)};
}

}  // namespace

extern const HistogramLoops kHistogramLoops;
const HistogramLoops kHistogramLoops = {scan, pack, grid_error, sample_error};

}  // namespace octet::OCTET_ISA
