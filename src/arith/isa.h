// Which instruction-set level the hot loops run at. Every level gives the same bits; only the speed differs.
#pragma once

#include <vector>

namespace octet {

enum class Isa { kBase, kAvx2, kAvx512 };  // kAvx512 means F, BW, VL and DQ

const char* isa_name(Isa isa);
// The widest level this CPU and operating system can run.
Isa cpu_isa();
// min(cpu_isa(), the limit set below); what dispatch tables choose by.
Isa active_isa();
// Lets a test (or a benchmark) run every level; Isa::kAvx512 lifts the limit. Not meant to be called while other
// threads compute: they would merely change level, never results.
void set_isa_limit_for_testing(Isa limit);
// Every level this CPU can run, narrowest first.
std::vector<Isa> runnable_isas();

}  // namespace octet
