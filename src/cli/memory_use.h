// Resident memory of this process, from Linux's /proc.
#pragma once

#include <cstdint>

namespace octet::cli {

struct MemoryUse {
  int64_t resident = 0;  // now
  int64_t peak = 0;      // highest since the process began, or since reset_peak_memory()
};
MemoryUse memory_use();

// Gives freed memory back to the system and starts a new peak; false where the system does not allow it.
bool reset_peak_memory();

}  // namespace octet::cli
