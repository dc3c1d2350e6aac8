// How a convolution is divided into tasks: parts of the output pixels times parts of the panels of output channels.
#pragma once

#include <cstdint>

namespace octet::cpu {

struct SplitShape {
  int64_t pixel_blocks = 1;  // indivisible, in order
  int64_t panels = 1;        // the same
  double block_cost = 1;     // of one pixel block times one panel, in any unit
  double pixel_cost = 0;     // of preparing one pixel block's input, which every part of the panels repeats
  double part_cost = 0;      // of preparing a part of the pixels whatever its size: the rows that neighbours share
};

struct Split {
  int64_t pixel_parts = 1;
  int64_t panel_parts = 1;
};

// The best way to make exactly `parts` parts. Depends on nothing else, so that every task finds the same one.
Split split_into(const SplitShape& shape, int64_t parts);
// How many parts each of `images` equal jobs should be split into for `threads` threads.
int64_t choose_parts(const SplitShape& shape, int64_t images, int threads);

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};
// Part `index` of `parts` nearly equal ones of `count` things.
inline Range part_of(int64_t count, int64_t parts, int64_t index) {
  return {count * index / parts, count * (index + 1) / parts};
}

}  // namespace octet::cpu
