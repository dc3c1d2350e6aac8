#include "kernels/cpu/depthwise_inline.h"
#include "kernels/cpu/pixel_simd_avx2.h"

namespace octet::cpu {
namespace {

// 16-bit words: sums of u8 times s8 products saturate in vpmaddubsw, but never in vpmaddwd.
struct DotWords {
  using V = Avx2;
  using Lookup = ShuffleLookup<Avx2>;
  static constexpr int64_t kLaneRows = 2;
  static constexpr int kRegisters = 4;
  static constexpr int kRegistersOf3x3 = 2;
  static constexpr int64_t kTapsOf3x3 = 6;

  static OCTET_ALWAYS_INLINE __m256i dot(__m256i sum, __m256i codes, __m256i weights) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(codes, weights));
  }
  static OCTET_ALWAYS_INLINE void interleave(const __m256i* rows, __m256i* quarters) {
    const __m256i none = _mm256_setzero_si256();
    const __m256i a = _mm256_unpacklo_epi8(rows[0], none), b = _mm256_unpackhi_epi8(rows[0], none);
    const __m256i c = _mm256_unpacklo_epi8(rows[1], none), d = _mm256_unpackhi_epi8(rows[1], none);
    quarters[0] = _mm256_unpacklo_epi16(a, c);
    quarters[1] = _mm256_unpackhi_epi16(a, c);
    quarters[2] = _mm256_unpacklo_epi16(b, d);
    quarters[3] = _mm256_unpackhi_epi16(b, d);
  }
  // One register of the two pixels of 16 bytes that the pointers name, and back.
  template <int kWidth>
  static OCTET_ALWAYS_INLINE __m256i join(const uint8_t* const* p) {
    return _mm256_loadu2_m128i((const __m128i*)p[1], (const __m128i*)p[0]);
  }
  template <int kWidth>
  static OCTET_ALWAYS_INLINE void split(uint8_t* to, int64_t stride, __m256i codes) {
    _mm_storeu_si128((__m128i*)to, _mm256_castsi256_si128(codes));
    _mm_storeu_si128((__m128i*)(to + stride), _mm256_extracti128_si256(codes, 1));
  }
  template <int kWidth>
  static OCTET_ALWAYS_INLINE void copy_narrow(uint8_t* to, const uint8_t* from, int64_t channels) {
    V::store16(to, _mm_loadu_si128((const __m128i*)from), channels);
  }
  static OCTET_ALWAYS_INLINE void store_lanes(int32_t* to, __m256i sums) {
    _mm_storeu_si128((__m128i*)to, _mm256_castsi256_si128(sums));
    _mm_storeu_si128((__m128i*)(to + 16), _mm256_extracti128_si256(sums, 1));
  }
};

}  // namespace

void depthwise_avx2(const DepthwisePlan& plan, const ConvCall& call, int64_t begin, int64_t end, uint8_t* scratch) {
  run_units<DotWords>(plan, call, begin, end, scratch);
}

}  // namespace octet::cpu
