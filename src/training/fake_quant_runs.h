// How a dense tensor falls into runs of elements with one scale each.
#pragma once

#include <algorithm>
#include <cstdint>

#include "arith/quantize.h"

namespace octet::training {

struct Run {
  int64_t offset;
  int64_t length;
  int64_t scale;
};

// Runs are numbered in memory order; those of one scale are summed in that order, whatever thread computed them.
class Runs {
 public:
  Runs(const QuantLayout& layout, int64_t numel) : layout_(layout), numel_(numel) {
    if (layout.per_tensor) length_ = kChunk;
    else if (layout.block_size == 0) length_ = layout.inner;
    else length_ = layout.inner == 1 ? layout.block_size : 1;
    if (numel == 0) count_ = 0;
    else if (layout.block_size > 0 && layout.inner == 1) count_ = layout.outer * layout.blocks;
    else count_ = (numel + length_ - 1) / length_;
  }

  int64_t count() const { return count_; }
  int64_t typical_length() const { return length_; }

  Run at(int64_t r) const {
    if (layout_.per_tensor) return {r * kChunk, std::min(kChunk, numel_ - r * kChunk), 0};
    if (layout_.block_size == 0) return {r * length_, length_, r % layout_.axis_dim};
    if (layout_.inner != 1) return {r, 1, layout_.scale_index(r)};
    const int64_t first = r % layout_.blocks * layout_.block_size;
    return {r / layout_.blocks * layout_.axis_dim + first, std::min(layout_.block_size, layout_.axis_dim - first), r};
  }

 private:
  static constexpr int64_t kChunk = 16384;  // small enough to spread over threads, large enough to hide the call
  QuantLayout layout_;
  int64_t numel_;
  int64_t length_;
  int64_t count_;
};

}  // namespace octet::training
