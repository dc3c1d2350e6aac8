#include "engine/checksum.h"

#include <bit>
#include <cstring>

namespace octet::engine {
namespace {

constexpr uint64_t kFactor = 0xd6e8feb86659fd93;  // odd, its bits without pattern

uint64_t word_at(const uint8_t* p) {
  uint64_t word = 0;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// One to one in `state` for every word, so that a single changed word always shows.
uint64_t step(uint64_t state, uint64_t word) { return std::rotl((state ^ word) * kFactor, 29); }

}  // namespace

uint64_t checksum(const uint8_t* data, size_t size) {
  // Four chains hide the latency of the multiplication.
  uint64_t a = size, b = 1, c = 2, d = 3;
  size_t i = 0;
  for (; i + 32 <= size; i += 32) {
    a = step(a, word_at(data + i));
    b = step(b, word_at(data + i + 8));
    c = step(c, word_at(data + i + 16));
    d = step(d, word_at(data + i + 24));
  }
  uint64_t state = step(step(step(a, b), c), d);
  for (; i + 8 <= size; i += 8) state = step(state, word_at(data + i));
  if (i < size) {
    uint64_t rest = 0;
    std::memcpy(&rest, data + i, size - i);
    state = step(state, rest);
  }
  return step(state ^ (state >> 32), size);
}

}  // namespace octet::engine
