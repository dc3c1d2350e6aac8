// Conversions between float and the narrow floating formats: fp16, bf16, fp8 E4M3FN and E5M2 (arXiv 2209.05433, as
// ONNX Cast defines them), constexpr where CUDA kernels call them, too. All round to nearest, ties to even; subnormals are exact; NaN stays NaN with its sign.
#pragma once

#include <bit>
#include <cstdint>

#include "octet/tensor.h"

namespace octet {

namespace small_float {

// Code of |x| in a format of E exponent and M mantissa bits; |x| finite. The code may lie beyond the format's
// largest.
template <int E, int M>
constexpr uint32_t encode_magnitude(uint32_t abs_bits) {
  constexpr int kBias = (1 << (E - 1)) - 1;
  constexpr uint32_t kMinNormal = static_cast<uint32_t>(128 - kBias) << 23;
  if (abs_bits < kMinNormal) {
    // In the sum the last mantissa bit weighs one subnormal step, so that the addition rounds.
    constexpr uint32_t kShifter = static_cast<uint32_t>(128 - kBias - M + 23) << 23;
    return std::bit_cast<uint32_t>(std::bit_cast<float>(abs_bits) + std::bit_cast<float>(kShifter)) - kShifter;
  }
  const uint32_t odd = (abs_bits >> (23 - M)) & 1;
  const uint32_t rounded = abs_bits + ((1u << (22 - M)) - 1) + odd;
  return (rounded >> (23 - M)) - (static_cast<uint32_t>(127 - kBias) << M);
}

// |value| of a finite code (sign bit removed).
template <int E, int M>
constexpr float decode_magnitude(uint32_t code) {
  constexpr int kBias = (1 << (E - 1)) - 1;
  constexpr float kStep = std::bit_cast<float>(static_cast<uint32_t>(128 - kBias - M) << 23);
  if ((code >> M) == 0) return static_cast<float>(code) * kStep;
  return std::bit_cast<float>((code << (23 - M)) + (static_cast<uint32_t>(127 - kBias) << 23));
}

constexpr uint32_t kFloatInf = 0x7f800000u;

}  // namespace small_float

// Overflow gives infinity; a NaN keeps the top of its payload and becomes quiet.
inline uint16_t float_to_fp16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t mag = bits & 0x7fffffffu;
  if (mag > small_float::kFloatInf) return static_cast<uint16_t>(sign | 0x7e00u | ((mag >> 13) & 0x3ffu));
  if (mag == small_float::kFloatInf) return static_cast<uint16_t>(sign | 0x7c00u);
  const uint32_t code = small_float::encode_magnitude<5, 10>(mag);
  return static_cast<uint16_t>(sign | (code < 0x7c00u ? code : 0x7c00u));
}

inline float fp16_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t mag = h & 0x7fffu;
  if (mag >= 0x7c00u) return std::bit_cast<float>(sign | small_float::kFloatInf | ((mag & 0x3ffu) << 13));
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(small_float::decode_magnitude<5, 10>(mag)));
}

inline uint16_t float_to_bf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > small_float::kFloatInf) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

inline float bf16_to_float(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }

// FLOAT8E4M3FN: no infinity, NaN is S.1111.111, largest 448. What rounds beyond 448 (infinities included) becomes 448
// when saturating, else NaN.
constexpr uint8_t float_to_e4m3(float x, bool saturate = true) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = bits >> 31 << 7;
  const uint32_t mag = bits & 0x7fffffffu;
  if (mag > small_float::kFloatInf) return static_cast<uint8_t>(sign | 0x7fu);
  const uint32_t code = mag == small_float::kFloatInf ? 0x7fu : small_float::encode_magnitude<4, 3>(mag);
  return static_cast<uint8_t>(sign | (code <= 0x7eu ? code : (saturate ? 0x7eu : 0x7fu)));
}

constexpr float e4m3_to_float(uint8_t c) {
  const uint32_t sign = static_cast<uint32_t>(c & 0x80u) << 24;
  const uint32_t mag = c & 0x7fu;
  if (mag == 0x7fu) return std::bit_cast<float>(sign | 0x7fc00000u);
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(small_float::decode_magnitude<4, 3>(mag)));
}

// FLOAT8E5M2: IEEE-like, largest 57344. What rounds beyond it (infinities included) becomes 57344 when saturating,
// else infinity. NaN becomes S.11111.11.
constexpr uint8_t float_to_e5m2(float x, bool saturate = true) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = bits >> 31 << 7;
  const uint32_t mag = bits & 0x7fffffffu;
  if (mag > small_float::kFloatInf) return static_cast<uint8_t>(sign | 0x7fu);
  const uint32_t code = mag == small_float::kFloatInf ? 0x7cu : small_float::encode_magnitude<5, 2>(mag);
  return static_cast<uint8_t>(sign | (code <= 0x7bu ? code : (saturate ? 0x7bu : 0x7cu)));
}

constexpr float e5m2_to_float(uint8_t c) {
  const uint32_t sign = static_cast<uint32_t>(c & 0x80u) << 24;
  const uint32_t mag = c & 0x7fu;
  if (mag >= 0x7cu) return std::bit_cast<float>(sign | small_float::kFloatInf | ((mag & 3u) << 21));
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(small_float::decode_magnitude<5, 2>(mag)));
}

// Largest finite magnitude of an FP8 type (448 or 57344); 0 for other types.
inline float fp8_max(DType dtype) {
  if (dtype == DType::kFloat8E4M3) return 448.0f;
  return dtype == DType::kFloat8E5M2 ? 57344.0f : 0.0f;
}

// ONNX Cast on a whole tensor, any type to any type; the result owns its buffer and has the same dims.
//  float -> narrower float: nearest even (float64 goes through float32); `saturate` concerns the FP8 targets only.
//  float -> integer: towards zero. Out of range ONNX leaves open; here as ONNX Runtime on x86: NaN and what does not
//  fit
//    int32 (int64 for the 32 and 64 bit unsigned and for int64) becomes that type's lowest value, then the low bits
//    are kept.
//  integer -> narrower integer: the low bits are kept (INT4: the low four, sign-extended).
//  anything -> bool: x != 0 (NaN is true).
// Errors: kInvalidArgument for an undefined tensor or target, kResourceLimit from allocation.
Result<Tensor> cast_tensor(const Tensor& x, DType to, bool saturate = true);

}  // namespace octet
