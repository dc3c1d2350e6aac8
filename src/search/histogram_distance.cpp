#include "search/histogram_distance.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace octet {
namespace {

constexpr int kBins = 64;               // of each sign
constexpr size_t kAll = 2 * kBins + 3;  // and zeros, and two beyond
constexpr double kWithin = 0.999;

using Shares = std::array<double, kAll>;

// The magnitude below which kWithin of the non-zero values of both lie.
double usual_magnitude(const TensorStatistics& a, const TensorStatistics& b) {
  const TensorStatistics& coarse = a.bin_width() >= b.bin_width() ? a : b;
  const TensorStatistics& fine = &coarse == &a ? b : a;
  const double width = coarse.bin_width();
  std::vector<double> counts(TensorStatistics::kBins, 0);
  double total = 0;
  for (const TensorStatistics* s : {&coarse, &fine}) {
    if (s->positive_bins().empty()) continue;
    const double ratio = s->bin_width() / width;  // a power of two, at most 1
    for (size_t i = 0; i < TensorStatistics::kBins; ++i) {
      const auto n = static_cast<double>(s->positive_bins()[i] + s->negative_bins()[i]);
      counts[static_cast<size_t>(static_cast<double>(i) * ratio)] += n;
      total += n;
    }
  }
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i)
    if ((sum += counts[i]) >= kWithin * total) return static_cast<double>(i + 1) * width;
  return width * TensorStatistics::kBins;
}

Shares shares_of(const TensorStatistics& s, double magnitude) {
  Shares shares{};
  shares[0] = static_cast<double>(s.zero_count());
  for (size_t i = 0; i < s.positive_bins().size(); ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * s.bin_width();
    const auto bin = static_cast<size_t>(std::min<double>(kBins, std::floor(centre / magnitude * kBins)));
    shares[1 + bin] += static_cast<double>(s.positive_bins()[i]);
    shares[2 + kBins + bin] += static_cast<double>(s.negative_bins()[i]);
  }
  for (double& share : shares) share /= static_cast<double>(s.finite_count());
  return shares;
}

}  // namespace

double jensen_shannon_distance(const TensorStatistics& a, const TensorStatistics& b) {
  if (a.finite_count() == 0 || b.finite_count() == 0) return 0;
  const bool zeros = a.positive_bins().empty() && b.positive_bins().empty();
  const double magnitude = zeros ? 1 : usual_magnitude(a, b);
  const Shares p = shares_of(a, magnitude), q = shares_of(b, magnitude);
  double divergence = 0;
  for (size_t i = 0; i < kAll; ++i) {
    const double m = (p[i] + q[i]) / 2;
    if (p[i] > 0) divergence += p[i] / 2 * std::log2(p[i] / m);
    if (q[i] > 0) divergence += q[i] / 2 * std::log2(q[i] / m);
  }
  return std::sqrt(std::clamp(divergence, 0.0, 1.0));
}

}  // namespace octet
