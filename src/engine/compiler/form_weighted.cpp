// Units of convolution and matrix product: geometry, weights, and what the store does.
#include <algorithm>
#include <cmath>
#include <limits>

#include "arith/quantize.h"
#include "engine/compiler/former.h"

namespace octet::engine {
namespace {

bool is_weighted(const Node& node) { return node.is("Conv") || node.is("Gemm") || node.is("MatMul"); }

// No sum of products and bias can leave 32 bits.
bool sums_fit(const Unit& unit, const std::vector<int32_t>& bias) {
  const cpu::ConvProblem& p = unit.problem;
  const int64_t largest = std::max(p.src_hi - p.src_zero, p.src_zero - p.src_lo);
  const size_t taps = unit.weights.size() / bias.size();
  for (size_t c = 0; c < bias.size(); ++c) {
    int64_t sum = std::abs(static_cast<int64_t>(bias[c]));
    for (size_t k = 0; k < taps; ++k) sum += largest * std::abs(static_cast<int64_t>(unit.weights[c * taps + k]));
    if (sum > std::numeric_limits<int32_t>::max()) return false;
  }
  return true;
}

}  // namespace

// Walks back from `value` over one activation and one addition to a Conv, Gemm or MatMul of codes.
std::optional<WeightedMatch> Former::match_weighted(ValueId value) {
  WeightedMatch match;
  ValueId current = value;
  while (true) {
    size_t n = 0;
    const Node* nd = producer(current, &n);
    if (nd == nullptr || (current != value && current != match.gate && !sole_reader(current))) return std::nullopt;
    if (is_weighted(*nd)) {
      match.node = n;
      match.nodes.push_back(n);
      std::sort(match.nodes.begin(), match.nodes.end());
      return match;
    }
    if (match_activation(*nd, match, current) || match_add(*nd, n, match, current)) continue;
    return std::nullopt;
  }
}

bool Former::match_activation(const Node& nd, WeightedMatch& match, ValueId& current) {
  const bool free = !match.activation.clips && match.activation.curve == cpu::Curve::kNone &&
                    match.residual == kNoValue && match.extra_bias == kNoValue;
  if (!free) return false;
  size_t n = static_cast<size_t>(index_.producer(current));
  if (const std::optional<Activation> act = activation_of(graph_, nd)) {
    if (!sole_reader(nd.inputs[0])) return false;
    match.activation = *act;
    match.nodes.push_back(n);
    current = nd.inputs[0];
    return true;
  }
  if (!nd.is("Mul")) return false;
  for (int gate = 0; gate < 2; ++gate) {
    const ValueId x = nd.inputs[static_cast<size_t>(1 - gate)];
    size_t s = 0;
    const Node* f = producer(nd.inputs[static_cast<size_t>(gate)], &s);
    if (f == nullptr || !(f->is("Sigmoid") || f->is("HardSigmoid")) || f->inputs[0] != x) continue;
    if (!sole_reader(f->outputs[0]) || index_.uses(x).size() != 2 || graph_.is_output(x)) continue;
    if (f->is("Sigmoid")) {
      match.activation.curve = cpu::Curve::kSilu;
    } else {
      if (std::abs(f->attr_float("alpha", 0.2f) - 1.0f / 6) > 1e-6f || f->attr_float("beta", 0.5f) != 0.5f) continue;
      match.activation.curve = cpu::Curve::kHardSwish;
    }
    match.nodes.push_back(n);
    match.nodes.push_back(s);
    match.gate = current = x;
    return true;
  }
  return false;
}

bool Former::match_add(const Node& nd, size_t n, WeightedMatch& match, ValueId& current) {
  if (!nd.is("Add")) return false;
  for (int side = 0; side < 2; ++side) {
    const ValueId x = nd.inputs[static_cast<size_t>(side)], y = nd.inputs[static_cast<size_t>(1 - side)];
    const std::optional<Dims> mine = image_dims(graph_, x), theirs = image_dims(graph_, y);
    if (graph_.is_constant(x) || coded(x) != kNoCode || !mine || !theirs) continue;
    if (graph_.is_constant(y)) {
      size_t p = 0;
      const Node* maker = producer(x, &p);
      const Tensor& t = *graph_.value(y).constant;
      if (match.extra_bias != kNoValue || maker == nullptr || !maker->is("MatMul") || mine->empty()) continue;
      if (t.numel() != mine->back() || t.rank() == 0 || t.dim(-1) != mine->back()) continue;
      if (static_cast<size_t>(t.rank()) > mine->size()) continue;
      match.extra_bias = y;
    } else if (coded(y) != kNoCode && *mine == *theirs && match.residual == kNoValue &&
               match.extra_bias == kNoValue) {
      match.residual = y;
    } else {
      continue;
    }
    match.nodes.push_back(n);
    current = x;
    return true;
  }
  return false;
}

bool Former::conv_geometry(const Node& nd, const WeightCodes& weights, Unit& unit, std::string* why) {
  const Code& src = units_.codes[static_cast<size_t>(unit.inputs[0])];
  const std::optional<Dims> out = image_dims(graph_, nd.outputs[0]);
  if (!src.image() || weights.dims.size() != 4 || !out || out->size() != 4)
    return *why = "only two-dimensional convolutions run in integers", false;
  if (weights.axis > 0) return *why = "the weight scales do not lie along output channels", false;
  cpu::ConvGeometry& g = unit.problem.geometry;
  g.ic = src.dims[1], g.ih = src.dims[2], g.iw = src.dims[3];
  g.oc = (*out)[1], g.oh = (*out)[2], g.ow = (*out)[3];
  g.kh = weights.dims[2], g.kw = weights.dims[3];
  g.groups = nd.attr_int("group", 1);
  const std::vector<int64_t> strides = nd.attr_ints("strides", {1, 1}), dilations = nd.attr_ints("dilations", {1, 1});
  const std::vector<int64_t> pads = nd.attr_ints("pads", {0, 0, 0, 0});
  g.stride_h = strides[0], g.stride_w = strides[1];
  g.dilation_h = dilations[0], g.dilation_w = dilations[1];
  const std::string automatic = nd.attr_string("auto_pad", "NOTSET");
  if (automatic == "NOTSET") {
    g.pad_top = pads[0], g.pad_left = pads[1];
  } else if (automatic != "VALID") {
    const int64_t extra = automatic == "SAME_LOWER" ? 1 : 0;
    const int64_t high = std::max<int64_t>(0, (g.oh - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1 - g.ih);
    const int64_t wide = std::max<int64_t>(0, (g.ow - 1) * g.stride_w + (g.kw - 1) * g.dilation_w + 1 - g.iw);
    g.pad_top = (high + extra) / 2, g.pad_left = (wide + extra) / 2;
  }
  unit.weights = weights.codes;
  if (g.groups == 1 && g.ic < 4) {  // images of few channels take 4 bytes a pixel
    unit.weights.assign(static_cast<size_t>(g.oc * 4 * g.kh * g.kw), 0);
    const int64_t taps = g.kh * g.kw;
    for (int64_t o = 0; o < g.oc; ++o)
      std::copy_n(&weights.codes[static_cast<size_t>(o * g.ic * taps)], g.ic * taps,
                  &unit.weights[static_cast<size_t>(o * 4 * taps)]);
    g.ic = 4;
  }
  return true;
}

bool Former::gemm_geometry(const Node& nd, WeightCodes& weights, Unit& unit, std::string* why) {
  const Code& src = units_.codes[static_cast<size_t>(unit.inputs[0])];
  const bool gemm = nd.is("Gemm");
  const bool transposed = gemm && nd.attr_int("transB", 0) != 0;
  if (weights.dims.size() != 2 || src.dims.empty() || (gemm && src.dims.size() != 2) || src.image())
    return *why = "only matrices of weights times rows of codes run in integers", false;
  if (gemm && (nd.attr_int("transA", 0) != 0 || nd.attr_float("alpha", 1) != 1 || nd.attr_float("beta", 1) != 1))
    return *why = "Gemm with transA, alpha or beta", false;
  const int64_t k = weights.dims[transposed ? 1 : 0], m = weights.dims[transposed ? 0 : 1];
  if (weights.axis >= 0 && weights.axis != (transposed ? 0 : 1))
    return *why = "the weight scales do not lie along output channels", false;
  if (src.dims.back() != k) return *why = "the shapes do not fit", false;
  cpu::ConvGeometry& g = unit.problem.geometry;
  g = {};
  g.ic = k, g.oc = m;
  for (size_t d = 0; d + 1 < src.dims.size(); ++d) g.iw *= d == 0 ? 1 : src.dims[d];
  g.ow = g.iw;
  unit.weights.resize(weights.codes.size());
  for (int64_t o = 0; o < m; ++o)
    for (int64_t i = 0; i < k; ++i)
      unit.weights[static_cast<size_t>(o * k + i)] =
          weights.codes[static_cast<size_t>(transposed ? o * k + i : i * m + o)];
  return true;
}

std::optional<Unit> Former::weighted_unit(const WeightedMatch& match, const std::optional<CodeParams>& params) {
  const Node& nd = node(match.node);
  std::string why;
  const auto no = [&](std::string reason) { return refuse(match.node, std::move(reason)), std::nullopt; };
  if (options_.keep_float.count(nd.name) != 0) return no("kept in float");
  CodeId src = coded(nd.inputs[0]);
  if (src == kNoCode) return no("its input is not quantized");
  const bool conv = nd.is("Conv");
  src = conv ? as_image(src) : as_rows(src);
  const Unit& before = units_.units[static_cast<size_t>(units_.codes[static_cast<size_t>(src)].unit)];
  const bool padded = before.only_pads && conv && nd.attr_string("auto_pad", "NOTSET") == "NOTSET";
  if (padded) src = before.inputs[0];
  std::optional<WeightCodes> weights = weight_codes(graph_, index_, nd.inputs[1], &why);
  if (!weights) return no(why);
  Unit unit{.kind = UnitKind::kConv, .inputs = {src}, .nodes = match.nodes};
  if (!(conv ? conv_geometry(nd, *weights, unit, &why) : gemm_geometry(nd, *weights, unit, &why))) return no(why);
  if (padded) {
    unit.problem.geometry.pad_top += before.pool.pad_top;
    unit.problem.geometry.pad_left += before.pool.pad_left;
    unit.nodes.insert(unit.nodes.begin(), before.nodes.begin(), before.nodes.end());
    std::sort(unit.nodes.begin(), unit.nodes.end());
  }

  const Code from = units_.codes[static_cast<size_t>(src)];
  unit.problem.src_zero = from.params.zero;
  unit.problem.src_lo = std::min(from.grid.lo, from.params.zero);
  unit.problem.src_hi = std::max(from.grid.hi, from.params.zero);
  const auto oc = static_cast<size_t>(unit.problem.geometry.oc);
  const bool real = !params || match.activation.curve != cpu::Curve::kNone;  // v in real units
  const float unit_scale = real ? 1.0f : params->scale;
  std::vector<float> accumulator(oc);
  for (size_t c = 0; c < oc; ++c) {
    accumulator[c] = from.params.scale * weights->scale[weights->scale.size() == 1 ? 0 : c];
    unit.multiplier.push_back(real ? accumulator[c] : accumulator[c] / unit_scale);
  }
  unit.addend.assign(oc, 0);
  bool any_addend = false;
  const ValueId own_bias = !nd.is("MatMul") && nd.has_input(2) ? nd.inputs[2] : kNoValue;
  for (ValueId id : {own_bias, match.extra_bias}) {
    if (id == kNoValue) continue;
    std::optional<BiasValues> bias = bias_values(graph_, index_, id, accumulator, &why);
    if (!bias) return no(why);
    const std::optional<Dims> bias_dims = image_dims(graph_, id);
    for (size_t d = 0; bias_dims && d + 1 < bias_dims->size(); ++d)
      if ((*bias_dims)[d] != 1) return no("the bias does not lie along output channels");
    if (!bias->codes.empty() && !sums_fit(unit, bias->codes)) {
      bias->real.clear();
      for (size_t c = 0; c < bias->codes.size(); ++c)
        bias->real.push_back(static_cast<float>(bias->codes[c]) * accumulator[accumulator.size() == 1 ? 0 : c]);
      bias->codes.clear();
    }
    unit.bias = bias->codes;
    if (!bias->codes.empty() && bias->codes.size() != oc) return no("the bias does not fit the output channels");
    if (bias->real.empty()) continue;
    if (bias->real.size() != oc && bias->real.size() != 1) return no("the bias does not fit the output channels");
    for (size_t c = 0; c < oc; ++c) unit.addend[c] += bias->real[bias->real.size() == 1 ? 0 : c] / unit_scale;
    any_addend = true;
  }
  if (!any_addend) unit.addend.clear();
  for (const std::vector<float>* list : {&unit.multiplier, &unit.addend})
    for (float v : *list)
      if (!std::isfinite(v)) return no("its scales are too far apart for float32");

  cpu::Store& store = unit.store;
  const Activation& act = match.activation;
  store.to_float = !params;
  store.curve = act.curve;
  store.alpha = act.alpha, store.beta = act.beta;
  if (params) {
    store.first = {params->zero, 0, params->top()};
    store.first_divisor = real ? params->scale : 1;
    if (act.clips) {
      store.first.lo = quantize_value(act.lo, params->scale, params->zero, 0, params->top());
      store.first.hi = quantize_value(act.hi, params->scale, params->zero, 0, params->top());
    }
  } else if (act.clips) {
    store.curve = cpu::Curve::kClip;
    store.alpha = act.lo, store.beta = act.hi;
  }
  if (match.residual != kNoValue) {
    const CodeId residual = coded(match.residual);
    unit.inputs.push_back(conv ? as_image(residual) : as_rows(residual));
    const CodeParams& r = units_.codes[static_cast<size_t>(unit.inputs[1])].params;
    store.residual = cpu::Residual::kBeforeFirst;
    store.residual_zero = r.zero;
    store.residual_scale = real ? r.scale : r.scale / unit_scale;
  }
  return unit;
}

// A value that a weighted operator of codes (and what follows it) makes in float32.
void Former::note_float_conv(ValueId out) {
  const std::optional<WeightedMatch> match = match_weighted(out);
  if (!match) return;
  const std::optional<Dims> dims = image_dims(graph_, out);
  if (!dims || dims->empty()) return;
  std::optional<Unit> unit = weighted_unit(*match, std::nullopt);
  if (!unit) return;
  const bool image = units_.codes[static_cast<size_t>(unit->inputs[0])].image();
  if (unit->problem.geometry.oc != (image ? (*dims)[1] : dims->back())) return;
  unit->float_output = out;
  units_.float_conv[out] = static_cast<int>(units_.units.size());
  units_.units.push_back(std::move(*unit));
}

}  // namespace octet::engine
