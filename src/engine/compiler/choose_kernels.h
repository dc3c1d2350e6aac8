// Which kernel runs each convolution: measured inside the whole network, between its real neighbours.
#pragma once

#include "engine/compiler/emit.h"

namespace octet::engine {

// Packs every convolution of the draft with the chosen kernel; the result is complete and verified. Notes get the
// times and the reasons of refused kernels.
Result<Program> choose_kernels(const Draft& draft, const CompileOptions& options);

}  // namespace octet::engine
