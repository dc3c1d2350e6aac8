#include "calibration/distribution.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "arith/float_formats.h"
#include "calibration/histogram_loops.h"

namespace octet {
namespace {

struct Integrals {
  double e = 0;     // of Q(t) - t
  double e_sq = 0;  // of (Q(t) - t)^2
};

// Integrals from 0 to t >= 0 over the magnitudes of an FP8 format, unclipped. The antiderivatives are those of
// grid_error() with uneven cells: half a cell of width h adds h^3/3, and the linear one cancels in every cell.
class Fp8Grid {
 public:
  explicit Fp8Grid(DType dtype) {
    const bool e4m3 = dtype == DType::kFloat8E4M3;
    const int codes = e4m3 ? 0x7f : 0x7c;
    for (int c = 0; c < codes; ++c) {
      const auto code = static_cast<uint8_t>(c);
      value_.push_back(e4m3 ? e4m3_to_float(code) : e5m2_to_float(code));
      const auto i = static_cast<size_t>(c);
      const double half = c == 0 ? 0 : (value_[i] - value_[i - 1]) / 2;
      cells_.push_back(c == 0 ? 0 : cells_[i - 1] + 2 * half * half * half / 3);
    }
  }

  // t must not decrease from call to call; `code` starts at 0 and is carried along.
  Integrals at(double t, size_t& code) const {
    while (code + 1 < value_.size() && t > (value_[code] + value_[code + 1]) / 2) ++code;
    const double r = t - value_[code];
    return {-r * r / 2, cells_[code] + r * r * r / 3};
  }

 private:
  std::vector<double> value_;
  std::vector<double> cells_;
};

const Fp8Grid& fp8_grid(DType dtype) {
  static const Fp8Grid e4m3(DType::kFloat8E4M3), e5m2(DType::kFloat8E5M2);
  return dtype == DType::kFloat8E4M3 ? e4m3 : e5m2;
}

Integrals integer_grid_at(double t) {
  const double cell = std::nearbyint(t);
  const double r = t - cell;
  return {-r * r / 2, cell / 12 + r * r * r / 3};
}

Integrals integrals_at(double t, DType dtype) {
  size_t code = 0;
  return fp8_max(dtype) > 0 ? fp8_grid(dtype).at(t, code) : integer_grid_at(t);
}

// The whole bins [0, n): what HistogramLoops::grid_error gives for the integer grid.
ErrorSums fp8_grid_error(const double* counts, int n, double ratio, DType dtype) {
  const Fp8Grid& grid = fp8_grid(dtype);
  ErrorSums sums = {0, 0};
  size_t code = 0;
  Integrals left = {};
  for (int j = 0; j < n; ++j) {
    const Integrals right = grid.at((j + 1) * ratio, code);
    sums.e += counts[j] * (right.e - left.e);
    sums.e_sq += counts[j] * (right.e_sq - left.e_sq);
    left = right;
  }
  return sums;
}

constexpr int kSampleBins = 1024;  // for values in memory, which are few: finer bins would mostly hold one each

// Merges pairs of bins until at most `most` are left.
void coarsen(MagnitudeBins& bins, size_t most) {
  while (bins.positive.size() > most) {
    for (std::vector<double>* side : {&bins.positive, &bins.negative}) {
      const size_t n = side->size();
      for (size_t j = 0; j < (n + 1) / 2; ++j)
        (*side)[j] = (*side)[2 * j] + (2 * j + 1 < n ? (*side)[2 * j + 1] : 0.0);
      side->resize((n + 1) / 2);
    }
    bins.width *= 2;
  }
}

MagnitudeBins bins_of(const TensorStatistics& s) {
  MagnitudeBins bins;
  bins.width = s.bin_width();
  bins.positive.assign(s.positive_bins().begin(), s.positive_bins().end());
  bins.negative.assign(s.negative_bins().begin(), s.negative_bins().end());
  size_t used = bins.positive.size();
  while (used > 0 && bins.positive[used - 1] == 0 && bins.negative[used - 1] == 0) --used;
  bins.positive.resize(used);
  bins.negative.resize(used);
  return bins;
}

}  // namespace

Quantizer make_quantizer(double lo, double hi, const CalibratorOptions& options, bool* degenerate) {
  const CodeRange codes = code_range(options.dtype, options.narrow_range);
  const bool is_unsigned = codes.hi > 0 && codes.lo == 0;
  ScaleZero s;
  if (!options.symmetric) {
    s = affine_params(static_cast<float>(lo), static_cast<float>(hi), options.dtype, options.narrow_range);
  } else {
    const double amax = is_unsigned ? std::max(hi, 0.0) : std::max(-lo, hi);
    s = symmetric_params(static_cast<float>(amax), options.dtype, options.narrow_range);
  }
  if (degenerate != nullptr) *degenerate = s.degenerate;
  return {options.dtype, codes, s.scale, s.zero_point};
}

double Distribution::nonzero(Side side) const {
  if (side == Side::kBoth) return nonzero_[0] + nonzero_[1];
  return nonzero_[side == Side::kPositive];
}

double Distribution::largest(Side side) const {
  if (side == Side::kBoth) return std::max(largest_[0], largest_[1]);
  return largest_[side == Side::kPositive];
}

HistogramDistribution::HistogramDistribution(const TensorStatistics& s) : bins_(bins_of(s)) {
  total_ = static_cast<double>(s.finite_count());
  for (size_t j = 0; j < bins_.positive.size(); ++j) {
    nonzero_[0] += bins_.negative[j];
    nonzero_[1] += bins_.positive[j];
  }
  largest_[0] = std::max(0.0f, -s.min());
  largest_[1] = std::max(0.0f, s.max());
  mean_ = s.mean();
  second_moment_ = s.second_moment();
  positive_tails_ = tails_of(bins_.positive);
  negative_tails_ = tails_of(bins_.negative);
}

std::vector<HistogramDistribution::Tail> HistogramDistribution::tails_of(const std::vector<double>& counts) {
  std::vector<Tail> tails(counts.size() + 1);
  for (size_t j = counts.size(); j-- > 0;) {
    const double centre = static_cast<double>(j) + 0.5;
    tails[j].n = tails[j + 1].n + counts[j];
    tails[j].c = tails[j + 1].c + counts[j] * centre;
    tails[j].c_sq = tails[j + 1].c_sq + counts[j] * centre * centre;
  }
  return tails;
}

double HistogramDistribution::magnitude_at_tail(Side side, double tail, bool among_nonzero) const {
  const double target = tail * (among_nonzero ? nonzero(side) : total_);
  double above = 0;
  for (size_t j = bins_.positive.size(); j-- > 0;) {
    const double count =
        (side != Side::kNegative ? bins_.positive[j] : 0) + (side != Side::kPositive ? bins_.negative[j] : 0);
    if (count > 0 && above + count > target) {
      const double right = static_cast<double>(j + 1) - (target - above) / count;
      return std::min(right * bins_.width, largest(side));
    }
    above += count;
  }
  return 0;
}

ErrorMoments HistogramDistribution::side_sums(const std::vector<double>& counts, const std::vector<Tail>& tails,
                                              double limit, const Quantizer& q) const {
  const double w = bins_.width;
  const double s = q.scale;
  const double ratio = w / s;
  const double limit_bins = limit / w;
  const int used = static_cast<int>(counts.size());
  const int whole = static_cast<int>(std::min<double>(used, std::floor(limit_bins)));
  const ErrorSums inside = fp8_max(q.dtype) > 0 ? fp8_grid_error(counts.data(), whole, ratio, q.dtype)
                                                : histogram_loops().grid_error(counts.data(), whole, ratio);
  // Inside, the density of a count is 1 / w, an integral over t is s (and the error s more) per step.
  ErrorMoments sums = {inside.e * s * s / w, inside.e_sq * s * s * s / w};
  if (whole == used) return sums;
  // The bin that the limit cuts: its lower part is rounded, its upper part clipped.
  const double cut = counts[static_cast<size_t>(whole)];
  const Integrals a = integrals_at(whole * ratio, q.dtype);
  const Integrals b = integrals_at(limit / s, q.dtype);
  const double over = whole + 1 - limit_bins;
  sums.mean += cut * ((b.e - a.e) * s * s / w - w * over * over / 2);
  sums.mean_sq += cut * ((b.e_sq - a.e_sq) * s * s * s / w + w * w * over * over * over / 3);
  const Tail& t = tails[static_cast<size_t>(whole) + 1];
  sums.mean += w * (limit_bins * t.n - t.c);
  sums.mean_sq += w * w * std::max(0.0, t.c_sq - 2 * limit_bins * t.c + limit_bins * limit_bins * t.n + t.n / 12);
  return sums;
}

ErrorMoments HistogramDistribution::error(const Quantizer& q) const {
  if (total_ == 0) return {};
  const double s = q.scale;
  const double fp8 = fp8_max(q.dtype);
  const double hi = fp8 > 0 ? fp8 * s : (q.codes.hi - q.zero_point) * s;
  const double lo = fp8 > 0 ? fp8 * s : (q.zero_point - q.codes.lo) * s;
  const ErrorMoments p = side_sums(bins_.positive, positive_tails_, hi, q);
  const ErrorMoments n = side_sums(bins_.negative, negative_tails_, lo, q);
  return {(p.mean - n.mean) / total_, std::max(0.0, p.mean_sq + n.mean_sq) / total_};
}

SampleDistribution::SampleDistribution(const float* values, int64_t n) : values_(values), n_(n) {
  total_ = static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    const double v = values[i];
    mean_ += v;
    second_moment_ += v * v;
    if (v == 0) continue;
    nonzero_[v > 0] += 1;
    largest_[v > 0] = std::max(largest_[v > 0], std::fabs(v));
  }
  if (n == 0) return;
  mean_ /= total_;
  second_moment_ /= total_;
}

const std::vector<float>& SampleDistribution::sorted(Side side) const {
  std::vector<float>& v = sorted_[static_cast<int>(side)];
  if (!v.empty()) return v;
  for (int64_t i = 0; i < n_; ++i) {
    const float x = values_[i];
    if ((x > 0 && side != Side::kNegative) || (x < 0 && side != Side::kPositive)) v.push_back(std::fabs(x));
  }
  std::sort(v.begin(), v.end(), std::greater<>());
  return v;
}

double SampleDistribution::magnitude_at_tail(Side side, double tail, bool among_nonzero) const {
  const std::vector<float>& v = sorted(side);
  const double position = tail * std::max(0.0, (among_nonzero ? nonzero(side) : total_) - 1);
  const auto i = static_cast<size_t>(position);
  const double here = i < v.size() ? v[i] : 0.0;
  const double next = i + 1 < v.size() ? v[i + 1] : 0.0;
  const double part = position - static_cast<double>(i);
  return part == 0 ? here : here + (next - here) * part;
}

ErrorMoments SampleDistribution::error(const Quantizer& q) const {
  if (n_ == 0) return {};
  ErrorSums sums = {0, 0};
  if (fp8_max(q.dtype) > 0) {
    for (int64_t i = 0; i < n_; ++i) {
      const double e = static_cast<double>(fake_quantize_value_fp8(values_[i], q.scale, q.dtype)) - values_[i];
      sums.e += e;
      sums.e_sq += e * e;
    }
  } else {
    sums = histogram_loops().sample_error(values_, n_, q.scale, q.zero_point, q.codes.lo, q.codes.hi);
  }
  return {sums.e / total_, sums.e_sq / total_};
}

MagnitudeBins SampleDistribution::magnitude_bins() const {
  TensorStatistics s;
  s.add(values_, n_);
  MagnitudeBins bins = bins_of(s);
  coarsen(bins, kSampleBins);
  return bins;
}

}  // namespace octet
