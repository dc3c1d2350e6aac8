#include "kernels/cpu/depthwise_inline.h"
#include "kernels/cpu/pixel_simd_avx512.h"

namespace octet::cpu {
namespace {

struct DotVnni {
  using V = Avx512;
  using Lookup = PermuteLookup;
  static constexpr int64_t kLaneRows = 4;
  static constexpr int64_t kPixels = 4;
  static constexpr int64_t kTapsOf3x3 = 3;

  static OCTET_ALWAYS_INLINE __m512i dot(__m512i sum, __m512i codes, __m512i weights) {
    return _mm512_dpbusd_epi32(sum, codes, weights);
  }
  static OCTET_ALWAYS_INLINE void interleave(const __m512i* rows, __m512i* quarters) {
    const __m512i a = _mm512_unpacklo_epi8(rows[0], rows[1]), b = _mm512_unpackhi_epi8(rows[0], rows[1]);
    const __m512i c = _mm512_unpacklo_epi8(rows[2], rows[3]), d = _mm512_unpackhi_epi8(rows[2], rows[3]);
    quarters[0] = _mm512_unpacklo_epi16(a, c);
    quarters[1] = _mm512_unpackhi_epi16(a, c);
    quarters[2] = _mm512_unpacklo_epi16(b, d);
    quarters[3] = _mm512_unpackhi_epi16(b, d);
  }
  template <int kWidth>
  static OCTET_ALWAYS_INLINE __m512i load_narrow(const uint8_t* p, int64_t step) {
    if constexpr (kWidth == 32) {
      return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i*)p)),
                                _mm256_loadu_si256((const __m256i*)(p + step)), 1);
    } else {
      const auto pair = [](const uint8_t* first, const uint8_t* second) __attribute__((always_inline)) {
        return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i*)first)),
                                       _mm_loadu_si128((const __m128i*)second), 1);
      };
      return _mm512_inserti64x4(_mm512_castsi256_si512(pair(p, p + step)), pair(p + 2 * step, p + 3 * step), 1);
    }
  }
  template <int kWidth>
  static OCTET_ALWAYS_INLINE void copy_narrow(uint8_t* to, const uint8_t* from, int64_t channels) {
    const auto mask = static_cast<__mmask32>(V::lanes(channels));
    _mm256_mask_storeu_epi8(to, mask, _mm256_loadu_si256((const __m256i*)from));
  }
  // Four channels in each 128 bits, 16 channels apart in memory.
  static OCTET_ALWAYS_INLINE void store_lanes(int32_t* to, __m512i sums) {
    _mm_storeu_si128((__m128i*)to, _mm512_castsi512_si128(sums));
    _mm_storeu_si128((__m128i*)(to + 16), _mm512_extracti32x4_epi32(sums, 1));
    _mm_storeu_si128((__m128i*)(to + 32), _mm512_extracti32x4_epi32(sums, 2));
    _mm_storeu_si128((__m128i*)(to + 48), _mm512_extracti32x4_epi32(sums, 3));
  }
};

}  // namespace

void depthwise_vnni(const DepthwisePlan& plan, const ConvCall& call, int64_t begin, int64_t end, uint8_t* scratch) {
  run_units<DotVnni>(plan, call, begin, end, scratch);
}

}  // namespace octet::cpu
