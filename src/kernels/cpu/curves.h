// The curves of store.h, written once for one float and for a vector of floats: the same IEEE operations in the same
// order in every lane, so that all instruction sets give the same bits. No fused multiply-add, no library calls.
//
// F is float or a GCC vector of floats (__m256, __m512). Included by files compiled per instruction set.
#pragma once

#include <cstdint>

#include "arith/scalar.h"
#include "kernels/cpu/store.h"

namespace octet::cpu {

template <class F>
struct BitsOf;
template <>
struct BitsOf<float> {
  using type = uint32_t;
};
#if defined(__AVX2__)
template <>
struct BitsOf<float __attribute__((vector_size(32)))> {
  using type = uint32_t __attribute__((vector_size(32)));
};
#endif
#if defined(__AVX512F__)
template <>
struct BitsOf<float __attribute__((vector_size(64)))> {
  using type = uint32_t __attribute__((vector_size(64)));
};
#endif

// x < bound ? a : b in every lane.
template <class F>
OCTET_ALWAYS_INLINE F select_less(F x, F bound, F a, F b) {
  return x < bound ? a : b;
}

template <class F>
OCTET_ALWAYS_INLINE F clip(F x, F lo, F hi) {
  x = x > lo ? x : lo;
  return x < hi ? x : hi;
}

template <class F>
OCTET_ALWAYS_INLINE F constant(float value) {
  return F{} + value;
}

// e^x for x clipped to [-87, 88], relative error below 2e-7: 2^n * e^r with n = round(x / ln 2), |r| <= ln(2) / 2,
// and the Taylor polynomial of degree 7 for e^r (next term: 0.3466^8 / 8! = 5e-9).
template <class F>
OCTET_ALWAYS_INLINE F curve_exp(F x) {
  using Bits = typename BitsOf<F>::type;
  constexpr float kShifter = 12582912.0f;  // as in round_half_even: the sum's low mantissa bits are n
  x = clip(x, constant<F>(-87.0f), constant<F>(88.0f));
  const F shifted = x * 1.44269504f + kShifter;
  const F n = shifted - kShifter;
  F r = x - n * 0.693359375f;  // ln 2 in two parts; the first product is exact
  r = r - n * -2.12194440e-4f;
  F p = r * (1.0f / 5040.0f) + (1.0f / 720.0f);
  p = p * r + (1.0f / 120.0f);
  p = p * r + (1.0f / 24.0f);
  p = p * r + (1.0f / 6.0f);
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Bits power = (__builtin_bit_cast(Bits, shifted) << 23) + 0x3f800000u;
  return p * __builtin_bit_cast(F, power);
}

template <class F>
OCTET_ALWAYS_INLINE F curve_sigmoid(F x) {
  return 1.0f / (1.0f + curve_exp<F>(-x));
}

// Near zero the odd series, whose last term is below 1e-7 there; elsewhere 1 - 2 / (e^2x + 1).
template <class F>
OCTET_ALWAYS_INLINE F curve_tanh(F x) {
  const F square = x * x;
  F p = square * (62.0f / 2835.0f) + (-17.0f / 315.0f);
  p = p * square + (2.0f / 15.0f);
  p = p * square + (-1.0f / 3.0f);
  const F series = x + x * square * p;
  const F far = 1.0f - 2.0f / (curve_exp<F>(x + x) + 1.0f);
  return select_less<F>(square, constant<F>(0.0625f), series, far);
}

// Abramowitz and Stegun, 7.1.26: absolute error at most 1.5e-7.
template <class F>
OCTET_ALWAYS_INLINE F curve_erf(F x) {
  const F zero = constant<F>(0.0f);
  const F size = select_less<F>(x, zero, -x, x);
  const F t = 1.0f / (1.0f + 0.3275911f * size);
  F p = t * 1.061405429f + -1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t + -0.284496736f;
  p = p * t + 0.254829592f;
  const F y = 1.0f - p * t * curve_exp<F>(-(size * size));
  return select_less<F>(x, zero, -y, y);
}

template <class F>
OCTET_ALWAYS_INLINE F apply_curve(Curve curve, F x, float alpha, float beta) {
  const F zero = constant<F>(0.0f);
  const F one = constant<F>(1.0f);
  switch (curve) {
    case Curve::kNone: break;
    case Curve::kLeakyRelu: return select_less<F>(x, zero, alpha * x, x);
    case Curve::kClip: return clip<F>(x, constant<F>(alpha), constant<F>(beta));
    case Curve::kSigmoid: return curve_sigmoid<F>(x);
    case Curve::kSilu: return x * curve_sigmoid<F>(x);
    case Curve::kHardSigmoid: return clip<F>(alpha * x + beta, zero, one);
    case Curve::kHardSwish: return x * clip<F>(x * (1.0f / 6.0f) + 0.5f, zero, one);
    case Curve::kTanh: return curve_tanh<F>(x);
    case Curve::kGeluErf: return 0.5f * x * (1.0f + curve_erf<F>(x * 0.707106781f));
    case Curve::kGeluTanh: return 0.5f * x * (1.0f + curve_tanh<F>(0.797884561f * (x + 0.044715f * (x * x * x))));
  }
  return x;
}

}  // namespace octet::cpu
