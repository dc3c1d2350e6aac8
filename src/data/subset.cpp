#include <algorithm>
#include <numeric>

#include "base/counter_random.h"
#include "octet/data.h"

namespace octet {
std::vector<int64_t> deterministic_subset(int64_t size, int64_t n, uint64_t seed) {
  size = std::max<int64_t>(size, 0);
  n = std::clamp<int64_t>(n, 0, size);
  if (seed == 0) {
    std::vector<int64_t> first(static_cast<size_t>(n));
    std::iota(first.begin(), first.end(), int64_t{0});
    return first;
  }
  std::vector<int64_t> all(static_cast<size_t>(size));
  std::iota(all.begin(), all.end(), int64_t{0});
  CounterRandom random = CounterRandom::sequence(seed);
  for (int64_t i = 0; i < n; ++i) {
    const auto pick = static_cast<size_t>(i) + static_cast<size_t>(random.below(static_cast<uint64_t>(size - i)));
    std::swap(all[static_cast<size_t>(i)], all[pick]);
  }
  all.resize(static_cast<size_t>(n));
  return all;
}

}  // namespace octet
