#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "arith/float_formats.h"

namespace octet {
namespace {

constexpr int64_t kChunk = 1024;  // elements converted at a time through a buffer that stays in the first-level cache

// The widest types that hold every source exactly; a cast is source -> wide -> target.
template <class Wide, class Src, class Widen>
void widen_loop(const void* src, int64_t first, int64_t n, Wide* dst, Widen widen) {
  const Src* s = static_cast<const Src*>(src) + first;
  for (int64_t i = 0; i < n; ++i) dst[i] = widen(s[i]);
}

void load_floats(const Tensor& x, int64_t first, int64_t n, float* dst) {
  switch (x.dtype()) {
    case DType::kFloat16: return widen_loop<float, uint16_t>(x.raw(), first, n, dst, fp16_to_float);
    case DType::kBFloat16: return widen_loop<float, uint16_t>(x.raw(), first, n, dst, bf16_to_float);
    case DType::kFloat8E4M3: return widen_loop<float, uint8_t>(x.raw(), first, n, dst, e4m3_to_float);
    case DType::kFloat8E5M2: return widen_loop<float, uint8_t>(x.raw(), first, n, dst, e5m2_to_float);
    default: std::memcpy(dst, x.data<float>() + first, static_cast<size_t>(n) * sizeof(float));
  }
}

void load_ints(const Tensor& x, int64_t first, int64_t n, int64_t* dst) {
  const auto same = [](auto v) { return static_cast<int64_t>(v); };
  switch (x.dtype()) {
    case DType::kInt4:
    case DType::kInt8: return widen_loop<int64_t, int8_t>(x.raw(), first, n, dst, same);
    case DType::kInt16: return widen_loop<int64_t, int16_t>(x.raw(), first, n, dst, same);
    case DType::kUint16: return widen_loop<int64_t, uint16_t>(x.raw(), first, n, dst, same);
    case DType::kInt32: return widen_loop<int64_t, int32_t>(x.raw(), first, n, dst, same);
    case DType::kUint32: return widen_loop<int64_t, uint32_t>(x.raw(), first, n, dst, same);
    case DType::kInt64: return widen_loop<int64_t, int64_t>(x.raw(), first, n, dst, same);
    default: return widen_loop<int64_t, uint8_t>(x.raw(), first, n, dst, same);  // kUint4, kUint8, kBool
  }
}

// Truncation with the x86 rule for what does not fit: the lowest value of Int.
template <class Int, class Float>
Int truncate(Float x) {
  constexpr Float kLimit = static_cast<Float>(std::numeric_limits<Int>::max() / 2 + 1) * 2;  // 2^31 or 2^63, exact
  if (!(x < kLimit) || !(x >= -kLimit)) return std::numeric_limits<Int>::min();
  return static_cast<Int>(x);
}

template <class To, class Wide>
To to_integer(Wide v) {
  if constexpr (std::is_integral_v<Wide>) {
    return static_cast<To>(v);
  } else if constexpr (std::is_same_v<To, uint64_t>) {
    constexpr Wide kTwo63 = static_cast<Wide>(9223372036854775808.0);
    if (v >= kTwo63 && v < 2 * kTwo63) return static_cast<uint64_t>(v);
    return static_cast<uint64_t>(truncate<int64_t>(v));
  } else if constexpr (sizeof(To) == 8 || std::is_same_v<To, uint32_t>) {
    return static_cast<To>(truncate<int64_t>(v));
  } else {
    return static_cast<To>(truncate<int32_t>(v));
  }
}

template <class Dst, class Wide, class Narrow>
void narrow_loop(const Wide* src, int64_t n, void* dst, int64_t first, Narrow narrow) {
  Dst* d = static_cast<Dst*>(dst) + first;
  for (int64_t i = 0; i < n; ++i) d[i] = narrow(src[i]);
}

template <class To, class Wide>
void store_integers(const Wide* src, int64_t n, void* dst, int64_t first) {
  narrow_loop<To>(src, n, dst, first, [](Wide v) { return to_integer<To>(v); });
}

template <class Wide>
void store(const Wide* src, int64_t n, Tensor& y, int64_t first, bool saturate) {
  const auto f = [](Wide v) { return static_cast<float>(v); };
  void* dst = y.raw();
  switch (y.dtype()) {
    case DType::kFloat32: return narrow_loop<float>(src, n, dst, first, f);
    case DType::kFloat64:
      return narrow_loop<double>(src, n, dst, first, [](Wide v) { return static_cast<double>(v); });
    case DType::kFloat16:
      return narrow_loop<uint16_t>(src, n, dst, first, [&](Wide v) { return float_to_fp16(f(v)); });
    case DType::kBFloat16:
      return narrow_loop<uint16_t>(src, n, dst, first, [&](Wide v) { return float_to_bf16(f(v)); });
    case DType::kFloat8E4M3:
      return narrow_loop<uint8_t>(src, n, dst, first, [&](Wide v) { return float_to_e4m3(f(v), saturate); });
    case DType::kFloat8E5M2:
      return narrow_loop<uint8_t>(src, n, dst, first, [&](Wide v) { return float_to_e5m2(f(v), saturate); });
    case DType::kInt4:
      return narrow_loop<int8_t>(src, n, dst, first,
                                 [](Wide v) { return static_cast<int8_t>(((to_integer<int8_t>(v) & 15) ^ 8) - 8); });
    case DType::kUint4:
      return narrow_loop<uint8_t>(src, n, dst, first,
                                  [](Wide v) { return static_cast<uint8_t>(to_integer<uint8_t>(v) & 15); });
    case DType::kInt8: return store_integers<int8_t>(src, n, dst, first);
    case DType::kUint8: return store_integers<uint8_t>(src, n, dst, first);
    case DType::kInt16: return store_integers<int16_t>(src, n, dst, first);
    case DType::kUint16: return store_integers<uint16_t>(src, n, dst, first);
    case DType::kInt32: return store_integers<int32_t>(src, n, dst, first);
    case DType::kUint32: return store_integers<uint32_t>(src, n, dst, first);
    case DType::kInt64: return store_integers<int64_t>(src, n, dst, first);
    case DType::kUint64: return store_integers<uint64_t>(src, n, dst, first);
    case DType::kBool: return narrow_loop<uint8_t>(src, n, dst, first, [](Wide v) { return uint8_t{v != Wide{0}}; });
    case DType::kUndefined: return;
  }
}

void cast_chunk(const Tensor& x, int64_t first, int64_t n, Tensor& y, bool saturate) {
  if (x.dtype() == DType::kFloat64) return store(x.data<double>() + first, n, y, first, saturate);
  if (x.dtype() == DType::kUint64) return store(x.data<uint64_t>() + first, n, y, first, saturate);
  if (dtype_is_float(x.dtype())) {
    std::array<float, kChunk> wide;
    load_floats(x, first, n, wide.data());
    return store(wide.data(), n, y, first, saturate);
  }
  std::array<int64_t, kChunk> wide;
  load_ints(x, first, n, wide.data());
  store(wide.data(), n, y, first, saturate);
}

}  // namespace

Result<Tensor> cast_tensor(const Tensor& x, DType to, bool saturate) {
  if (!x.defined()) return invalid_argument("cannot cast a tensor that has no elements or type");
  if (to == DType::kUndefined) return invalid_argument("cannot cast to an undefined element type");
  OCTET_ASSIGN(Tensor y, Tensor::create(to, x.dims()));
  if (to == x.dtype()) {
    if (x.nbytes() > 0) std::memcpy(y.raw(), x.raw(), static_cast<size_t>(x.nbytes()));
    return y;
  }
  for (int64_t first = 0; first < x.numel(); first += kChunk)
    cast_chunk(x, first, std::min(kChunk, x.numel() - first), y, saturate);
  return y;
}

}  // namespace octet
