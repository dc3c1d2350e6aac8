#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>

#include "calibration/histogram_loops.h"
#include "octet/calibration.h"

namespace octet {
namespace {

constexpr uint32_t kInfBits = 0x7f800000u;
constexpr int kSideBins = TensorStatistics::kBins;
constexpr int64_t kChunk = 4096;  // values and their indices stay in the first-level cache between the passes

// Counters for one add(): several copies, because increments of one address must wait for each other (five cycles on
// most CPUs) and activations crowd into few bins; 16 bits wide to stay in the cache. The copies are offset against
// each other by more than a line, since equal low address bits would make the loads wait just the same.
struct Scratch {
  static constexpr int kCopies = 4;
  static constexpr int kStride = 2 * kSideBins + 160;
  static constexpr int64_t kCapacity = 65535;  // increments that cannot overflow any counter, whatever the values
  std::array<uint16_t, kCopies * kStride> counts{};
  int64_t pending = 0;
};

// Below this many values, clearing and flushing the scratch costs more than it saves.
constexpr int64_t kScratchThreshold = 32768;

Scratch& scratch() {
  thread_local std::unique_ptr<Scratch> instance = std::make_unique<Scratch>();
  return *instance;
}

float key_to_float(int32_t key) {
  return std::bit_cast<float>(float_key(static_cast<uint32_t>(key))) + 0.0f;  // + 0 turns -0 into 0
}

// floor(log2(amax)) - 11, not below the exponent of the smallest denormal.
int exponent_for(uint32_t amax_bits) {
  const int e = static_cast<int>(amax_bits >> 23);
  const int floor_log2 = e > 0 ? e - 127 : std::bit_width(amax_bits) - 1 - 149;
  return std::max(floor_log2 - 11, -149);
}

__extension__ typedef unsigned __int128 Wide;  // 64-bit counts times 28-bit weights, summed over 8192 bins

// Sum of counts[j] * weight(2 j + 1): exact.
template <class Weight>
Wide weighted_sum(std::span<const uint64_t> counts, Weight weight) {
  Wide sum = 0;
  for (size_t j = 0; j < counts.size(); ++j) sum += static_cast<Wide>(counts[j]) * weight(2 * j + 1);
  return sum;
}

}  // namespace

void TensorStatistics::add(const float* x, int64_t n) {
  const bool use_scratch = n >= kScratchThreshold;
  for (int64_t first = 0; first < n; first += kChunk) add_chunk(x + first, std::min(kChunk, n - first), use_scratch);
  if (use_scratch) flush_scratch();
}

void TensorStatistics::add_chunk(const float* x, int64_t n, bool use_scratch) {
  const HistogramLoops& loops = histogram_loops();
  const ChunkScan scan = loops.scan(x, n);
  if (scan.amax_bits >= kInfBits) return add_irregular_chunk(x, n, use_scratch);
  min_key_ = finite_count_ == 0 ? scan.min_key : std::min(min_key_, scan.min_key);
  max_key_ = finite_count_ == 0 ? scan.max_key : std::max(max_key_, scan.max_key);
  finite_count_ += static_cast<uint64_t>(n);
  if (scan.amax_bits == 0) {
    zero_count_ += static_cast<uint64_t>(n);
    return;
  }
  if (scan.amax_bits > amax_bits_) {
    if (use_scratch) flush_scratch();
    grow_to(scan.amax_bits);
  }
  alignas(64) uint16_t indices[kChunk + 16];
  const int64_t packed = loops.pack(x, n, exponent_, indices);
  zero_count_ += static_cast<uint64_t>(n - packed);
  add_indices(indices, packed, use_scratch);
}

// A chunk with NaN or infinities: counts them and hands the finite values on.
void TensorStatistics::add_irregular_chunk(const float* x, int64_t n, bool use_scratch) {
  float finite[kChunk];
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t magnitude = std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu;
    nan_count_ += magnitude > kInfBits;
    inf_count_ += magnitude == kInfBits;
    if (magnitude < kInfBits) finite[kept++] = x[i];
  }
  if (kept > 0) add_chunk(finite, kept, use_scratch);
}

void TensorStatistics::add_indices(const uint16_t* indices, int64_t n, bool use_scratch) {
  if (!use_scratch) {
    for (int64_t i = 0; i < n; ++i) ++bins_[indices[i]];
    return;
  }
  Scratch& s = scratch();
  const int64_t most = n / Scratch::kCopies + Scratch::kCopies - 1;  // the first copy also takes the remainder
  if (s.pending + most > Scratch::kCapacity) flush_scratch();
  s.pending += most;
  uint16_t* c0 = s.counts.data();
  uint16_t* c1 = c0 + Scratch::kStride;
  uint16_t* c2 = c1 + Scratch::kStride;
  uint16_t* c3 = c2 + Scratch::kStride;
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    uint64_t four;  // one load instead of four: the loop is bound by loads and stores
    std::memcpy(&four, indices + i, sizeof four);
    ++c0[four & 0xffff];
    ++c1[four >> 16 & 0xffff];
    ++c2[four >> 32 & 0xffff];
    ++c3[four >> 48];
  }
  for (; i < n; ++i) ++c0[indices[i]];
}

void TensorStatistics::flush_scratch() {
  Scratch& s = scratch();
  if (s.pending == 0) return;
  uint16_t* c = s.counts.data();
  for (size_t b = 0; b < bins_.size(); ++b) {
    const uint32_t lower = uint32_t{c[b]} + c[b + Scratch::kStride];
    const uint32_t upper = uint32_t{c[b + 2 * Scratch::kStride]} + c[b + 3 * Scratch::kStride];
    bins_[b] += lower + upper;
  }
  s.counts.fill(0);
  s.pending = 0;
}

void TensorStatistics::grow_to(uint32_t amax_bits) {
  if (amax_bits <= amax_bits_) return;
  const int k = exponent_for(amax_bits);
  if (bins_.empty()) {
    bins_.resize(2 * kSideBins);
  } else if (k > exponent_) {
    const int shift = std::min(k - exponent_, 12);  // 12: everything into bin 0
    for (uint64_t* side : {bins_.data(), bins_.data() + kSideBins}) {
      for (int j = 0; j < kSideBins; ++j) {
        const uint64_t count = side[j];
        side[j] = 0;
        side[j >> shift] += count;
      }
    }
  }
  exponent_ = k;
  amax_bits_ = amax_bits;
}

void TensorStatistics::merge(const TensorStatistics& other) {
  if (&other == this) {
    const TensorStatistics copy = other;
    return merge(copy);
  }
  if (other.finite_count_ > 0) {
    min_key_ = finite_count_ == 0 ? other.min_key_ : std::min(min_key_, other.min_key_);
    max_key_ = finite_count_ == 0 ? other.max_key_ : std::max(max_key_, other.max_key_);
  }
  finite_count_ += other.finite_count_;
  zero_count_ += other.zero_count_;
  nan_count_ += other.nan_count_;
  inf_count_ += other.inf_count_;
  if (other.bins_.empty()) return;
  grow_to(other.amax_bits_);
  const int shift = std::min(exponent_ - other.exponent_, 12);
  for (int side = 0; side < 2; ++side) {
    const size_t first = static_cast<size_t>(side) * kSideBins;
    for (size_t j = 0; j < kSideBins; ++j) bins_[first + (j >> shift)] += other.bins_[first + j];
  }
}

float TensorStatistics::min() const { return finite_count_ == 0 ? 0.0f : key_to_float(min_key_); }
float TensorStatistics::max() const { return finite_count_ == 0 ? 0.0f : key_to_float(max_key_); }
float TensorStatistics::amax() const { return std::bit_cast<float>(amax_bits_); }
double TensorStatistics::bin_width() const { return std::ldexp(1.0, exponent_); }

std::span<const uint64_t> TensorStatistics::positive_bins() const {
  return std::span(bins_).first(bins_.empty() ? 0 : kSideBins);
}
std::span<const uint64_t> TensorStatistics::negative_bins() const {
  return std::span(bins_).last(bins_.empty() ? 0 : kSideBins);
}

double TensorStatistics::mean() const {
  if (finite_count_ == 0) return 0;
  const auto centre = [](uint64_t odd) { return odd; };  // (2 j + 1) half bins
  const Wide positive = weighted_sum(positive_bins(), centre);
  const Wide negative = weighted_sum(negative_bins(), centre);
  const double half_bins =
      positive >= negative ? static_cast<double>(positive - negative) : -static_cast<double>(negative - positive);
  return std::ldexp(half_bins / static_cast<double>(finite_count_), exponent_ - 1);
}

double TensorStatistics::second_moment() const {
  if (finite_count_ == 0) return 0;
  // Uniform in the bin: E[x^2] = centre^2 + 1/12 = (3 (2 j + 1)^2 + 1) / 12 squared bins.
  const auto twelfths = [](uint64_t odd) { return 3 * odd * odd + 1; };
  const Wide sum = weighted_sum(positive_bins(), twelfths) + weighted_sum(negative_bins(), twelfths);
  return std::ldexp(static_cast<double>(sum) / 12 / static_cast<double>(finite_count_), 2 * exponent_);
}

std::string TensorStatistics::to_bytes() const {
  const uint64_t head[] = {finite_count_,
                           zero_count_,
                           nan_count_,
                           inf_count_,
                           amax_bits_,
                           static_cast<uint32_t>(min_key_),
                           static_cast<uint32_t>(max_key_),
                           static_cast<uint32_t>(exponent_)};
  std::string bytes(reinterpret_cast<const char*>(head), sizeof head);
  bytes.append(reinterpret_cast<const char*>(bins_.data()), bins_.size() * sizeof(uint64_t));
  return bytes;
}

Result<TensorStatistics> TensorStatistics::from_bytes(std::string_view bytes) {
  uint64_t head[8];
  constexpr size_t kBinBytes = 2 * kSideBins * sizeof(uint64_t);
  if (bytes.size() != sizeof head && bytes.size() != sizeof head + kBinBytes)
    return data_corrupt("statistics of " + std::to_string(bytes.size()) + " bytes are cut off or damaged");
  std::memcpy(head, bytes.data(), sizeof head);
  TensorStatistics s;
  s.finite_count_ = head[0];
  s.zero_count_ = head[1];
  s.nan_count_ = head[2];
  s.inf_count_ = head[3];
  s.amax_bits_ = static_cast<uint32_t>(head[4]);
  s.min_key_ = static_cast<int32_t>(head[5]);
  s.max_key_ = static_cast<int32_t>(head[6]);
  s.exponent_ = static_cast<int32_t>(head[7]);
  const bool has_bins = bytes.size() > sizeof head;
  if (s.amax_bits_ >= kInfBits || has_bins != (s.amax_bits_ > 0) ||
      (has_bins && s.exponent_ != exponent_for(s.amax_bits_)))
    return data_corrupt("statistics from another process are damaged: their parts do not fit together");
  if (!has_bins) return s;
  s.bins_.resize(2 * kSideBins);
  std::memcpy(s.bins_.data(), bytes.data() + sizeof head, kBinBytes);
  return s;
}

std::string TensorStatistics::fingerprint() const {
  std::string s = "finite " + std::to_string(finite_count_) + " zero " + std::to_string(zero_count_) + " nan " +
                  std::to_string(nan_count_) + " inf " + std::to_string(inf_count_) + " amax " +
                  std::to_string(amax_bits_) + " min " + std::to_string(min_key_) + " max " +
                  std::to_string(max_key_) + " k " + std::to_string(exponent_);
  for (size_t b = 0; b < bins_.size(); ++b)
    if (bins_[b] != 0) s += " " + std::to_string(b) + ":" + std::to_string(bins_[b]);
  return s;
}

}  // namespace octet
