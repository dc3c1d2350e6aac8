// Quantization of contiguous runs at the speed of the CPU: the same bits as scalar.h at every instruction set.
// src and dst may be the same buffer where their types match; other overlap is not allowed. n may be 0.
#pragma once

#include <cstdint>

namespace octet {

void fake_quantize_span(const float* src, float* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi);
// One scale and zero point per element.
void fake_quantize_each(const float* src, float* dst, int64_t n, const float* scale, const int32_t* zp, int32_t lo,
                        int32_t hi);

void quantize_span(const float* src, int8_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi);
void quantize_span(const float* src, uint8_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi);
void quantize_span(const float* src, int16_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi);
void quantize_span(const float* src, uint16_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi);

void dequantize_span(const int8_t* src, float* dst, int64_t n, float scale, int32_t zp);
void dequantize_span(const uint8_t* src, float* dst, int64_t n, float scale, int32_t zp);
void dequantize_span(const int16_t* src, float* dst, int64_t n, float scale, int32_t zp);
void dequantize_span(const uint16_t* src, float* dst, int64_t n, float scale, int32_t zp);

void requantize_span(const int32_t* src, int8_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi);
void requantize_span(const int32_t* src, uint8_t* dst, int64_t n, float scale, int32_t zp, int32_t lo, int32_t hi);

}  // namespace octet
