// Memory of tensors that is used again instead of given back: fresh memory costs a page fault per 4 KiB.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "octet/tensor.h"

namespace octet {

// Keeps the buffers of dead tensors for new ones of about the same size. Safe to use from several threads.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  ~BufferPool();
  // A tensor whose buffer returns to the pool with its last view.
  Result<Tensor> allocate(DType dtype, const Dims& dims);
  // The same for bytes alone; null when there is no memory.
  std::shared_ptr<void> take(size_t bytes);
  // Buffers that had to be asked of the system so far.
  int64_t made() const;

 private:
  void* find(size_t bytes, size_t* capacity);
  void give_back(void* buffer, size_t capacity);

  mutable std::mutex mutex_;
  std::multimap<size_t, void*> free_;  // by capacity
  int64_t made_ = 0;
};

// While it lives, tensors of a page and more that this thread makes take their memory from the pool. Scopes nest.
class PoolScope {
 public:
  explicit PoolScope(std::shared_ptr<BufferPool> pool);
  ~PoolScope();
  PoolScope(const PoolScope&) = delete;
  PoolScope& operator=(const PoolScope&) = delete;

 private:
  std::shared_ptr<BufferPool> pool_;
  BufferPool* before_;
};

// Memory for a tensor made here and now: of the innermost scope's pool, else of the system; null when there is none.
std::shared_ptr<void> tensor_memory(size_t bytes);

}  // namespace octet
