#include "engine/runtime/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "octet/tensor.h"

namespace octet::engine {
namespace {

constexpr int64_t kCacheLine = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;

}  // namespace

void Memory::Free::operator()(uint8_t* p) const { std::free(p); }

Status Memory::reserve(int64_t bytes) {
  if (bytes <= size_) return Status::ok();
  if (bytes > tensor_byte_limit())
    return resource_limit("running the network takes " + std::to_string(bytes >> 20) +
                          " MiB, more than the limit of " + std::to_string(tensor_byte_limit() >> 20) + " MiB");
  data_.reset();
  size_ = 0;
  const int64_t alignment = bytes >= 2 * kHugePage ? kHugePage : kCacheLine;
  const int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  data_.reset(
      static_cast<uint8_t*>(std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(rounded))));
  if (data_ == nullptr)
    return resource_limit("not enough memory: running the network takes " + std::to_string(bytes >> 20) + " MiB");
  if (alignment == kHugePage) (void)::madvise(data_.get(), static_cast<size_t>(rounded), MADV_HUGEPAGE);
  std::memset(data_.get(), 0, static_cast<size_t>(rounded));
  size_ = bytes;
  return Status::ok();
}

}  // namespace octet::engine
