#include "octet/calibration_summary.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "quantization/calibrator_choice.h"
#include "quantization/json_text.h"
#include "quantization/network.h"

namespace octet {
namespace {

constexpr const char* kFormat = "octet-statistics";

// Bins of one side up to the last that is not empty.
size_t used(std::span<const uint64_t> bins) {
  size_t n = bins.size();
  while (n > 0 && bins[n - 1] == 0) --n;
  return n;
}

size_t groups_of(size_t bins, int shift) { return (bins + (size_t{1} << shift) - 1) >> shift; }

// Values of magnitude above `limit` on one side; a bin that the limit divides counts by the share that lies above.
double above(std::span<const uint64_t> bins, double width, double limit) {
  double n = 0;
  for (size_t j = 0; j < bins.size(); ++j) {
    const double low = static_cast<double>(j) * width;
    n += static_cast<double>(bins[j]) * std::clamp((low + width - limit) / width, 0.0, 1.0);
  }
  return n;
}

float share_outside(const TensorStatistics& s, double lo, double hi) {
  if (s.finite_count() == 0) return 0;
  // The last bin reaches beyond the largest value: a range up to that value clips nothing.
  const double high = hi >= s.max() ? 0 : above(s.positive_bins(), s.bin_width(), std::max(0.0, hi));
  const double low = lo <= s.min() ? 0 : above(s.negative_bins(), s.bin_width(), std::max(0.0, -lo));
  return static_cast<float>((high + low) / static_cast<double>(s.finite_count()));
}

std::map<std::string, ClipSummary> clips_of(const TensorStatistics& statistics, const TensorPlan& plan) {
  std::map<std::string, ClipSummary> clips;
  Result<CalibratorOptions> options = calibrator_options(plan, statistics.min() < 0);
  if (!options.is_ok()) return clips;
  for (const CalibrationMethod method : {CalibrationMethod::kMax, CalibrationMethod::kPercentile,
                                         CalibrationMethod::kEntropy, CalibrationMethod::kMse}) {
    options->method = method;
    const Result<CalibratedRange> range = calibrate(statistics, *options);
    if (!range.is_ok()) continue;
    clips[calibration_method_name(method)] = {range->lo, range->hi, share_outside(statistics, range->lo, range->hi)};
  }
  return clips;
}

// Largest magnitudes along `axis`; one for the whole tensor when the axis is -1.
std::vector<float> channel_maxima(const Tensor& w, int axis) {
  const float* x = w.data<float>();
  int64_t channels = 1, inner = 1;
  for (int d = 0; d < w.rank(); ++d) {
    if (d == axis) channels = w.dims()[static_cast<size_t>(d)];
    if (d > axis) inner *= w.dims()[static_cast<size_t>(d)];
  }
  if (axis < 0) inner = w.numel();
  std::vector<float> maxima(static_cast<size_t>(channels), 0.0f);
  for (int64_t i = 0; i < w.numel(); ++i) {
    float& m = maxima[static_cast<size_t>(i / inner % channels)];
    m = std::max(m, std::fabs(x[i]));
  }
  return maxima;
}

using WeightedNodes = std::unordered_map<std::string, const Node*>;  // by name

int channel_axis_of(const WeightedNodes& weighted, const TensorPlan& plan, const Tensor& w) {
  if (plan.axis >= 0 && plan.block_size == 0) return plan.axis;
  for (const TensorReader& reader : plan.readers)
    if (const auto node = weighted.find(reader.node); node != weighted.end())
      return weight_channel_axis(*node->second, reader.input, w.rank());
  return -1;
}

std::string tensor_line(const TensorSummary& t) {
  JsonLine line;
  line.add("role", tensor_role_name(t.role)).add("count", t.count).add("zeros", t.zeros);
  if (t.nonfinite > 0) line.add("nonfinite", t.nonfinite);
  line.add("min", t.min).add("max", t.max).add("mean", t.mean);
  for (const auto& [method, clip] : t.clips)
    line.add("clip_" + method, std::vector<float>{clip.lo, clip.hi, clip.outside});
  if (!t.channels.empty()) line.add("channels", t.channels);
  line.add("bin_lo", t.bin_lo).add("bin_width", t.bin_width).add("bins", t.bins);
  return line.text();
}

}  // namespace

TensorSummary summarize(const TensorStatistics& statistics) {
  TensorSummary t;
  t.count = static_cast<int64_t>(statistics.count());
  t.zeros = static_cast<int64_t>(statistics.zero_count());
  t.nonfinite = static_cast<int64_t>(statistics.nan_count() + statistics.inf_count());
  t.min = statistics.min();
  t.max = statistics.max();
  t.mean = statistics.mean();
  const auto positive = statistics.positive_bins(), negative = statistics.negative_bins();
  const size_t p = used(positive), n = used(negative);
  int shift = 0;
  while (groups_of(p, shift) + groups_of(n, shift) > TensorSummary::kMostBins) ++shift;
  const size_t below = groups_of(n, shift);
  t.bins.assign(below + groups_of(p, shift), 0);
  for (size_t j = 0; j < n; ++j) t.bins[below - 1 - (j >> shift)] += static_cast<int64_t>(negative[j]);
  for (size_t j = 0; j < p; ++j) t.bins[below + (j >> shift)] += static_cast<int64_t>(positive[j]);
  if (t.bins.empty()) return t;
  t.bin_width = std::ldexp(statistics.bin_width(), shift);
  t.bin_lo = -static_cast<double>(below) * t.bin_width;
  return t;
}

CalibrationSummary summarize_calibration(const Graph& graph, const QuantizationPlan& plan,
                                         const std::map<std::string, TensorStatistics>& statistics) {
  CalibrationSummary summary;
  summary.fingerprint = plan.fingerprint;
  const Network net(graph);
  WeightedNodes weighted;
  for (const Node& node : graph.nodes)
    if (is_weighted(node)) weighted.emplace(node.name, &node);
  for (const auto& [name, t] : plan.tensors) {
    if (!t.same_as.empty() || t.dtype == DType::kFloat16) continue;
    for (const std::string& member : t.role == TensorRole::kWeight ? std::vector<std::string>{name} : t.covers) {
      const ValueId id = graph.find_value(member);
      const auto seen = statistics.find(member);
      TensorStatistics own;
      if (net.is_float_constant(id)) own.add(net.value(id).constant->data<float>(), net.value(id).constant->numel());
      const TensorStatistics& s = seen != statistics.end() ? seen->second : own;
      if (s.count() == 0) continue;
      TensorSummary tensor = summarize(s);
      tensor.role = graph.is_constant(id) && t.role == TensorRole::kActivation ? TensorRole::kConstant : t.role;
      if (t.role == TensorRole::kWeight)
        tensor.channels =
            channel_maxima(*net.value(id).constant, channel_axis_of(weighted, t, *net.value(id).constant));
      else tensor.clips = clips_of(s, t);
      summary.tensors.emplace(member, std::move(tensor));
    }
  }
  return summary;
}

std::string summary_to_json(const CalibrationSummary& summary) {
  std::vector<std::pair<std::string, std::string>> lines, layers;
  for (const auto& [name, t] : summary.tensors) lines.emplace_back(name, tensor_line(t));
  for (const auto& [node, db] : summary.layer_sqnr_db) layers.emplace_back(node, json_number(db));
  return "{\n  \"format\": \"" + std::string(kFormat) +
         "\",\n  \"version\": 1,\n  \"network\": " + json_quote(summary.fingerprint) + ",\n" +
         (layers.empty() ? "" : json_block("layer_sqnr_db", layers) + ",\n") + json_block("tensors", lines) + "\n}\n";
}

}  // namespace octet
