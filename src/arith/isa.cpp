#include "arith/isa.h"

#include <algorithm>
#include <atomic>

namespace octet {
namespace {

std::atomic<Isa> g_limit{Isa::kAvx512};

Isa detect() {
#ifdef OCTET_X86_LEVELS
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (avx512) return Isa::kAvx512;
  if (avx2) return Isa::kAvx2;
#endif
  return Isa::kBase;
}

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::kBase: return "base";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
  }
  return "unknown";
}

Isa cpu_isa() {
  static const Isa isa = detect();
  return isa;
}

Isa active_isa() { return std::min(cpu_isa(), g_limit.load(std::memory_order_relaxed)); }
void set_isa_limit_for_testing(Isa limit) { g_limit = limit; }

std::vector<Isa> runnable_isas() {
  std::vector<Isa> isas;
  for (Isa isa : {Isa::kBase, Isa::kAvx2, Isa::kAvx512})
    if (isa <= cpu_isa()) isas.push_back(isa);
  return isas;
}

}  // namespace octet
