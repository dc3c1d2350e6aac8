// What happens to an int32 accumulator on its way to memory: the one definition that every INT8 kernel stores by.
//
// Codes inside the engine are always UINT8: the compiler moves INT8 tensors by 128 together with their zero point,
// which changes no real value. Weights are INT8 with zero point 0. All float operations below are single IEEE
// float32 operations in the order written (no fused multiply-add), so that scalar and vector code agree bit for bit.
//
//   v = float(acc) * multiplier[oc]                      (accumulator: sum of (src - src_zero) * weight, + INT32 bias)
//   v = v + addend[oc]                                   (when there are addends)
//   v = v + float(residual - residual_zero) * residual_scale        (kBeforeFirst)
//   v = curve(v)
//   kFloat:  dst = v
//   kCode:   code = first(v); code = table[code]                    (when there is a table)
//            v = float(code - table_zero) * self_scale + float(residual - residual_zero) * residual_scale
//            code = second(v)                                       (the last two lines: kAfterFirst)
//
// first and second: clamp_and_round of arith/scalar.h, + zero. With a curve, v is in real units and is divided by
// first_divisor before; without, the multipliers include the division, as ONNX Runtime's QLinearConv has it.
#pragma once

#include <cstdint>

#include "arith/scalar.h"

namespace octet::cpu {

// Element-wise functions in real units. The polynomials are in curves.h.
enum class Curve : uint8_t {
  kNone,
  kLeakyRelu,    // x < 0 ? alpha * x : x
  kClip,         // min(max(x, alpha), beta); Relu is alpha = 0, beta = +inf
  kSigmoid,
  kSilu,         // x * sigmoid(x)
  kHardSigmoid,  // clip(alpha * x + beta, 0, 1)
  kHardSwish,    // x * clip(x / 6 + 0.5, 0, 1)
  kTanh,
  kGeluErf,
  kGeluTanh,
};

// An integer grid: codes lo..hi, real zero at `zero`.
struct Grid {
  int32_t zero = 0;
  int32_t lo = 0;
  int32_t hi = 255;
};

enum class Residual : uint8_t { kNone, kBeforeFirst, kAfterFirst };

struct Store {
  bool to_float = false;              // dst is float32, v as it is
  const float* multiplier = nullptr;  // [oc rounded up to 16]
  const float* addend = nullptr;      // the same, or null
  Curve curve = Curve::kNone;
  float alpha = 0;
  float beta = 0;
  float first_divisor = 1;            // used with a curve only
  Grid first;
  const uint8_t* table = nullptr;     // [256] or null
  Residual residual = Residual::kNone;
  int32_t residual_zero = 0;
  float residual_scale = 0;           // in units of v
  int32_t table_zero = 0;             // zero point of `code` at kAfterFirst
  float self_scale = 0;
  Grid second;
};

OCTET_ALWAYS_INLINE int32_t to_grid(float v, const Grid& grid) {
  return static_cast<int32_t>(clamp_and_round(v, grid.zero, grid.lo, grid.hi)) + grid.zero;
}

}  // namespace octet::cpu
