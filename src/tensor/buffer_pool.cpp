#include "tensor/buffer_pool.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace octet {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kAlignment = 64;  // one cache line, and the widest vector register

thread_local BufferPool* t_pool = nullptr;

}  // namespace

BufferPool::~BufferPool() {
  for (auto& [capacity, buffer] : free_) std::free(buffer);
}

int64_t BufferPool::made() const {
  std::lock_guard lock(mutex_);
  return made_;
}

void* BufferPool::find(size_t bytes, size_t* capacity) {
  std::lock_guard lock(mutex_);
  auto it = free_.lower_bound(bytes);
  // A much larger buffer is left for a request of its own size.
  if (it == free_.end() || it->first > bytes + bytes / 3 + kPage) {
    ++made_;
    return nullptr;
  }
  void* buffer = it->second;
  *capacity = it->first;
  free_.erase(it);
  return buffer;
}

void BufferPool::give_back(void* buffer, size_t capacity) {
  std::lock_guard lock(mutex_);
  try {
    free_.emplace(capacity, buffer);
  } catch (const std::bad_alloc&) {
    std::free(buffer);
  }
}

std::shared_ptr<void> BufferPool::take(size_t bytes) {
  bytes = (bytes + kPage) / kPage * kPage;
  size_t capacity = bytes;
  void* buffer = find(bytes, &capacity);
  if (buffer == nullptr) buffer = std::aligned_alloc(kPage, bytes);
  if (buffer == nullptr) return nullptr;
  return {buffer, [pool = shared_from_this(), capacity](void* p) { pool->give_back(p, capacity); }};
}

Result<Tensor> BufferPool::allocate(DType dtype, const Dims& dims) {
  OCTET_ASSIGN(const int64_t n, checked_numel(dims));
  const auto element = static_cast<int64_t>(dtype_size(dtype));
  if (n > tensor_byte_limit() / std::max<int64_t>(1, element))
    return resource_limit("a tensor of shape " + dims_to_string(dims) + " is larger than the limit of " +
                          std::to_string(tensor_byte_limit() >> 20) + " MiB");
  std::shared_ptr<void> owner = take(static_cast<size_t>(n * element));
  if (owner == nullptr) return resource_limit("not enough memory for a tensor of shape " + dims_to_string(dims));
  void* data = owner.get();
  return Tensor(dtype, dims, data, std::move(owner));
}

PoolScope::PoolScope(std::shared_ptr<BufferPool> pool) : pool_(std::move(pool)), before_(t_pool) {
  t_pool = pool_.get();
}

PoolScope::~PoolScope() { t_pool = before_; }

std::shared_ptr<void> tensor_memory(size_t bytes) {
  if (t_pool != nullptr && bytes >= kPage) return t_pool->take(bytes);
  const size_t rounded = (bytes + kAlignment) / kAlignment * kAlignment;  // never zero bytes
  void* p = std::aligned_alloc(kAlignment, rounded);
  if (p == nullptr) return nullptr;
  return {p, [](void* q) { std::free(q); }};
}

}  // namespace octet
