#include <algorithm>
#include <numeric>

#include "octet/data.h"

namespace octet {
namespace {

class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound): numbers in the last, incomplete multiple of `bound` are drawn again.
  uint64_t below(uint64_t bound) {
    const uint64_t incomplete = (0 - bound) % bound;  // 2^64 mod bound
    uint64_t v = next();
    while (v < incomplete) v = next();
    return v % bound;
  }

 private:
  uint64_t state_;
};

}  // namespace

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
  SplitMix64 random(seed);
  for (int64_t i = 0; i < n; ++i) {
    const auto pick = static_cast<size_t>(i) + static_cast<size_t>(random.below(static_cast<uint64_t>(size - i)));
    std::swap(all[static_cast<size_t>(i)], all[pick]);
  }
  all.resize(static_cast<size_t>(n));
  return all;
}

}  // namespace octet
