#include "arith/spans.h"

#include "arith/isa.h"
#include "arith/span_loops.h"

namespace octet {
namespace {

const SpanLoops& loops() {
#ifdef OCTET_X86_LEVELS
  switch (active_isa()) {
    case Isa::kAvx512: return avx512::kSpanLoops;
    case Isa::kAvx2: return avx2::kSpanLoops;
    case Isa::kBase: break;
  }
#endif
  return base::kSpanLoops;
}

}  // namespace

void fake_quantize_span(const float* src, float* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  loops().fake_quantize(src, dst, n, scale, zp, lo, hi);
}
void fake_quantize_each(const float* src, float* dst, int64_t n, const float* scale, const int32_t* zp, int32_t lo,
                        int32_t hi) {
  loops().fake_quantize_each(src, dst, n, scale, zp, lo, hi);
}

void quantize_span(const float* src, int8_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  loops().quantize_i8(src, dst, n, scale, zp, lo, hi);
}
void quantize_span(const float* src, uint8_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  loops().quantize_u8(src, dst, n, scale, zp, lo, hi);
}
void quantize_span(const float* src, int16_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  loops().quantize_i16(src, dst, n, scale, zp, lo, hi);
}
void quantize_span(const float* src, uint16_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  loops().quantize_u16(src, dst, n, scale, zp, lo, hi);
}

void dequantize_span(const int8_t* src, float* dst, int64_t n, float scale, int32_t zp) {
  loops().dequantize_i8(src, dst, n, scale, zp);
}
void dequantize_span(const uint8_t* src, float* dst, int64_t n, float scale, int32_t zp) {
  loops().dequantize_u8(src, dst, n, scale, zp);
}
void dequantize_span(const int16_t* src, float* dst, int64_t n, float scale, int32_t zp) {
  loops().dequantize_i16(src, dst, n, scale, zp);
}
void dequantize_span(const uint16_t* src, float* dst, int64_t n, float scale, int32_t zp) {
  loops().dequantize_u16(src, dst, n, scale, zp);
}

void requantize_span(const int32_t* src, int8_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  loops().requantize_i8(src, dst, n, scale, zp, lo, hi);
}
void requantize_span(const int32_t* src, uint8_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  loops().requantize_u8(src, dst, n, scale, zp, lo, hi);
}

}  // namespace octet
