#include <cmath>
#include <numeric>

#include "arith/float_formats.h"
#include "calibration/calibrator.h"

namespace octet {
namespace {

constexpr int64_t kMostSamples = 65536;  // above this a histogram of 4096 bins predicts as well, and faster

// The values of a tensor in the order of their scales: those of scale s are values[first[s] .. first[s + 1]).
struct Groups {
  std::vector<float> values;
  std::vector<int64_t> first;
};

Groups group_by_scale(const Tensor& w, const QuantLayout& layout) {
  Groups groups;
  const auto count = static_cast<size_t>(layout.scale_count);
  groups.first.assign(count + 1, 0);
  for (int64_t i = 0; i < w.numel(); ++i) ++groups.first[static_cast<size_t>(layout.scale_index(i)) + 1];
  std::partial_sum(groups.first.begin(), groups.first.end(), groups.first.begin());
  std::vector<int64_t> next(groups.first.begin(), groups.first.end() - 1);
  groups.values.resize(static_cast<size_t>(w.numel()));
  for (int64_t i = 0; i < w.numel(); ++i) {
    int64_t& at = next[static_cast<size_t>(layout.scale_index(i))];
    groups.values[static_cast<size_t>(at++)] = w.data<float>()[i];
  }
  return groups;
}

Result<CalibratedRange> calibrate_values(const float* values, int64_t n, const CalibratorOptions& options) {
  int64_t bad = 0;
  for (int64_t i = 0; i < n; ++i) bad += !std::isfinite(values[i]);
  if (bad > 0) return data_corrupt(std::to_string(bad) + " of " + std::to_string(n) + " weights are NaN or infinite");
  if (n == 0) return invalid_argument("there are no weights to calibrate");
  if (n <= kMostSamples) return calibrate_distribution(SampleDistribution(values, n), options, std::nullopt);
  TensorStatistics statistics;
  statistics.add(values, n);
  return calibrate_distribution(HistogramDistribution(statistics), options, std::nullopt);
}

Result<Tensor> as_float(const Tensor& w) {
  if (!dtype_is_float(w.dtype()))
    return invalid_argument(std::string("weights must be of a floating type, got ") + dtype_name(w.dtype()));
  if (w.dtype() == DType::kFloat32) return w;
  return cast_tensor(w, DType::kFloat32);
}

}  // namespace

Result<std::vector<CalibratedRange>> calibrate_weights(const Tensor& w, int axis, const CalibratorOptions& options,
                                                       int64_t block_size) {
  OCTET_RETURN_IF_ERROR(validate_options(options));
  OCTET_ASSIGN(const Tensor values, as_float(w));
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(values.dims(), axis, block_size));
  std::vector<CalibratedRange> ranges;
  if (layout.per_tensor) {
    OCTET_ASSIGN(CalibratedRange r, calibrate_values(values.data<float>(), values.numel(), options));
    ranges.push_back(std::move(r));
    return ranges;
  }
  const Groups groups = group_by_scale(values, layout);
  ranges.reserve(static_cast<size_t>(layout.scale_count));
  for (size_t s = 0; s + 1 < groups.first.size(); ++s) {
    const int64_t first = groups.first[s];
    Result<CalibratedRange> r = calibrate_values(groups.values.data() + first, groups.first[s + 1] - first, options);
    if (!r.is_ok()) return r.status().at((block_size > 0 ? "group " : "channel ") + std::to_string(s));
    ranges.push_back(std::move(r).value());
  }
  return ranges;
}

Result<ConsumerWeights> consumer_weights(const Tensor& w, int output_axis) {
  OCTET_ASSIGN(const Tensor values, as_float(w));
  if (output_axis < 0) return invalid_argument("give the axis of the weights that counts output channels");
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(values.dims(), output_axis, 0));
  std::vector<double> sum(static_cast<size_t>(layout.scale_count));
  double sum_sq = 0;
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double v = values.data<float>()[i];
    sum[static_cast<size_t>(layout.scale_index(i))] += v;
    sum_sq += v * v;
  }
  if (sum.empty() || !std::isfinite(sum_sq)) return invalid_argument("the weights are empty, NaN or infinite");
  ConsumerWeights result = {sum_sq / static_cast<double>(sum.size()), 0};
  for (const double s : sum) result.mean_sum_sq += s * s / static_cast<double>(sum.size());
  return result;
}

QuantParams to_quant_params(std::span<const CalibratedRange> ranges, const CalibratorOptions& options, int axis,
                            int64_t block_size) {
  QuantParams p{.dtype = options.dtype, .axis = axis, .block_size = block_size, .narrow_range = options.narrow_range};
  bool any_zero_point = false;
  for (const CalibratedRange& r : ranges) {
    p.scale.push_back(r.scale);
    p.zero_point.push_back(r.zero_point);
    any_zero_point = any_zero_point || r.zero_point != 0;
  }
  if (!any_zero_point) p.zero_point.clear();
  return p;
}

}  // namespace octet
