// Compiled once per instruction set (octet_hot_loops): plain loops over the scalar definition, left to the compiler's
// vectorizer, which may not change a bit of them because contraction and fast-math are off.
#include "arith/span_loops.h"

#include "arith/scalar.h"

namespace octet::OCTET_ISA {
namespace {

void fake_quantize(const float* src, float* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  for (int64_t i = 0; i < n; ++i) dst[i] = fake_quantize_value(src[i], scale, zp, lo, hi);
}

void fake_quantize_each(const float* src, float* dst, int64_t n, const float* scale, const int32_t* zp, int32_t lo,
                        int32_t hi) {
  for (int64_t i = 0; i < n; ++i) dst[i] = fake_quantize_value(src[i], scale[i], zp[i], lo, hi);
}

template <class Q>
void quantize(const float* src, Q* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<Q>(quantize_value(src[i], scale, zp, lo, hi));
}

template <class Q>
void dequantize(const Q* src, float* dst, int64_t n, float scale, int32_t zp) {
  for (int64_t i = 0; i < n; ++i) dst[i] = dequantize_value(src[i], scale, zp);
}

template <class Q>
void requantize(const int32_t* src, Q* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi) {
  for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<Q>(requantize_value(src[i], scale, zp, lo, hi));
}

}  // namespace

extern const SpanLoops kSpanLoops;
const SpanLoops kSpanLoops = {
    fake_quantize,       fake_quantize_each,   quantize<int8_t>,   quantize<uint8_t>,
    quantize<int16_t>,   quantize<uint16_t>,   dequantize<int8_t>, dequantize<uint8_t>,
    dequantize<int16_t>, dequantize<uint16_t>, requantize<int8_t>, requantize<uint8_t>,
};

}  // namespace octet::OCTET_ISA
