// AVX-512 with VBMI: table look-ups in registers.
#include "kernels/cpu/pixel_layout_inline.h"
#include "kernels/cpu/pixel_loops_inline.h"
#include "kernels/cpu/pixel_simd_avx512.h"

namespace octet::cpu {

const PixelLoops kPixelLoopsVbmi = {
    pixel_loops::quantize_to_nhwc<Avx512>,
    pixel_loops::dequantize_to_nchw<Avx512>,
    pixel_loops::bytes_to_nhwc<Avx512>,
    pixel_loops::bytes_to_nchw<Avx512>,
    pixel_loops::apply_table<Avx512, PermuteLookup>,
    pixel_loops::binary<Avx512, PermuteLookup>,
    pixel_loops::pool<Avx512>,
    pixel_loops::resize_nearest<Avx512>,
};

}  // namespace octet::cpu
