// Panels with AVX2, four products in 16 bits: the fewest instructions per product, and wrong where four products
// leave 16 bits. That takes large weights and large codes in the same place, which is rare in trained networks. Both
// are known before: fragile weights from packing, large codes from one look at every pixel. Where they meet, the sum
// is computed again and the difference added, so that the result is exact for all codes and weights.
#include "kernels/cpu/panel_block_inline.h"

namespace octet::cpu {
namespace {

// For 32 source bytes, four steps of two words: in the low half of each 64 bits the two sums of four codes that the
// products are added by.
OCTET_ALWAYS_INLINE __m256i sums_of_four(__m256i codes) {
  const __m256i twos = _mm256_maddubs_epi16(codes, _mm256_set1_epi8(1));
  return _mm256_add_epi16(twos, _mm256_srli_epi64(twos, 32));
}

OCTET_ALWAYS_INLINE __m256i low_halves(__m256i a, __m256i b) {
  return _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _MM_SHUFFLE(2, 0, 2, 0)));
}

// The first `words` <= 8 words and zeros. What lies behind them may be another task's to write.
OCTET_ALWAYS_INLINE __m256i load_words(const uint8_t* src, int words) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_epi32(reinterpret_cast<const int*>(src),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(words), lanes));
}

// The bits of a chunk at every level, in the order of quad_place(). Of its 32-byte blocks so many have codes, and the
// last of those `words`.
template <int Blocks>
OCTET_ALWAYS_INLINE void mark_large_sums(const uint8_t* src, int words, uint32_t* marks) {
  __m256i four[4] = {};
  for (int b = 0; b < Blocks - 1; ++b) four[b] = sums_of_four(load_native(src + 32 * b));
  four[Blocks - 1] = sums_of_four(load_words(src + 32 * (Blocks - 1), words));
  const __m256i first = low_halves(four[0], four[1]), second = low_halves(four[2], four[3]);
  for (int level = 0; level < kNarrowLevels; ++level) {
    const __m256i limit = _mm256_set1_epi16(kLargestCodes[level]);
    const __m256i above = _mm256_packs_epi16(_mm256_cmpgt_epi16(first, limit), _mm256_cmpgt_epi16(second, limit));
    marks[level] = static_cast<uint32_t>(_mm256_movemask_epi8(above));
  }
}

void mark_chunk(const uint8_t* src, int64_t steps, uint32_t* marks) {
  const int words = steps >= kChunkSteps ? 8 : static_cast<int>((steps - 1) % 8 + 1);
  switch ((steps + 7) / 8) {
    case 1: return mark_large_sums<1>(src, words, marks);
    case 2: return mark_large_sums<2>(src, words, marks);
    case 3: return mark_large_sums<3>(src, words, marks);
    default: return mark_large_sums<4>(src, words, marks);
  }
}

// Two products for each of eight channels: half 0 or 1 of the word at src and of the weights.
OCTET_ALWAYS_INLINE __m256i two_products(const uint8_t* src, const uint8_t* weights, int half) {
  const __m128i up = _mm_cvtsi32_si128(16 - 16 * half);
  const __m256i both = _mm256_sll_epi32(load_native(weights), up);  // the two weights are the highest bytes
  const __m256i second = _mm256_srai_epi32(both, 24);
  const __m256i first = _mm256_srai_epi32(_mm256_slli_epi32(both, 8), 24);
  return _mm256_add_epi32(_mm256_madd_epi16(first, _mm256_set1_epi32(src[2 * half])),
                          _mm256_madd_epi16(second, _mm256_set1_epi32(src[2 * half + 1])));
}

OCTET_ALWAYS_INLINE __m256i saturated(__m256i sum) {
  return _mm256_max_epi32(_mm256_min_epi32(sum, _mm256_set1_epi32(32767)), _mm256_set1_epi32(-32768));
}

// Adds what the sixteen sums of one pixel lack of the four products that QuadProducts (of the two that PairProducts)
// added in 16 bits.
void repair(const uint8_t* src, const uint8_t* weights, int half, bool two_words, int32_t* sums) {
  for (int v = 0; v < 2; ++v) {
    const __m256i a = two_products(src, weights + 32 * v, half);
    const __m256i b = two_words ? two_products(src + 4, weights + 64 + 32 * v, half) : _mm256_setzero_si256();
    const __m256i wrapped = _mm256_slli_epi32(_mm256_add_epi32(saturated(a), saturated(b)), 16);
    const __m256i lacking = _mm256_sub_epi32(_mm256_add_epi32(a, b), _mm256_srai_epi32(wrapped, 16));
    auto* to = reinterpret_cast<__m256i*>(sums + 8 * v);
    _mm256_store_si256(to, _mm256_add_epi32(_mm256_load_si256(to), lacking));
  }
}

// Where large codes of a pixel meet fragile weights.
[[gnu::noinline]] void repair_chunk(const uint8_t* src, const uint8_t* weights, int64_t steps, uint32_t bits,
                                    int32_t* sums) {
  for (; bits != 0; bits &= bits - 1) {
    const QuadPlace place = quad_place(__builtin_ctz(bits));
    if (place.step >= steps) continue;  // only damaged files have such bits
    repair(src + 4 * place.step, weights + 64 * int64_t{place.step}, place.half, place.step + 1 < steps, sums);
  }
}

// The marked sums of a chunk for which both are true at some level.
OCTET_ALWAYS_INLINE uint32_t common_marks(const uint32_t* large, const uint32_t* fragile) {
  static_assert(kNarrowLevels == 4);
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(large));
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(fragile));
  if (_mm_testz_si128(a, b) != 0) return 0;
  uint32_t bits = 0;
  for (int level = 0; level < kNarrowLevels; ++level) bits |= large[level] & fragile[level];
  return bits;
}

OCTET_ALWAYS_INLINE void repair_rows(const PanelCall& call, int64_t begin, int64_t rows, int32_t* sums) {
  const uint32_t* large = call.large + begin * call.run_count * call.run_chunks * kNarrowLevels;
  for (int64_t r = 0; r < rows; ++r) {
    const uint32_t* fragile = call.fragile;
    for (int64_t i = 0; i < call.run_count; ++i) {
      const int64_t steps = call.runs[i].steps;
      for (int64_t at = 0; at < steps; at += kChunkSteps, large += kNarrowLevels, fragile += kNarrowLevels) {
        const uint32_t bits = common_marks(large, fragile);
        if (bits == 0) continue;
        repair_chunk(call.src + call.offsets[begin + r] + call.runs[i].offset + 4 * at,
                     call.weights + (i * steps + at) * 64, steps - at, bits, sums + 16 * r);
      }
    }
  }
}

}  // namespace

void mark_large_codes_avx2(const PanelCall& call, uint32_t* large) {
  for (int64_t p = 0; p < call.pixels; ++p) {
    for (int64_t i = 0; i < call.run_count; ++i) {
      const uint8_t* src = call.src + call.offsets[p] + call.runs[i].offset;
      for (int64_t at = 0; at < call.runs[i].steps; at += kChunkSteps, large += kNarrowLevels)
        mark_chunk(src + 4 * at, call.runs[i].steps - at, large);
    }
  }
}

void multiply_panel_quads_avx2(const PanelCall& call) {
  alignas(64) int32_t sums[kMaxRows * 16];
  const PanelStore<1> store(call);
  for_each_block(
      call.pixels, kMaxRows, [&](int64_t begin, int64_t rows) __attribute__((always_inline)) {
        multiply_rows<QuadProducts>(call, call.offsets + begin, rows, sums);
        if (call.fragile != nullptr) repair_rows(call, begin, rows, sums);
        store.store(sums, begin, rows);
      });
}

}  // namespace octet::cpu
