#include "cli/memory_use.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace octet::cli {

MemoryUse memory_use() {
  MemoryUse use;
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    int64_t kilobytes = 0;
    if (key == "VmRSS:" && status >> kilobytes) use.resident = kilobytes * 1024;
    else if (key == "VmHWM:" && status >> kilobytes) use.peak = kilobytes * 1024;
    status.ignore(1 << 20, '\n');
  }
  return use;
}

bool reset_peak_memory() {
  malloc_trim(0);
  std::ofstream refs("/proc/self/clear_refs");
  refs << 5 << std::flush;  // proc(5): 5 resets the peak resident set size
  return static_cast<bool>(refs);
}

}  // namespace octet::cli
