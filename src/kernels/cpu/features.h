// What the CPU can do, as the INT8 kernels need to know it.
#pragma once

#include <cstdint>
#include <string>

namespace octet::cpu {

enum Feature : uint32_t {
  kAvx2 = 1,         // with FMA, F16C, BMI
  kAvx512 = 2,       // F, BW, VL, DQ
  kAvx512Vnni = 4,   // with VBMI
  kAmxInt8 = 8,      // and the operating system granted the tile state to this process
};

// Detected once; asks Linux for the AMX tile state (arch_prctl ARCH_REQ_XCOMP_PERM) on the first call. The environment
// variable OCTET_MAX_ISA (base, avx2, avx512, avx512_vnni, amx) lowers it, for tests and comparisons.
uint32_t cpu_features();
// For tests: features & mask from now on; ~0u lifts the limit.
void limit_cpu_features_for_testing(uint32_t mask);
std::string features_to_string(uint32_t features);  // "AVX2, AVX-512, VNNI, AMX"; "base" for none

}  // namespace octet::cpu
