// One aligned allocation, of the session's arena or scratch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "octet/status.h"

namespace octet::engine {

class Memory {
 public:
  // Zeroed and aligned to 64 bytes; large ones to huge pages. Old contents are gone; nothing happens when `bytes` fit
  // already. kResourceLimit beyond tensor_byte_limit() or when the system has no more.
  Status reserve(int64_t bytes);
  uint8_t* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(uint8_t* p) const;
  };
  std::unique_ptr<uint8_t, Free> data_;
  int64_t size_ = 0;
};

}  // namespace octet::engine
