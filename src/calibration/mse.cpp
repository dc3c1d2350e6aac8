#include "calibration/mse.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "arith/float_formats.h"

namespace octet {
namespace {

constexpr int kPerOctave = 8;
constexpr int kOctaves = 20;  // a clip at a millionth of the largest value is the end of the search
constexpr int kGrid = 12;     // points of one refining grid
constexpr size_t kBasins = 3;

struct Candidate {
  double at = 0;
  double error = std::numeric_limits<double>::infinity();
};

bool better(const Candidate& a, const Candidate& b) { return a.error < b.error; }

// Largest rounding error as a share of the clipping threshold.
double half_step_share(const CalibratorOptions& options) {
  const float fp8 = fp8_max(options.dtype);
  if (fp8 > 0) return options.dtype == DType::kFloat8E4M3 ? 1.0 / 28 : 1.0 / 14;
  const CodeRange codes = code_range(options.dtype, options.narrow_range);
  return 0.5 / (options.symmetric ? codes.hi : codes.hi - codes.lo);
}

// Two linear grids, the second within one point of the best of the first.
template <class Error>
Candidate refine(Error error, double lo, double hi, Candidate best) {
  for (int level = 0; level < 2; ++level) {
    const double step = (hi - lo) / (kGrid + 1);
    for (int i = 1; i <= kGrid; ++i) {
      const Candidate c = {lo + i * step, error(lo + i * step)};
      if (better(c, best)) best = c;
    }
    hi = std::min(hi, best.at + step);
    lo = std::max(lo, best.at - step);
  }
  return best;
}

// Least error over thresholds in (0, upper]; ties go to the largest. rounding_share bounds the error that is not due
// to clipping: sqrt(error) <= clipping + rounding_share * threshold, and clipping only grows as thresholds shrink.
template <class Error>
Candidate least_error(Error error, double upper, double rounding_share) {
  std::vector<Candidate> coarse;
  Candidate best;
  for (int i = 0; i <= kPerOctave * kOctaves; ++i) {
    const double at = upper * std::exp2(-static_cast<double>(i) / kPerOctave);
    if (at < kMinAmax) break;
    coarse.push_back({at, error(at)});
    if (better(coarse.back(), best)) best = coarse.back();
    const double rounding = rounding_share * at;
    if (coarse.back().error - rounding * rounding > best.error) break;
  }
  std::vector<size_t> basins;
  for (size_t i = 0; i < coarse.size(); ++i) {
    const bool left = i == 0 || !better(coarse[i - 1], coarse[i]);
    const bool right = i + 1 == coarse.size() || !better(coarse[i + 1], coarse[i]);
    if (left && right) basins.push_back(i);
  }
  std::stable_sort(basins.begin(), basins.end(), [&](size_t a, size_t b) { return better(coarse[a], coarse[b]); });
  if (basins.size() > kBasins) basins.resize(kBasins);
  for (const size_t i : basins) {
    const double hi = i == 0 ? upper : coarse[i - 1].at;
    const double lo = i + 1 < coarse.size() ? coarse[i + 1].at : coarse[i].at / 2;
    const Candidate c = refine(error, lo, hi, coarse[i]);
    if (better(c, best)) best = c;
  }
  return best;
}

ClipRange affine_mse(const Distribution& d, const CalibratorOptions& options) {
  const double most_lo = d.largest(Side::kNegative), most_hi = d.largest(Side::kPositive);
  const auto error = [&](double lo, double hi) { return d.error(make_quantizer(-lo, hi, options)).mean_sq; };
  const double share = half_step_share(options);
  if (most_lo == 0) return {0, least_error([&](double hi) { return error(0, hi); }, most_hi, share).at};
  if (most_hi == 0) return {-least_error([&](double lo) { return error(lo, 0); }, most_lo, share).at, 0};
  const double widest = std::max(most_lo, most_hi);
  // Both ends clipped at one magnitude; 2 * share, because the width may be twice the threshold.
  const auto together = [&](double at) { return error(std::min(at, most_lo), std::min(at, most_hi)); };
  const Candidate start = least_error(together, widest, 2 * share);
  double lo = std::min(start.at, most_lo), hi = std::min(start.at, most_hi), least = start.error;
  for (int round = 0; round < 2; ++round) {
    const double before = least;
    // The rounding error also depends on the end that stands still, so that no early stop holds: share 2 disables it.
    const Candidate h = least_error([&](double at) { return error(lo, at); }, most_hi, 2.0);
    if (h.error < least) hi = h.at, least = h.error;
    const Candidate l = least_error([&](double at) { return error(at, hi); }, most_lo, 2.0);
    if (l.error < least) lo = l.at, least = l.error;
    if (least > 0.999 * before) break;
  }
  return {-lo, hi};
}

}  // namespace

ClipRange mse_range(const Distribution& d, const CalibratorOptions& options) {
  if (!options.symmetric) return affine_mse(d, options);
  const auto error = [&](double amax) {
    const ClipRange r = symmetric_range(amax, options);
    return d.error(make_quantizer(r.lo, r.hi, options)).mean_sq;
  };
  const double amax = d.largest(symmetric_side(options));
  return symmetric_range(least_error(error, amax, half_step_share(options)).at, options);
}

}  // namespace octet
