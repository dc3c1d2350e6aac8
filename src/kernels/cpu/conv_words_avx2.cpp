// Panels with AVX2 on codes widened to 16 bits.
#include "kernels/cpu/panel_block_inline.h"

namespace octet::cpu {

void multiply_panel_words_avx2(const PanelCall& call) {
  alignas(64) int32_t sums[kMaxRows * 16];
  const PanelStore<1> store(call);
  for_each_block(
      call.pixels, kMaxRows, [&](int64_t begin, int64_t rows) __attribute__((always_inline)) {
        multiply_rows<WordProducts>(call, call.offsets + begin, rows, sums);
        store.store(sums, begin, rows);
      });
}

void widen_codes_avx2(const uint8_t* from, size_t count, int16_t* to) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_cvtepu8_epi16(codes));
  }
  for (; i < count; ++i) to[i] = from[i];
}

}  // namespace octet::cpu
