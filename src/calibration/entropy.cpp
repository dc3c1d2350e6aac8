#include "calibration/entropy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "arith/float_formats.h"

namespace octet {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kLogTable = 8192;
constexpr double kValuesPerLevel = 4;  // fewer make a histogram of noise

const std::array<double, kLogTable>& log_table() {
  static const std::array<double, kLogTable> table = [] {
    std::array<double, kLogTable> t{};
    for (int i = 1; i < kLogTable; ++i) t[static_cast<size_t>(i)] = std::log(static_cast<double>(i));
    return t;
  }();
  return table;
}

std::vector<double> uniform_edges(int levels) {
  std::vector<double> edges;
  for (int g = 0; g <= levels; ++g) edges.push_back(static_cast<double>(g) / levels);
  return edges;
}

// Midpoints between the magnitudes of an FP8 format, as shares of the largest.
std::vector<double> fp8_edges(DType dtype) {
  const bool e4m3 = dtype == DType::kFloat8E4M3;
  const int codes = e4m3 ? 0x7f : 0x7c;
  const auto value = [&](int c) -> double {
    return e4m3 ? e4m3_to_float(static_cast<uint8_t>(c)) : e5m2_to_float(static_cast<uint8_t>(c));
  };
  std::vector<double> edges = {0};
  for (int c = 0; c + 1 < codes; ++c) edges.push_back((value(c) + value(c + 1)) / 2 / value(codes - 1));
  edges.push_back(1);
  return edges;
}

// Levels on a magnitude axis: the codes of one sign.
std::vector<double> magnitude_edges(DType dtype) {
  if (fp8_max(dtype) > 0) return fp8_edges(dtype);
  return uniform_edges(code_range(dtype).hi + 1);
}

// Least divergence over ends b in [from, to] of candidates [a, b); the last of equal ones.
int best_end(const EntropySearch& search, int a, int from, int to, int stride) {
  int best = to;
  double least = search.divergence(a, to);
  for (int b = to - stride; b >= from; b -= stride) {
    const double kl = search.divergence(a, b);
    if (kl < least) {
      least = kl;
      best = b;
    }
  }
  return best;
}

int best_start(const EntropySearch& search, int b, int from, int to, int stride) {
  int best = from;
  double least = search.divergence(from, b);
  for (int a = from + stride; a <= to; a += stride) {
    const double kl = search.divergence(a, b);
    if (kl < least) {
      least = kl;
      best = a;
    }
  }
  return best;
}

// One end of a two-sided range: at most 64 candidates over its whole way, then every one around the best.
int improve_end(const EntropySearch& search, int a, int zero, int levels) {
  const int from = std::max(zero, a + levels), to = search.bins();
  if (from >= to) return to;
  const int stride = (to - from) / 64 + 1;
  const int b = best_end(search, a, from, to, stride);
  return best_end(search, a, std::max(from, b - stride + 1), std::min(to, b + stride - 1), 1);
}

int improve_start(const EntropySearch& search, int b, int zero, int levels) {
  const int to = std::min(zero, b - levels);
  if (to <= 0) return 0;
  const int stride = to / 64 + 1;
  const int a = best_start(search, b, 0, to, stride);
  return best_start(search, b, std::max(0, a - stride + 1), std::min(to, a + stride - 1), 1);
}

struct Threshold {
  double magnitude = 0;
  bool fallback = false;
};

Threshold one_sided(const Distribution& d, Side side, std::vector<double> counts, double width,
                    std::vector<double> edges) {
  while (!counts.empty() && counts.back() == 0) counts.pop_back();
  const int levels = static_cast<int>(edges.size()) - 1;
  const int used = static_cast<int>(counts.size());
  if (used <= levels || d.nonzero(side) < kValuesPerLevel * levels) return {d.largest(side), true};
  const EntropySearch search(std::move(counts), std::move(edges));
  const int best = best_end(search, 0, levels, used, 1);
  return {best == used ? d.largest(side) : std::min(best * width, d.largest(side))};
}

ClipRange two_sided(const Distribution& d, const MagnitudeBins& bins, int levels) {
  std::vector<double> line(bins.negative.rbegin(), bins.negative.rend());
  line.insert(line.end(), bins.positive.begin(), bins.positive.end());
  const auto half = static_cast<int>(bins.positive.size());
  // Drop the empty ends, which are no range of this tensor.
  int first = 0;
  while (first < half && line[static_cast<size_t>(first)] == 0) ++first;
  while (static_cast<int>(line.size()) > half && line.back() == 0) line.pop_back();
  line.erase(line.begin(), line.begin() + first);
  const int zero = half - first;  // the bin right of 0
  if (static_cast<int>(line.size()) <= levels || d.nonzero(Side::kBoth) < kValuesPerLevel * levels)
    return {-d.largest(Side::kNegative), d.largest(Side::kPositive), true};
  const EntropySearch search(std::move(line), uniform_edges(levels));
  int a = 0, b = search.bins();
  for (int round = 0; round < 4 && b - a > levels; ++round) {
    const int old_a = a, old_b = b;
    b = improve_end(search, a, zero, levels);
    a = improve_start(search, b, zero, levels);
    if (a == old_a && b == old_b) break;
  }
  if (search.divergence(a, b) >= search.divergence(0, search.bins())) a = 0, b = search.bins();
  const double lo = a == 0 ? d.largest(Side::kNegative) : (zero - a) * bins.width;
  const double hi = b == search.bins() ? d.largest(Side::kPositive) : (b - zero) * bins.width;
  return {-lo, hi};
}

}  // namespace

EntropySearch::EntropySearch(std::vector<double> counts, std::vector<double> edges)
    : counts_(std::move(counts)), edges_(std::move(edges)), sum_(1), sum_log_(1), nonempty_(1) {
  for (const double c : counts_) {
    sum_.push_back(sum_.back() + c);
    sum_log_.push_back(sum_log_.back() + (c > 0 ? c * log_of_count(c) : 0));
    nonempty_.push_back(nonempty_.back() + (c > 0));
  }
}

double EntropySearch::log_of_count(double n) const {
  return n < kLogTable ? log_table()[static_cast<size_t>(n)] : std::log(n);
}

double EntropySearch::divergence(int a, int b) const {
  const auto first = static_cast<size_t>(a), last = static_cast<size_t>(b);
  const double total = sum_.back();
  const double inside = sum_[last] - sum_[first];
  const double below = sum_[first];
  const double above = total - sum_[last];
  if (!(inside > 0) || 2 * inside < total) return kInfinity;
  if ((above > 0 && counts_[last - 1] == 0) || (below > 0 && counts_[first] == 0)) return kInfinity;
  // |P| log terms: sum p log p - sum p log q; the tails change p (not q) at the edges.
  double p_log_q = 0;
  double log_q_first = 0, log_q_last = 0;
  const int width = b - a;
  size_t from = first;
  for (size_t g = 1; g < edges_.size(); ++g) {
    const size_t to = g + 1 == edges_.size() ? last : first + static_cast<size_t>(std::ceil(edges_[g] * width));
    const int nonempty = nonempty_[to] - nonempty_[from];
    if (nonempty > 0) {
      const double mass = sum_[to] - sum_[from];
      const double log_q = log_of_count(mass) - log_of_count(nonempty);
      p_log_q += mass * log_q;
      if (from == first) log_q_first = log_q;
      if (to == last) log_q_last = log_q;
    }
    from = to;
  }
  double p_log_p = sum_log_[last] - sum_log_[first];
  const auto moved = [&](double count, double tail) {
    if (tail == 0) return;
    p_log_p += (count + tail) * log_of_count(count + tail) - count * log_of_count(count);
  };
  moved(counts_[first], below);
  moved(counts_[last - 1], above);
  p_log_q += below * log_q_first + above * log_q_last;
  return (p_log_p - p_log_q) / total + std::log(inside / total);
}

ClipRange entropy_range(const Distribution& d, const CalibratorOptions& options) {
  const MagnitudeBins bins = d.magnitude_bins();
  if (options.symmetric) {
    const Side side = symmetric_side(options);
    std::vector<double> counts = bins.positive;
    if (side == Side::kBoth)
      for (size_t j = 0; j < counts.size(); ++j) counts[j] += bins.negative[j];
    const Threshold t = one_sided(d, side, std::move(counts), bins.width, magnitude_edges(options.dtype));
    ClipRange range = symmetric_range(t.magnitude, options);
    range.fallback = t.fallback;
    return range;
  }
  const CodeRange codes = code_range(options.dtype, options.narrow_range);
  const int levels = codes.hi - codes.lo + 1;
  if (d.nonzero(Side::kNegative) == 0) {
    const Threshold t = one_sided(d, Side::kPositive, bins.positive, bins.width, uniform_edges(levels));
    return {0, t.magnitude, t.fallback};
  }
  if (d.nonzero(Side::kPositive) == 0) {
    const Threshold t = one_sided(d, Side::kNegative, bins.negative, bins.width, uniform_edges(levels));
    return {-t.magnitude, 0, t.fallback};
  }
  return two_sided(d, bins, levels);
}

}  // namespace octet
