#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "arith/float_formats.h"
#include "base/text.h"
#include "calibration/calibrator.h"
#include "calibration/entropy.h"
#include "calibration/mse.h"
#include "calibration/percentile.h"

namespace octet {
namespace {

struct MethodName {
  CalibrationMethod method;
  const char* name;
};

// The order is that of preference when auto finds two methods equal.
constexpr MethodName kMethods[] = {
    {CalibrationMethod::kMax, "max"},         {CalibrationMethod::kPercentile, "percentile"},
    {CalibrationMethod::kEntropy, "entropy"}, {CalibrationMethod::kMse, "mse"},
    {CalibrationMethod::kAuto, "auto"},
};

// A method later in the order must beat the earlier ones by more than this share.
constexpr double kWorthwhile = 1e-3;

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

double decibels(double signal, double noise) {
  if (!(signal > 0)) return noise > 0 ? -300 : 300;
  if (!(noise > 0)) return 300;
  return std::clamp(10 * std::log10(signal / noise), -300.0, 300.0);
}

// Mean square of what the consumer makes of a signal or error with these moments.
double output_power(const ErrorMoments& m, const std::optional<ConsumerWeights>& consumer) {
  if (!consumer) return m.mean_sq;
  const double variance = std::max(0.0, m.mean_sq - m.mean * m.mean);
  return variance * consumer->mean_sq_sum + m.mean * m.mean * consumer->mean_sum_sq;
}

ClipRange clip_range(const Distribution& d, const CalibratorOptions& options, CalibrationMethod method) {
  switch (method) {
    case CalibrationMethod::kPercentile: return percentile_range(d, options);
    case CalibrationMethod::kEntropy: return entropy_range(d, options);
    case CalibrationMethod::kMse: return mse_range(d, options);
    default: break;
  }
  if (options.symmetric) return symmetric_range(d.largest(symmetric_side(options)), options);
  return {-d.largest(Side::kNegative), d.largest(Side::kPositive)};
}

// The values were large enough for a range, so that a clip below kMinAmax is widened to it.
void keep_usable(ClipRange& r, const Distribution& d, const CalibratorOptions& options) {
  if (r.hi - r.lo >= kMinAmax * (options.symmetric && r.lo < 0 ? 2 : 1)) return;
  if (options.symmetric) r = symmetric_range(kMinAmax, options);
  else if (d.largest(Side::kPositive) >= d.largest(Side::kNegative)) r.hi = kMinAmax;
  else r.lo = -kMinAmax;
}

std::string range_text(const CalibratedRange& r) {
  return "[" + number("%.6g", r.lo) + ", " + number("%.6g", r.hi) + "]";
}

std::string seen_text(const Distribution& d) {
  return "[" + number("%.6g", 0 - d.largest(Side::kNegative)) + ", " + number("%.6g", d.largest(Side::kPositive)) +
         "]";
}

CalibratedRange degenerate_range(const Distribution& d, CalibrationMethod method, const CalibratorOptions& options) {
  CalibratedRange r;
  r.method = method;
  r.degenerate = true;
  r.scale = kDegenerateScale;
  const bool negative_only =
      symmetric_side(options) == Side::kPositive && options.symmetric && d.largest(Side::kNegative) >= kMinAmax;
  r.reason = negative_only ? "no value is positive (" + seen_text(d) + "), so an unsigned symmetric type holds only 0"
                           : "no value is larger than 2^-24 in magnitude (" + seen_text(d) +
                                 "), so everything quantizes to 0 with scale 1";
  const ErrorMoments e = {-d.mean(), d.second_moment()};
  r.error_mean = e.mean;
  r.error_mean_sq = e.mean_sq;
  r.sqnr_db = decibels(d.second_moment(), e.mean_sq);
  return r;
}

CalibratedRange run_method(const Distribution& d, const CalibratorOptions& options, CalibrationMethod method) {
  ClipRange clip = clip_range(d, options, method);
  keep_usable(clip, d, options);
  const Quantizer q = make_quantizer(clip.lo, clip.hi, options);
  const ErrorMoments e = d.error(q);
  CalibratedRange r;
  r.lo = static_cast<float>(clip.lo) + 0.0f;  // never -0
  r.hi = static_cast<float>(clip.hi);
  r.scale = q.scale;
  r.zero_point = q.zero_point;
  r.method = clip.fallback ? CalibrationMethod::kMax : method;
  r.error_mean = e.mean;
  r.error_mean_sq = e.mean_sq;
  r.sqnr_db = decibels(d.second_moment(), e.mean_sq);
  return r;
}

bool is_degenerate(const Distribution& d, const CalibratorOptions& options) {
  if (options.symmetric) return d.largest(symmetric_side(options)) < kMinAmax;
  if (fp8_max(options.dtype) > 0) return d.largest(Side::kBoth) < kMinAmax;
  return d.largest(Side::kPositive) + d.largest(Side::kNegative) < kMinAmax;
}

CalibratedRange run_auto(const Distribution& d, const CalibratorOptions& options,
                         const std::optional<ConsumerWeights>& consumer) {
  const double signal = output_power({d.mean(), d.second_moment()}, consumer);
  CalibratedRange best;
  double least = 0;
  std::string table;
  for (const MethodName& m : kMethods) {
    if (m.method == CalibrationMethod::kAuto) continue;
    CalibratedRange r = run_method(d, options, m.method);
    const double error = output_power({r.error_mean, r.error_mean_sq}, consumer);
    if (table.empty() || error < least * (1 - kWorthwhile)) {
      best = std::move(r);
      least = error;
    }
    table += std::string(table.empty() ? "" : ", ") + m.name + " " + number("%.2f", decibels(signal, error));
  }
  best.reason = "auto chose " + std::string(calibration_method_name(best.method)) + " with range " +
                range_text(best) + " of " + seen_text(d) + ": predicted " + (consumer ? "output " : "") +
                "SQNR in dB: " + table;
  return best;
}

std::string left_out_text(const TensorStatistics& s) {
  std::string text;
  if (s.nan_count() > 0) text += std::to_string(s.nan_count()) + " NaN";
  if (s.inf_count() > 0) text += (text.empty() ? "" : " and ") + std::to_string(s.inf_count()) + " infinite";
  return text.empty() ? text : "; " + text + " of " + std::to_string(s.count()) + " values were left out";
}

}  // namespace

const char* calibration_method_name(CalibrationMethod method) {
  for (const MethodName& m : kMethods)
    if (m.method == method) return m.name;
  return "unknown";
}

Result<CalibrationMethod> calibration_method_from_name(std::string_view name) {
  std::vector<std::string> names;
  for (const MethodName& m : kMethods) {
    if (name == m.name) return m.method;
    names.push_back(m.name);
  }
  return invalid_argument("'" + std::string(name) + "' is not a calibration method; use " + join(names, ", ") + "." +
                          did_you_mean(name, names));
}

Status validate_options(const CalibratorOptions& options) {
  if (!is_quantized_dtype(options.dtype))
    return invalid_argument(std::string(dtype_name(options.dtype)) + " is not a type to calibrate for");
  if (!options.symmetric && fp8_max(options.dtype) > 0)
    return invalid_argument(std::string(dtype_name(options.dtype)) + " has no zero point; make the range symmetric");
  if (!(options.percentile > 0 && options.percentile <= 100))
    return invalid_argument("percentile is " + number("%g", options.percentile) +
                            "; it must be above 0 and at most 100");
  return Status::ok();
}

CalibratedRange calibrate_distribution(const Distribution& d, const CalibratorOptions& options,
                                       const std::optional<ConsumerWeights>& consumer) {
  const bool automatic = options.method == CalibrationMethod::kAuto;
  if (is_degenerate(d, options))
    return degenerate_range(d, automatic ? CalibrationMethod::kMax : options.method, options);
  if (automatic) return run_auto(d, options, consumer);
  CalibratedRange r = run_method(d, options, options.method);
  r.reason = calibration_method_name(r.method);
  if (r.method == CalibrationMethod::kPercentile) r.reason += " " + number("%g", options.percentile);
  r.reason +=
      " keeps " + range_text(r) + " of " + seen_text(d) + ": predicted SQNR " + number("%.2f", r.sqnr_db) + " dB";
  if (r.method != options.method)
    r.reason +=
        std::string("; ") + calibration_method_name(options.method) + " has too few values or bins to judge by";
  return r;
}

Result<CalibratedRange> calibrate(const TensorStatistics& statistics, const CalibratorOptions& options,
                                  const std::optional<ConsumerWeights>& consumer) {
  OCTET_RETURN_IF_ERROR(validate_options(options));
  if (statistics.count() == 0)
    return not_found("no value was seen: calibration never ran this branch; give calibration data that reaches it");
  if (statistics.finite_count() == 0)
    return data_corrupt("all " + std::to_string(statistics.count()) +
                        " values were NaN or infinite; check the network and its preprocessing");
  CalibratedRange r = calibrate_distribution(HistogramDistribution(statistics), options, consumer);
  r.reason += left_out_text(statistics);
  return r;
}

}  // namespace octet
