#include "kernels/cpu/conv_split.h"

#include <algorithm>

namespace octet::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Of the largest part.
double part_cost(const SplitShape& shape, const Split& split) {
  const double blocks = static_cast<double>(ceil_div(shape.pixel_blocks, split.pixel_parts));
  const double panels = static_cast<double>(ceil_div(shape.panels, split.panel_parts));
  return blocks * (panels * shape.block_cost + shape.pixel_cost) + shape.part_cost;
}

}  // namespace

Split split_into(const SplitShape& shape, int64_t parts) {
  Split best{parts, 1};
  double best_cost = part_cost(shape, best);
  for (int64_t panel_parts = 2; panel_parts <= std::min(parts, shape.panels); ++panel_parts) {
    if (parts % panel_parts != 0) continue;
    const Split split{parts / panel_parts, panel_parts};
    const double cost = part_cost(shape, split);
    if (cost < best_cost) {
      best = split;
      best_cost = cost;
    }
  }
  return best;
}

int64_t choose_parts(const SplitShape& shape, int64_t images, int threads) {
  if (threads <= 1) return 1;
  const int64_t most = std::min<int64_t>(4 * int64_t{threads}, shape.pixel_blocks * shape.panels);
  int64_t best = 1;
  double best_time = 0;
  for (int64_t parts = 1; parts <= std::max<int64_t>(1, most); ++parts) {
    const double cost = part_cost(shape, split_into(shape, parts));
    // Rounds of the slowest thread, and a share of a part for the wait at the end when threads run unevenly.
    const double time = cost * (static_cast<double>(ceil_div(images * parts, threads)) + 0.1);
    if (parts == 1 || time < best_time * 0.995) {
      best = parts;
      best_time = time;
    }
  }
  return best;
}

}  // namespace octet::cpu
