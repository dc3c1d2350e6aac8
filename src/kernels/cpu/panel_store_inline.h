// The way from the sums of a panel's register blocks to the store.
#pragma once

#include "kernels/cpu/conv_blocked.h"
#include "kernels/cpu/store_inline.h"

namespace octet::cpu {
namespace {

// sums: [rows][16 * vectors], the same buffer for every block of pixels.
OCTET_ALWAYS_INLINE StoreBlock block_of_panel(const PanelCall& call, const int32_t* sums) {
  StoreBlock block;
  block.sums = sums;
  block.ld = int64_t{call.vectors} * kPanelLanes;
  block.oc_begin = call.oc_begin;
  block.channels = call.channels;
  block.dst = call.dst;
  block.dst_stride = call.dst_stride;
  block.residual = call.residual;
  block.residual_stride = call.residual_stride;
  return block;
}

OCTET_ALWAYS_INLINE void advance_block(StoreBlock& block, const Store& store, int64_t pixels) {
  const int64_t element = store.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
  block.dst = static_cast<char*>(block.dst) + pixels * block.dst_stride * element;
  if (block.residual != nullptr) block.residual += pixels * block.residual_stride;
}

}  // namespace
}  // namespace octet::cpu
