#include "octet/tensor.h"

#include <atomic>
#include <cassert>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>

#include "tensor/buffer_pool.h"

namespace octet {
namespace {

struct DTypeInfo {
  DType dtype;
  const char* name;
  size_t size;
  bool is_float;
  bool is_integer;
};

constexpr DTypeInfo kDTypes[] = {
    {DType::kUndefined, "undefined", 0, false, false},  {DType::kFloat32, "float32", 4, true, false},
    {DType::kFloat64, "float64", 8, true, false},       {DType::kFloat16, "float16", 2, true, false},
    {DType::kBFloat16, "bfloat16", 2, true, false},     {DType::kFloat8E4M3, "float8e4m3", 1, true, false},
    {DType::kFloat8E5M2, "float8e5m2", 1, true, false}, {DType::kInt4, "int4", 1, false, true},
    {DType::kUint4, "uint4", 1, false, true},           {DType::kInt8, "int8", 1, false, true},
    {DType::kUint8, "uint8", 1, false, true},           {DType::kInt16, "int16", 2, false, true},
    {DType::kUint16, "uint16", 2, false, true},         {DType::kInt32, "int32", 4, false, true},
    {DType::kUint32, "uint32", 4, false, true},         {DType::kInt64, "int64", 8, false, true},
    {DType::kUint64, "uint64", 8, false, true},         {DType::kBool, "bool", 1, false, false},
};

const DTypeInfo& info(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

std::atomic<int64_t> g_byte_limit{int64_t{8} << 30};

template <class T>
std::vector<int64_t> widen(const Tensor& t) {
  const T* src = t.data<T>();
  return {src, src + t.numel()};
}

}  // namespace

size_t dtype_size(DType dtype) { return info(dtype).size; }
const char* dtype_name(DType dtype) { return info(dtype).name; }
bool dtype_is_float(DType dtype) { return info(dtype).is_float; }
bool dtype_is_integer(DType dtype) { return info(dtype).is_integer; }

DType dtype_from_name(std::string_view name) {
  for (const DTypeInfo& d : kDTypes)
    if (name == d.name) return d.dtype;
  return DType::kUndefined;
}

std::string dims_to_string(const Dims& dims) {
  std::string s = "[";
  for (size_t i = 0; i < dims.size(); ++i) s += (i != 0 ? ", " : "") + std::to_string(dims[i]);
  return s + "]";
}

Result<int64_t> checked_numel(const Dims& dims) {
  int64_t n = 1;
  bool overflow = false;
  bool zero = false;
  for (int64_t d : dims) {
    if (d < 0) return invalid_argument("shape " + dims_to_string(dims) + " has a negative dimension");
    zero = zero || d == 0;
    if (d != 0) overflow = __builtin_mul_overflow(n, d, &n) || overflow;
  }
  if (zero) return int64_t{0};
  if (overflow) return resource_limit("shape " + dims_to_string(dims) + " has more elements than 64 bits can count");
  return n;
}

int64_t tensor_byte_limit() { return g_byte_limit; }
void set_tensor_byte_limit(int64_t bytes) { g_byte_limit = bytes; }

Result<Tensor> Tensor::create(DType dtype, Dims dims) {
  OCTET_ASSIGN(const int64_t n, checked_numel(dims));
  int64_t bytes = 0;
  if (__builtin_mul_overflow(n, static_cast<int64_t>(dtype_size(dtype)), &bytes) || bytes > tensor_byte_limit())
    return resource_limit("a " + std::string(dtype_name(dtype)) + " tensor of shape " + dims_to_string(dims) +
                          " is larger than the limit of " + std::to_string(tensor_byte_limit() >> 20) + " MiB");
  try {
    return Tensor(dtype, std::move(dims));
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory for a tensor of " + std::to_string(bytes >> 20) + " MiB");
  }
}

Tensor::Tensor(DType dtype, Dims dims) : dtype_(dtype), dims_(std::move(dims)) {
  Result<int64_t> n = checked_numel(dims_);
  if (!n.is_ok()) throw std::length_error(n.status().message());
  numel_ = *n;
  owner_ = tensor_memory(static_cast<size_t>(nbytes()));
  if (owner_ == nullptr) throw std::bad_alloc();
  data_ = owner_.get();
}

Tensor::Tensor(DType dtype, Dims dims, void* data, std::shared_ptr<void> owner)
    : dtype_(dtype), dims_(std::move(dims)), data_(data), owner_(std::move(owner)) {
  Result<int64_t> n = checked_numel(dims_);
  if (!n.is_ok()) throw std::length_error(n.status().message());
  numel_ = *n;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy(dtype_, dims_);
  std::memcpy(copy.data_, data_, static_cast<size_t>(nbytes()));
  return copy;
}

Tensor Tensor::reshaped(Dims dims) const {
  Tensor view(dtype_, std::move(dims), data_, owner_);
  assert(view.numel() == numel());
  return view;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.dims() != b.dims()) return false;
  return a.nbytes() == 0 || std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.nbytes())) == 0;
}

Result<std::vector<int64_t>> to_int64s(const Tensor& t) {
  switch (t.dtype()) {
    case DType::kInt64: return widen<int64_t>(t);
    case DType::kInt32: return widen<int32_t>(t);
    case DType::kInt16: return widen<int16_t>(t);
    case DType::kInt8:
    case DType::kInt4: return widen<int8_t>(t);
    case DType::kUint64: return widen<uint64_t>(t);
    case DType::kUint32: return widen<uint32_t>(t);
    case DType::kUint16: return widen<uint16_t>(t);
    case DType::kUint8:
    case DType::kUint4:
    case DType::kBool: return widen<uint8_t>(t);
    default:
      return invalid_argument(std::string("expected an integer tensor, got ") + dtype_name(t.dtype()));
  }
}

}  // namespace octet
