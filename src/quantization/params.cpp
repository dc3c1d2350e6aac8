#include "quantization/params.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "arith/choose_params.h"
#include "arith/float_formats.h"
#include "arith/quantize.h"
#include "quantization/network.h"

namespace octet {
namespace {

bool is_unsigned(DType t) { return t == DType::kUint4 || t == DType::kUint8 || t == DType::kUint16; }

DType signed_type(DType t) {
  return t == DType::kUint4 ? DType::kInt4 : t == DType::kUint8 ? DType::kInt8 : DType::kInt16;
}

}  // namespace

ScaleZero scale_of_range(float lo, float hi, const TensorPlan& t) {
  if (!t.symmetric) return affine_params(lo, hi, t.dtype, t.narrow_range);
  const float amax = std::max(-lo, hi);
  if (!is_unsigned(t.dtype) || lo >= 0) return symmetric_params(amax, t.dtype, t.narrow_range);
  // Symmetric around an unsigned type's middle code: the integers of the signed type, shifted.
  ScaleZero p = symmetric_params(amax, signed_type(t.dtype), t.narrow_range);
  p.zero_point = (code_range(t.dtype).hi + 1) / 2;
  return p;
}

namespace {

float nudged(float x, int steps) {
  for (; steps > 0; --steps) x = std::nextafter(x, std::numeric_limits<float>::infinity());
  for (; steps < 0; ++steps) x = std::nextafter(x, -std::numeric_limits<float>::infinity());
  return x;
}

// The range of the codes, one end computed and the other its mirror image or 0 where the type is symmetric.
RangeForScale range_of_codes(float scale, int32_t zero_point, const TensorPlan& t, int lo_steps, int hi_steps) {
  const bool fp8 = dtype_is_float(t.dtype);
  const CodeRange codes = code_range(t.dtype, t.narrow_range);
  RangeForScale r;
  if (!t.symmetric && !fp8) {
    r.lo = nudged(static_cast<float>(codes.lo - zero_point) * scale, lo_steps);
    r.hi = nudged(static_cast<float>(codes.hi - zero_point) * scale, hi_steps);
  } else {
    const bool mirrored = is_unsigned(t.dtype) && zero_point != 0;
    const DType type = mirrored ? signed_type(t.dtype) : t.dtype;
    const float most = fp8 ? fp8_max(type) : static_cast<float>(code_range(type, t.narrow_range).hi);
    r.hi = nudged(most * scale, hi_steps);
    r.lo = is_unsigned(t.dtype) && !mirrored ? 0.0f : -r.hi;
  }
  r.params = scale_of_range(r.lo, r.hi, t);
  return r;
}

}  // namespace

RangeForScale range_for_scale(float scale, int32_t zero_point, const TensorPlan& t) {
  constexpr int kSteps[] = {0, 1, -1, 2, -2};
  for (int hi : kSteps)
    for (int lo : kSteps) {
      const RangeForScale r = range_of_codes(scale, zero_point, t, lo, hi);
      if (r.params.scale == scale && r.params.zero_point == zero_point) return r;
    }
  return range_of_codes(scale, zero_point, t, 0, 0);
}

namespace {

Status check_entry(const std::string& name, const TensorRangeEntry& e, size_t expected) {
  const std::string place = "/tensors/" + name;
  if (e.lo.size() != expected || e.hi.size() != expected)
    return invalid_argument(place + ": expected " + std::to_string(expected) + " value(s) in lo and hi, got " +
                            std::to_string(e.lo.size()) + " and " + std::to_string(e.hi.size()));
  for (size_t i = 0; i < expected; ++i) {
    const std::string at = expected == 1 ? "" : "/" + std::to_string(i);
    if (!std::isfinite(e.lo[i]) || !std::isfinite(e.hi[i]))
      return invalid_argument(place + "/lo" + at + ": a range must be finite");
    if (e.lo[i] > e.hi[i]) return invalid_argument(place + "/lo" + at + ": the range is upside down (lo > hi)");
  }
  return Status::ok();
}

// The calibrators say themselves what they could not give a range; an edit that comes to nothing gets a note.
void note_degenerate(const std::string& name, const TensorRangeEntry& e, int degenerate, QuantizationPlan* plan) {
  const bool seen = std::max(std::fabs(e.min), std::fabs(e.max)) >= static_cast<double>(kMinAmax);
  if (degenerate == 0 || !seen) return;
  const std::string which =
      e.lo.size() == 1 ? ""
                       : " in " + std::to_string(degenerate) + " of " + std::to_string(e.lo.size()) + " channels";
  plan->notes.push_back("the range of '" + name + "' is narrower than 2^-24" + which +
                        " and counts as zero: it gets scale 1, which rounds small values to 0");
}

Status assign_weight(const Graph& graph, const std::string& name, const TensorRangeEntry& entry, TensorPlan* t,
                     QuantizationPlan* plan) {
  const Tensor& w = *graph.value(graph.find_value(name)).constant;
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(w.dims(), t->axis, t->block_size));
  const std::string place = "/tensors/" + name;
  if (entry.role != TensorRole::kWeight)
    return invalid_argument(place + "/role: the tensor is a weight, so its role is weight");
  if (entry.axis >= 0 && entry.axis != t->axis)
    return invalid_argument(place + "/axis: " + std::to_string(entry.axis) + " is not the axis of the plan (" +
                            (t->axis < 0 ? "one range for the whole weight" : std::to_string(t->axis)) + ")");
  if (entry.block_size > 0 && entry.block_size != t->block_size)
    return invalid_argument(place + "/block_size: " + std::to_string(entry.block_size) +
                            " is not the group size of the plan (" + std::to_string(t->block_size) + ")");
  OCTET_RETURN_IF_ERROR(check_entry(name, entry, static_cast<size_t>(layout.scale_count)));
  t->params = {};
  t->params.dtype = t->dtype;
  t->params.axis = t->axis;
  t->params.block_size = t->block_size;
  t->params.narrow_range = t->narrow_range;
  bool any_zero_point = false;
  std::vector<float> seen(entry.lo.size(), 0);
  for (int64_t i = 0; i < w.numel(); ++i) {
    float& largest = seen[static_cast<size_t>(layout.scale_index(i))];
    largest = std::max(largest, std::fabs(w.data<float>()[i]));
  }
  int degenerate = 0;
  for (size_t i = 0; i < entry.lo.size(); ++i) {
    const ScaleZero p = scale_of_range(entry.lo[i], entry.hi[i], *t);
    t->params.scale.push_back(p.scale);
    t->params.zero_point.push_back(p.zero_point);
    any_zero_point = any_zero_point || p.zero_point != 0;
    degenerate += p.degenerate && seen[i] >= kMinAmax ? 1 : 0;
  }
  note_degenerate(name, entry, degenerate, plan);
  if (!any_zero_point) t->params.zero_point.clear();
  t->why += "; " + entry.why;
  return Status::ok();
}

// The range that covers all members: their smallest lo and largest hi.
Status assign_joined(const Ranges& ranges, TensorPlan* t, QuantizationPlan* plan) {
  float lo = 0, hi = 0;
  std::string widest;
  for (const std::string& member : t->covers) {
    const TensorRangeEntry& entry = ranges.tensors.at(member);
    if (entry.role == TensorRole::kWeight || entry.axis >= 0 || entry.block_size > 0)
      return invalid_argument(
          "/tensors/" + member + (entry.role == TensorRole::kWeight ? "/role" : "/axis") +
          ": the tensor has one range for all of its values here, not one per channel of a weight");
    OCTET_RETURN_IF_ERROR(check_entry(member, entry, 1));
    if (widest.empty() || entry.hi[0] - entry.lo[0] > hi - lo) widest = member;
    lo = std::min(lo, entry.lo[0]);
    hi = std::max(hi, entry.hi[0]);
  }
  const ScaleZero p = scale_of_range(lo, hi, *t);
  t->params = {};
  t->params.dtype = t->dtype;
  t->params.scale = {p.scale};
  if (p.zero_point != 0) t->params.zero_point = {p.zero_point};
  const TensorRangeEntry& entry = ranges.tensors.at(widest);
  note_degenerate(widest, entry, p.degenerate ? 1 : 0, plan);
  if (t->covers.size() > 1)
    t->why += "; one scale for " + std::to_string(t->covers.size()) + " tensors, the widest is '" + widest + "'";
  t->why += "; " + entry.why;
  return Status::ok();
}

}  // namespace

Status assign_params(const Graph& graph, const Ranges& ranges, QuantizationPlan* plan) {
  for (auto& [name, t] : plan->tensors) {
    if (!t.same_as.empty() || t.dtype == DType::kFloat16) continue;
    if (t.role == TensorRole::kWeight)
      OCTET_RETURN_IF_ERROR(assign_weight(graph, name, ranges.tensors.at(name), &t, plan));
    else OCTET_RETURN_IF_ERROR(assign_joined(ranges, &t, plan));
  }
  return Status::ok();
}

namespace {

// For each scale of a weight: whether all its values count as zero.
std::vector<bool> dead_channels(const Tensor& w, const QuantParams& p) {
  std::vector<bool> dead(p.scale.size(), true);
  const auto layout = quant_layout(w.dims(), p.axis, p.block_size);
  if (!layout.is_ok()) return std::vector<bool>(p.scale.size(), false);
  for (int64_t i = 0; i < w.numel(); ++i)
    if (std::fabs(w.data<float>()[i]) >= kMinAmax) dead[static_cast<size_t>(layout->scale_index(i))] = false;
  return dead;
}

// The middle scale of the channels that have weights; 0 when there is none.
float typical_scale(const std::vector<float>& scales, const std::vector<bool>& dead) {
  std::vector<float> live;
  for (size_t c = 0; c < scales.size(); ++c)
    if (!dead[c]) live.push_back(scales[c]);
  if (live.empty()) return 0;
  std::nth_element(live.begin(), live.begin() + static_cast<std::ptrdiff_t>(live.size() / 2), live.end());
  return live[live.size() / 2];
}

// A channel of zeros has scale 1 and would round its bias to multiples of s_input, so it takes the scale of its
// neighbours, or without any one that leaves its bias 20 bits.
int resolve_dead_channels(const Tensor& w, const Tensor& bias, float input_scale, QuantParams* p) {
  constexpr double kCodes = 1 << 20;
  const std::vector<bool> dead = dead_channels(w, *p);
  const float typical = typical_scale(p->scale, dead);
  int resolved = 0;
  for (size_t k = 0; k < p->scale.size(); ++k) {
    if (!dead[k] || p->scale[k] != kDegenerateScale) continue;
    double largest = 0;
    for (int64_t c = 0; c < bias.numel(); ++c)
      if (p->per_tensor() || static_cast<size_t>(c) == k)
        largest = std::max(largest, std::fabs(static_cast<double>(bias.data<float>()[c])));
    if (!(largest > 0) || !std::isfinite(largest)) continue;
    const double own = largest / (static_cast<double>(input_scale) * kCodes);
    const double scale = typical > 0 ? std::min(static_cast<double>(typical), own * kCodes / 128) : own;
    // Both scales and their product stay normal numbers.
    const double least = 0x1p-120 / std::min(1.0, static_cast<double>(input_scale));
    p->scale[k] = static_cast<float>(std::clamp(scale, std::min(least, 1.0), 1.0));
    ++resolved;
  }
  return resolved;
}

// Whether the bias is one number per channel of integer weights, which a runtime may take for INT32 codes.
bool may_become_integer(const Graph& graph, const QuantizationPlan& plan, const NodePlan& decision, const Node& n) {
  if (decision.integer_bias) return true;
  if (decision.decision != NodeDecision::kQuantized || !n.has_input(2) || !graph.is_constant(n.inputs[2]))
    return false;
  const Tensor& bias = *graph.value(n.inputs[2]).constant;
  const auto weight = plan.tensors.find(graph.value(n.inputs[1]).name);
  const QuantParams* x = plan.params_of(graph.value(n.inputs[0]).name);
  if (weight == plan.tensors.end() || x == nullptr || !graph.is_constant(n.inputs[1])) return false;
  const QuantParams& w = weight->second.params;
  const bool one_each = w.per_tensor() || (w.block_size == 0 && static_cast<int64_t>(w.scale.size()) == bias.numel());
  return one_each && bias.dtype() == DType::kFloat32 && bias.rank() == 1 && dtype_is_integer(w.dtype) &&
         dtype_is_integer(x->dtype);
}

}  // namespace

void fit_biases(const Graph& graph, QuantizationPlan* plan) {
  constexpr double kLargest = 2147483647.0 / 2;  // leaves room for the sum of products
  for (const NodePlan& decision : plan->nodes) {
    const Node* n = graph.find_node(decision.name);
    if (n == nullptr || !may_become_integer(graph, *plan, decision, *n)) continue;
    const QuantParams* x = plan->params_of(graph.value(n->inputs[0]).name);
    TensorPlan& weight = plan->tensors.at(graph.value(n->inputs[1]).name);
    const Tensor& bias = *graph.value(n->inputs[2]).constant;
    if (x == nullptr || x->scale.empty() || weight.params.scale.empty()) continue;
    const Tensor& w = *graph.value(n->inputs[1]).constant;
    if (const int resolved = resolve_dead_channels(w, bias, x->scale[0], &weight.params); resolved > 0)
      weight.why += "; " + std::to_string(resolved) + " channel(s) of zeros get a scale that the bias of '" +
                    n->name + "' can be stored at";
    int raised = 0;
    for (int64_t c = 0; c < bias.numel(); ++c) {
      float& s = weight.params.scale[weight.params.per_tensor() ? 0 : static_cast<size_t>(c)];
      const double needed = std::fabs(bias.data<float>()[c]) / (static_cast<double>(x->scale[0]) * kLargest);
      if (!(static_cast<double>(s) < needed) || !std::isfinite(needed)) continue;
      s = static_cast<float>(needed);
      ++raised;
    }
    if (raised > 0)
      weight.why += "; scale raised in " + std::to_string(raised) + " channel(s) so that the bias of '" + n->name +
                    "' fits in int32";
  }
}

}  // namespace octet
