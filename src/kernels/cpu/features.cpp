#include "kernels/cpu/features.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

#if defined(OCTET_X86_LEVELS)
#include <cpuid.h>
#endif
#if defined(OCTET_X86_LEVELS) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace octet::cpu {
namespace {

std::atomic<uint32_t> g_limit{~0u};

#if defined(OCTET_X86_LEVELS)
// AMX needs three consents: the processor's, the kernel's (tile state in XCR0), and for this process its permission
// to use the large tile data state, which Linux gives only on demand.
bool amx_usable() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr uint32_t kTile = 1u << 24, kInt8 = 1u << 25;
  if ((d & kTile) == 0 || (d & kInt8) == 0) return false;
  __cpuid(1, a, b, c, d);
  constexpr uint32_t kOsxsave = 1u << 27;
  if ((c & kOsxsave) == 0) return false;
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr uint32_t kTileState = 3u << 17;
  if ((low & kTileState) != kTileState) return false;
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

uint32_t detect() {
  uint32_t features = 0;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
      __builtin_cpu_supports("popcnt")) {
    features |= kAvx2;
  }
  if ((features & kAvx2) != 0 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    features |= kAvx512;
  }
  if ((features & kAvx512) != 0 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi")) {
    features |= kAvx512Vnni;
  }
  if ((features & kAvx512Vnni) != 0 && amx_usable()) features |= kAmxInt8;
  return features;
}
#else
uint32_t detect() { return 0; }
#endif

uint32_t limit_from_environment() {
  const char* text = std::getenv("OCTET_MAX_ISA");
  const std::string_view level = text == nullptr ? "" : text;
  if (level == "base") return 0;
  if (level == "avx2") return kAvx2;
  if (level == "avx512") return kAvx2 | kAvx512;
  if (level == "avx512_vnni") return kAvx2 | kAvx512 | kAvx512Vnni;
  return ~0u;
}

}  // namespace

uint32_t cpu_features() {
  static const uint32_t features = detect() & limit_from_environment();
  return features & g_limit.load(std::memory_order_relaxed);
}

void limit_cpu_features_for_testing(uint32_t mask) { g_limit = mask; }

std::string features_to_string(uint32_t features) {
  std::string text;
  const auto add = [&](Feature feature, const char* name) {
    if ((features & feature) == 0) return;
    if (!text.empty()) text += ", ";
    text += name;
  };
  add(kAvx2, "AVX2");
  add(kAvx512, "AVX-512");
  add(kAvx512Vnni, "VNNI");
  add(kAmxInt8, "AMX");
  return text.empty() ? "base" : text;
}

}  // namespace octet::cpu
