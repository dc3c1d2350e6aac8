// Tensors inside a program: small ones beside their fields, large ones in the file's data part.
#include <algorithm>

#include "engine/graph_codec.h"
#include "engine/program_codec.h"

namespace octet::engine {
namespace {

constexpr int64_t kLargeTensor = 1024;  // bytes
constexpr size_t kMostDims = 64;

template <class T>
bool all_within(const Tensor& tensor, T lo, T hi) {
  const T* begin = tensor.data<T>();
  return std::all_of(begin, begin + tensor.numel(), [&](T v) { return v >= lo && v <= hi; });
}

// Types that use only some values of their byte.
bool has_valid_elements(const Tensor& tensor) {
  if (tensor.dtype() == DType::kInt4) return all_within<int8_t>(tensor, -8, 7);
  if (tensor.dtype() == DType::kUint4) return all_within<uint8_t>(tensor, 0, 15);
  if (tensor.dtype() == DType::kBool) return all_within<uint8_t>(tensor, 0, 1);
  return true;
}

}  // namespace

void Writer::put(const Tensor& tensor) {
  put(tensor.dtype());
  if (!tensor.defined()) return;
  put(tensor.dims());
  const bool outside = tensors_ != nullptr && tensor.nbytes() >= kLargeTensor;
  put(outside);
  if (outside) put(tensors_->put(tensor));
  else raw(tensor.raw(), static_cast<size_t>(tensor.nbytes()));
}

void Reader::get(Tensor& tensor) {
  tensor = Tensor();
  DType dtype = DType::kUndefined;
  get(dtype);
  if (!ok_ || dtype == DType::kUndefined) return;
  Dims dims;
  bool outside = false;
  (*this)(dims, outside);
  const Result<int64_t> numel = checked_numel(dims);
  int64_t bytes = 0;
  ok_ = ok_ && dims.size() <= kMostDims && numel.is_ok() &&
        !__builtin_mul_overflow(*numel, static_cast<int64_t>(dtype_size(dtype)), &bytes);
  if (!ok_) return;
  if (outside) {
    const auto offset = number<uint64_t>();
    if (ok_ && tensors_ != nullptr) tensor = tensors_->get(dtype, dims, offset, static_cast<uint64_t>(bytes));
    ok_ = ok_ && tensor.defined();
  } else {
    ok_ = static_cast<uint64_t>(bytes) <= left_;
    if (!ok_) return;
    Result<Tensor> made = Tensor::create(dtype, dims);
    ok_ = made.is_ok();
    if (!ok_) return;
    tensor = *std::move(made);
    raw(tensor.raw(), static_cast<size_t>(bytes));
  }
  ok_ = ok_ && has_valid_elements(tensor);
}

}  // namespace octet::engine
