#include "executor/frame.h"

#include <algorithm>
#include <cstdlib>

#include "executor/layout.h"

namespace octet::exec {
namespace {

constexpr size_t kPage = 4096;

}  // namespace

BufferPool::~BufferPool() {
  for (auto& [capacity, buffer] : free_) std::free(buffer);
}

void* BufferPool::take(size_t bytes, size_t* capacity) {
  std::lock_guard lock(mutex_);
  auto it = free_.lower_bound(bytes);
  // A much larger buffer is left for a request of its own size.
  if (it == free_.end() || it->first > bytes + bytes / 3 + kPage) return nullptr;
  void* buffer = it->second;
  *capacity = it->first;
  free_.erase(it);
  return buffer;
}

void BufferPool::give_back(void* buffer, size_t capacity) {
  std::lock_guard lock(mutex_);
  free_.emplace(capacity, buffer);
}

Result<Tensor> BufferPool::allocate(DType dtype, const Dims& dims) {
  OCTET_ASSIGN(const int64_t n, checked_numel(dims));
  const auto element = static_cast<int64_t>(dtype_size(dtype));
  if (n > tensor_byte_limit() / std::max<int64_t>(1, element))
    return resource_limit("a tensor of shape " + dims_to_string(dims) + " is larger than the limit of " +
                          std::to_string(tensor_byte_limit() >> 20) + " MiB");
  const size_t bytes = (static_cast<size_t>(n * element) + kPage) / kPage * kPage;
  size_t capacity = bytes;
  void* buffer = take(bytes, &capacity);
  if (buffer == nullptr) buffer = std::aligned_alloc(kPage, bytes);
  if (buffer == nullptr) return resource_limit("not enough memory for a tensor of shape " + dims_to_string(dims));
  std::shared_ptr<void> owner(buffer,
                              [pool = shared_from_this(), capacity](void* p) { pool->give_back(p, capacity); });
  return Tensor(dtype, dims, buffer, std::move(owner));
}

bool layout_is_trivial(const Dims& dims) {
  return dims.size() == 4 && (dims[1] == 1 || (dims[2] == 1 && dims[3] == 1));
}

Result<Tensor> Frame::plain(ValueId id) {
  Slot& s = slot(id);
  if (!s.plain.defined() && s.channels_last.defined()) {
    if (layout_is_trivial(s.channels_last.dims())) return s.channels_last;
    OCTET_ASSIGN(Tensor converted, allocate(s.channels_last.dtype(), s.channels_last.dims()));
    to_plain(s.channels_last.data<float>(), converted.data<float>(), converted.dims());
    s.plain = converted;
  }
  return s.plain;
}

Result<Tensor> Frame::channels_last(ValueId id) {
  Slot& s = slot(id);
  if (!s.channels_last.defined()) {
    if (layout_is_trivial(s.plain.dims())) return s.plain;
    OCTET_ASSIGN(Tensor converted, allocate(s.plain.dtype(), s.plain.dims()));
    to_channels_last(s.plain.data<float>(), converted.data<float>(), converted.dims());
    s.channels_last = converted;
  }
  return s.channels_last;
}

void Frame::set(ValueId id, Tensor tensor, bool channels_last) {
  if (id == kNoValue) return;
  Slot& s = slot(id);
  s = {};
  (channels_last && !layout_is_trivial(tensor.dims()) ? s.channels_last : s.plain) = std::move(tensor);
}

Tensor Frame::take_for_overwrite(ValueId id, bool channels_last, const std::vector<ValueId>& dying) {
  if (std::find(dying.begin(), dying.end(), id) == dying.end()) return {};
  Slot& s = slot(id);
  Tensor& stored = channels_last && !layout_is_trivial(any(id).dims()) ? s.channels_last : s.plain;
  if (!stored.defined() || !stored.unique()) return {};
  return stored;  // the slot keeps its reference: dims() stays valid until the step's result replaces it
}

}  // namespace octet::exec
