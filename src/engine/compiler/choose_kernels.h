// Which kernel runs each convolution: measured inside the whole network, between its real neighbours.
#pragma once

#include "engine/compiler/emit.h"
#include "engine/compiler/timing_cache.h"

namespace octet::engine {

// Kernels can be timed: the options ask for it and this CPU has the features to compile for.
bool can_time(const CompileOptions& options);

// Packs every convolution of the draft with the chosen kernel; the result is complete and verified. Notes get the
// times and the reasons of refused kernels. Only times that `cache` lacks are measured, within `seconds`, and added.
Result<Program> choose_kernels(const Draft& draft, const CompileOptions& options, double seconds, TimingCache& cache);

}  // namespace octet::engine
