// The table of hot loops that span_loops.cpp fills once per instruction set. Internal to arith; callers use spans.h.
#pragma once

#include <cstdint>

namespace octet {

// Where `scale` and `zero_point` are pointers in the *_each loops, they hold one entry per element.
struct SpanLoops {
  void (*fake_quantize)(const float*, float*, int64_t, float, int32_t, int32_t, int32_t);
  void (*fake_quantize_each)(const float*, float*, int64_t, const float*, const int32_t*, int32_t, int32_t);
  void (*quantize_i8)(const float*, int8_t*, int64_t, float, int32_t, int32_t, int32_t);
  void (*quantize_u8)(const float*, uint8_t*, int64_t, float, int32_t, int32_t, int32_t);
  void (*quantize_i16)(const float*, int16_t*, int64_t, float, int32_t, int32_t, int32_t);
  void (*quantize_u16)(const float*, uint16_t*, int64_t, float, int32_t, int32_t, int32_t);
  void (*dequantize_i8)(const int8_t*, float*, int64_t, float, int32_t);
  void (*dequantize_u8)(const uint8_t*, float*, int64_t, float, int32_t);
  void (*dequantize_i16)(const int16_t*, float*, int64_t, float, int32_t);
  void (*dequantize_u16)(const uint16_t*, float*, int64_t, float, int32_t);
  void (*requantize_i8)(const int32_t*, int8_t*, int64_t, float, int32_t, int32_t, int32_t);
  void (*requantize_u8)(const int32_t*, uint8_t*, int64_t, float, int32_t, int32_t, int32_t);
};

namespace base {
extern const SpanLoops kSpanLoops;
}
namespace avx2 {
extern const SpanLoops kSpanLoops;
}
namespace avx512 {
extern const SpanLoops kSpanLoops;
}

}  // namespace octet
