// AVX-512 with VBMI: table look-ups in registers.
#include "kernels/cpu/pixel_layout_inline.h"
#include "kernels/cpu/pixel_loops_inline.h"
#include "kernels/cpu/pixel_simd_avx512.h"

namespace octet::cpu {
namespace pixel_loops {
namespace {

struct PermuteLookup {
  __m512i quarters[4];

  OCTET_ALWAYS_INLINE void prepare(const uint8_t* table) {
    for (int i = 0; i < 4; ++i) quarters[i] = _mm512_loadu_si512(table + 64 * i);
  }
  OCTET_ALWAYS_INLINE __m512i look_up(__m512i codes) const {
    const __m512i low = _mm512_permutex2var_epi8(quarters[0], codes, quarters[1]);
    const __m512i high = _mm512_permutex2var_epi8(quarters[2], codes, quarters[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high);
  }
};

}  // namespace
}  // namespace pixel_loops

const PixelLoops kPixelLoopsVbmi = {
    pixel_loops::quantize_to_nhwc<Avx512>,
    pixel_loops::dequantize_to_nchw<Avx512>,
    pixel_loops::bytes_to_nhwc<Avx512>,
    pixel_loops::bytes_to_nchw<Avx512>,
    pixel_loops::apply_table<Avx512, pixel_loops::PermuteLookup>,
    pixel_loops::binary<Avx512, pixel_loops::PermuteLookup>,
    pixel_loops::pool<Avx512>,
    pixel_loops::resize_nearest<Avx512>,
};

}  // namespace octet::cpu
