#include "kernels/cpu/depthwise_inline.h"
#include "kernels/cpu/pixel_simd_avx512.h"

namespace octet::cpu {
namespace {

struct DotVnni {
  using V = Avx512;
  using Lookup = PermuteLookup;
  static constexpr int64_t kLaneRows = 4;
  static constexpr int kRegisters = 4;
  static constexpr int kRegistersOf3x3 = 4;
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
  // One register of the pixels that the pointers name, and back.
  template <int kWidth>
  static OCTET_ALWAYS_INLINE __m512i join(const uint8_t* const* p) {
    if constexpr (kWidth == 32) {
      return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i*)p[0])),
                                _mm256_loadu_si256((const __m256i*)p[1]), 1);
    } else {
      return _mm512_inserti64x4(
          _mm512_castsi256_si512(_mm256_loadu2_m128i((const __m128i*)p[1], (const __m128i*)p[0])),
          _mm256_loadu2_m128i((const __m128i*)p[3], (const __m128i*)p[2]), 1);
    }
  }
  template <int kWidth>
  static OCTET_ALWAYS_INLINE void split(uint8_t* to, int64_t stride, __m512i codes) {
    if constexpr (kWidth == 32) {
      _mm256_storeu_si256((__m256i*)to, _mm512_castsi512_si256(codes));
      _mm256_storeu_si256((__m256i*)(to + stride), _mm512_extracti64x4_epi64(codes, 1));
    } else {
      _mm_storeu_si128((__m128i*)to, _mm512_castsi512_si128(codes));
      _mm_storeu_si128((__m128i*)(to + stride), _mm512_extracti32x4_epi32(codes, 1));
      _mm_storeu_si128((__m128i*)(to + 2 * stride), _mm512_extracti32x4_epi32(codes, 2));
      _mm_storeu_si128((__m128i*)(to + 3 * stride), _mm512_extracti32x4_epi32(codes, 3));
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
