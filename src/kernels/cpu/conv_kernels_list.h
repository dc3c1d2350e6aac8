// The factories of the convolution kernels, for conv_registry.cpp only. One line per kernel; a kernel is one object
// that lives as long as the program.
#pragma once

#include "kernels/cpu/conv.h"

namespace octet::cpu {

const ConvKernel* amx_conv_kernel();             // AMX tiles, 64 products per 32-bit sum
const ConvKernel* depthwise_vnni_conv_kernel();  // one filter for each channel, 4 rows per instruction
const ConvKernel* depthwise_avx2_conv_kernel();  // the same, 2 rows
const ConvKernel* vnni_conv_kernel();            // AVX-512 VNNI, 4 products per 32-bit sum
const ConvKernel* avx2_winograd_conv_kernel();   // 3x3 with stride 1, 16-bit operands
const ConvKernel* avx2_quads_conv_kernel();
const ConvKernel* avx2_pairs_conv_kernel();  // 2 products per 16-bit sum, where the weights prove that it holds them
const ConvKernel* avx2_words_conv_kernel();  // 16-bit operands, always exact
const ConvKernel* reference_conv_kernel();

}  // namespace octet::cpu
