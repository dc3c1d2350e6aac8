#include "data/array_convert.h"

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

namespace octet {
namespace {

// Calls f(T{}) with the C++ type of dtype; false when there is none.
template <class F>
bool with_type(DType dtype, F f) {
  switch (dtype) {
    case DType::kFloat32: f(float{}); return true;
    case DType::kFloat64: f(double{}); return true;
    case DType::kFloat16: f(_Float16{}); return true;
    case DType::kInt8: f(int8_t{}); return true;
    case DType::kUint8: f(uint8_t{}); return true;
    case DType::kInt16: f(int16_t{}); return true;
    case DType::kUint16: f(uint16_t{}); return true;
    case DType::kInt32: f(int32_t{}); return true;
    case DType::kUint32: f(uint32_t{}); return true;
    case DType::kInt64: f(int64_t{}); return true;
    case DType::kUint64: f(uint64_t{}); return true;
    case DType::kBool: f(uint8_t{}); return true;  // kept as a byte 0 or 1
    default: return false;
  }
}

template <class T>
T clamp_round(double v) {
  if constexpr (!std::is_integral_v<T>) {
    return static_cast<T>(v);
  } else {
    if (std::isnan(v)) return 0;
    const double r = std::nearbyint(v);
    if (r <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    if (r >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
    return static_cast<T>(r);
  }
}

// True when every integer of src is representable in To.
template <class To, class From>
bool all_fit(const From* src, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    if (!std::in_range<To>(src[i])) return false;
  return true;
}

template <class To, class From>
Status cast_elements(const Tensor& src, Tensor* dst) {
  const auto* in = static_cast<const From*>(src.raw());
  auto* out = static_cast<To*>(dst->raw());
  if constexpr (std::is_integral_v<To> && std::is_integral_v<From>) {
    if (!all_fit<To>(in, src.numel()))
      return invalid_argument(std::string("a value of the ") + dtype_name(src.dtype()) + " array does not fit into " +
                              dtype_name(dst->dtype()));
  }
  for (int64_t i = 0; i < src.numel(); ++i) out[i] = static_cast<To>(in[i]);
  return Status::ok();
}

Status no_conversion(DType from, DType to) {
  return invalid_argument(std::string("the array is ") + dtype_name(from) + " but the network takes " +
                          dtype_name(to) + "; save the array as " + dtype_name(to) + " (numpy: array.astype)");
}

}  // namespace

Result<Tensor> convert_array(const Tensor& src, DType dtype) {
  if (src.dtype() == dtype) return src;
  const bool from_float = dtype_is_float(src.dtype());
  if ((from_float && !dtype_is_float(dtype)) || dtype == DType::kBool) return no_conversion(src.dtype(), dtype);
  OCTET_ASSIGN(Tensor dst, Tensor::create(dtype, src.dims()));
  Status done = Status::ok();
  bool known = false;
  const auto from = [&](auto f) {
    known = with_type(dtype, [&](auto t) { done = cast_elements<decltype(t), decltype(f)>(src, &dst); });
  };
  if (!with_type(src.dtype(), from) || !known) return no_conversion(src.dtype(), dtype);
  OCTET_RETURN_IF_ERROR(done);
  return dst;
}

Result<Tensor> map_array(const Tensor& src, DType dtype, const std::function<double(double, int64_t)>& map) {
  OCTET_ASSIGN(Tensor dst, Tensor::create(dtype, src.dims()));
  bool known = false;
  const auto from = [&](auto f) {
    using From = decltype(f);
    const auto* in = static_cast<const From*>(src.raw());
    known = with_type(dtype, [&](auto t) {
      using To = decltype(t);
      auto* out = static_cast<To*>(dst.raw());
      for (int64_t i = 0; i < src.numel(); ++i) out[i] = clamp_round<To>(map(static_cast<double>(in[i]), i));
    });
  };
  if (dtype == DType::kBool || !with_type(src.dtype(), from) || !known) return no_conversion(src.dtype(), dtype);
  return dst;
}

bool store_as(double value, DType dtype, void* dst) {
  if (dtype == DType::kBool) return false;
  return with_type(dtype, [&](auto t) { *static_cast<decltype(t)*>(dst) = clamp_round<decltype(t)>(value); });
}

}  // namespace octet
