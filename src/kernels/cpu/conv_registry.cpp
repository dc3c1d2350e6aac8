#include "kernels/cpu/conv_kernels_list.h"

namespace octet::cpu {

std::span<const ConvKernel* const> conv_kernels() {
  static const ConvKernel* const kernels[] = {
#if defined(OCTET_X86_LEVELS)
    amx_conv_kernel(),
    // They take what the general kernels would waste lanes on.
    depthwise_vnni_conv_kernel(),
    depthwise_avx2_conv_kernel(),
    vnni_conv_kernel(),
    avx2_winograd_conv_kernel(),
    avx2_quads_conv_kernel(),
    avx2_pairs_conv_kernel(),
    avx2_words_conv_kernel(),
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
