// Random numbers that depend on their key alone: any worker, in any order, gets the same ones for the same key.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace octet {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits.
constexpr uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

// A SplitMix64 sequence that starts at a hash of its key, such as {seed, epoch, image}.
class CounterRandom {
 public:
  explicit CounterRandom(std::initializer_list<uint64_t> key) {
    for (uint64_t part : key)
      state_ = mix_bits(state_ + 0x9e3779b97f4a7c15ULL) ^ mix_bits(part + 0x632be59bd9b4e019ULL);
  }

  // The plain SplitMix64 sequence of a seed.
  static CounterRandom sequence(uint64_t seed) {
    CounterRandom random({});
    random.state_ = seed;
    return random;
  }

  uint64_t bits() { return mix_bits(state_ += 0x9e3779b97f4a7c15ULL); }
  // Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  double uniform(double lo, double hi) { return lo + (hi - lo) * uniform(); }
  // Uniform in [0, bound), bound above 0: numbers in the last, incomplete multiple of `bound` are drawn again.
  uint64_t below(uint64_t bound) {
    const uint64_t incomplete = (0 - bound) % bound;  // 2^64 mod bound
    uint64_t v = bits();
    while (v < incomplete) v = bits();
    return v % bound;
  }

 private:
  uint64_t state_ = 0;
};

}  // namespace octet
