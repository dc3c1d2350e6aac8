#include "kernels/cpu/pixel_ops.h"

#include "kernels/cpu/features.h"
#include "kernels/cpu/pixel_loops.h"

namespace octet::cpu {
namespace {

const PixelLoops& loops() {
#ifdef OCTET_X86_LEVELS
  const uint32_t features = cpu_features();
  if ((features & kAvx512) != 0 && (features & kAvx512Vnni) != 0) return kPixelLoopsVbmi;
  if ((features & kAvx512) != 0) return kPixelLoopsAvx512;
  if ((features & kAvx2) != 0) return kPixelLoopsAvx2;
#endif
  return kPixelLoopsBase;
}

}  // namespace

int64_t layout_rows(const LayoutCall& call) { return call.batch * ((call.pixels + kLayoutRun - 1) / kLayoutRun); }

void quantize_to_nhwc(const LayoutCall& call, int64_t begin, int64_t end) {
  loops().quantize_to_nhwc(call, begin, end);
}
void dequantize_to_nchw(const LayoutCall& call, int64_t begin, int64_t end) {
  loops().dequantize_to_nchw(call, begin, end);
}
void bytes_to_nhwc(const LayoutCall& call, uint8_t flip, int64_t begin, int64_t end) {
  loops().bytes_to_nhwc(call, flip, begin, end);
}
void bytes_to_nchw(const LayoutCall& call, uint8_t flip, int64_t begin, int64_t end) {
  loops().bytes_to_nchw(call, flip, begin, end);
}
void apply_table(const TableCall& call, int64_t begin, int64_t end) { loops().apply_table(call, begin, end); }
void binary(const BinaryCall& call, int64_t begin, int64_t end) { loops().binary(call, begin, end); }
void pool(const PoolCall& call, int64_t begin, int64_t end) { loops().pool(call, begin, end); }
void resize_nearest(const ResizeCall& call, int64_t begin, int64_t end) { loops().resize_nearest(call, begin, end); }

}  // namespace octet::cpu
