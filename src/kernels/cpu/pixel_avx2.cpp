#include "kernels/cpu/pixel_layout_inline.h"
#include "kernels/cpu/pixel_loops_inline.h"
#include "kernels/cpu/pixel_simd_avx2.h"

namespace octet::cpu {

const PixelLoops kPixelLoopsAvx2 = {
    pixel_loops::quantize_to_nhwc<Avx2>,
    pixel_loops::dequantize_to_nchw<Avx2>,
    pixel_loops::bytes_to_nhwc<Avx2>,
    pixel_loops::bytes_to_nchw<Avx2>,
    pixel_loops::apply_table<Avx2, ShuffleLookup<Avx2>>,
    pixel_loops::binary<Avx2, ShuffleLookup<Avx2>>,
    pixel_loops::pool<Avx2>,
    pixel_loops::resize_nearest<Avx2>,
};

}  // namespace octet::cpu
