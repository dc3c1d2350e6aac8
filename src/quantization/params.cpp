#include "quantization/params.h"

#include <algorithm>
#include <cmath>

#include "arith/choose_params.h"
#include "arith/quantize.h"
#include "quantization/network.h"

namespace octet {
namespace {

bool is_unsigned(DType t) { return t == DType::kUint4 || t == DType::kUint8 || t == DType::kUint16; }

DType signed_type(DType t) {
  return t == DType::kUint4 ? DType::kInt4 : t == DType::kUint8 ? DType::kInt8 : DType::kInt16;
}

ScaleZero scale_of(float lo, float hi, const TensorPlan& t) {
  if (!t.symmetric) return affine_params(lo, hi, t.dtype, t.narrow_range);
  const float amax = std::max(-lo, hi);
  if (!is_unsigned(t.dtype) || lo >= 0) return symmetric_params(amax, t.dtype, t.narrow_range);
  // Symmetric around an unsigned type's middle code: the integers of the signed type, shifted.
  ScaleZero p = symmetric_params(amax, signed_type(t.dtype), t.narrow_range);
  p.zero_point = (code_range(t.dtype).hi + 1) / 2;
  return p;
}

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

Status assign_weight(const Graph& graph, const std::string& name, const TensorRangeEntry& entry, TensorPlan* t) {
  const Tensor& w = *graph.value(graph.find_value(name)).constant;
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(w.dims(), t->axis, t->block_size));
  OCTET_RETURN_IF_ERROR(check_entry(name, entry, static_cast<size_t>(layout.scale_count)));
  t->params = {};
  t->params.dtype = t->dtype;
  t->params.axis = t->axis;
  t->params.block_size = t->block_size;
  t->params.narrow_range = t->narrow_range;
  bool any_zero_point = false;
  for (size_t i = 0; i < entry.lo.size(); ++i) {
    const ScaleZero p = scale_of(entry.lo[i], entry.hi[i], *t);
    t->params.scale.push_back(p.scale);
    t->params.zero_point.push_back(p.zero_point);
    any_zero_point = any_zero_point || p.zero_point != 0;
  }
  if (!any_zero_point) t->params.zero_point.clear();
  t->why += "; " + entry.why;
  return Status::ok();
}

// The range that covers all members: their smallest lo and largest hi.
Status assign_joined(const Ranges& ranges, TensorPlan* t) {
  float lo = 0, hi = 0;
  std::string widest;
  for (const std::string& member : t->covers) {
    const TensorRangeEntry& entry = ranges.tensors.at(member);
    OCTET_RETURN_IF_ERROR(check_entry(member, entry, 1));
    if (widest.empty() || entry.hi[0] - entry.lo[0] > hi - lo) widest = member;
    lo = std::min(lo, entry.lo[0]);
    hi = std::max(hi, entry.hi[0]);
  }
  const ScaleZero p = scale_of(lo, hi, *t);
  t->params = {};
  t->params.dtype = t->dtype;
  t->params.scale = {p.scale};
  if (p.zero_point != 0) t->params.zero_point = {p.zero_point};
  const TensorRangeEntry& entry = ranges.tensors.at(widest);
  if (t->covers.size() > 1)
    t->why += "; one scale for " + std::to_string(t->covers.size()) + " tensors, the widest is '" + widest + "'";
  t->why += "; " + entry.why;
  return Status::ok();
}

}  // namespace

Status assign_params(const Graph& graph, const Ranges& ranges, QuantizationPlan* plan) {
  for (auto& [name, t] : plan->tensors) {
    if (!t.same_as.empty() || t.dtype == DType::kFloat16) continue;
    if (t.role == TensorRole::kWeight) OCTET_RETURN_IF_ERROR(assign_weight(graph, name, ranges.tensors.at(name), &t));
    else OCTET_RETURN_IF_ERROR(assign_joined(ranges, &t));
  }
  return Status::ok();
}

void fit_integer_biases(const Graph& graph, QuantizationPlan* plan) {
  constexpr double kLargest = 2147483647.0 / 2;  // leaves room for the sum of products
  for (const NodePlan& decision : plan->nodes) {
    if (!decision.integer_bias) continue;
    const Node* n = graph.find_node(decision.name);
    const QuantParams* x = plan->params_of(graph.value(n->inputs[0]).name);
    TensorPlan& weight = plan->tensors.at(graph.value(n->inputs[1]).name);
    const Tensor& bias = *graph.value(n->inputs[2]).constant;
    if (x == nullptr || x->scale.empty() || weight.params.scale.empty()) continue;
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
