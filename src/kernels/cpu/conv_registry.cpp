#include "kernels/cpu/conv_kernels_list.h"

namespace octet::cpu {

std::span<const ConvKernel* const> conv_kernels() {
  static const ConvKernel* const kernels[] = {
  // AMX goes here: faster than everything below.
#if defined(OCTET_X86_LEVELS)
  // Depthwise kernels go here: they take what the general kernels would waste lanes on.
#endif
    reference_conv_kernel(),
  };
  return kernels;
}

const ConvKernel* find_conv_kernel(std::string_view name) {
  for (const ConvKernel* kernel : conv_kernels())
    if (kernel->name() == name) return kernel;
  return nullptr;
}

}  // namespace octet::cpu
