// The fake quantizers of a TrainableModule: from a plan, in a run, and back into plan and ranges.
#include <algorithm>
#include <cmath>
#include <limits>

#include "arith/choose_params.h"
#include "arith/quantize.h"
#include "passes/pass.h"
#include "quantization/params.h"
#include "training/module_impl.h"

namespace octet::training {

namespace {

at::Tensor floats(const std::vector<float>& values) {
  return at::tensor(at::ArrayRef<float>(values), at::TensorOptions(at::kFloat));
}

std::vector<float> host_floats(const at::Tensor& t) {
  const at::Tensor host = t.detach().to(at::kCPU).contiguous();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

// The range that the quantizer starts with, from its scale.
RangeForScale range_of(const TensorPlan& t, size_t i) {
  return range_for_scale(t.params.scale[i], t.params.zero_point_at(i), t);
}

const char* learning_name(RangeLearning learning) {
  switch (learning) {
    case RangeLearning::kPact: return "pact";
    case RangeLearning::kLsq: return "lsq";
    case RangeLearning::kFixed: break;
  }
  return "fixed";
}

}  // namespace

QuantParams Quantizer::params() const {
  QuantParams p = plan.params;
  if (learning == RangeLearning::kPact) {
    const ScaleZero s = scale_of_range(std::min(0.0f, lo.item<float>()), std::max(0.0f, hi.item<float>()), plan);
    p.scale = {s.scale};
    p.zero_point.clear();
    if (s.zero_point != 0) p.zero_point = {s.zero_point};
    return p;
  }
  p.scale = host_floats(scale);
  return p;
}

at::Tensor Quantizer::apply(const at::Tensor& x, bool training, const SharedBatch& batch) const {
  if (stores_half()) return straight_through(x, x.detach().to(at::kHalf).to(x.scalar_type()));
  if (learning != RangeLearning::kPact) return fake_quantize(x, scale, zero_point, spec_in(batch));
  const QuantParams p = params();
  if (training) return pact_quantize(x, lo, hi, p);
  const at::Tensor zero = at::full({1}, p.zero_point_at(0), at::TensorOptions(at::kInt).device(x.device()));
  return fake_quantize(x, floats(p.scale).to(x.device()), zero, spec());
}

QuantizerSpec Quantizer::spec_in(const SharedBatch& batch) const {
  QuantizerSpec own = spec();
  if (plan.role == TensorRole::kActivation) {
    own.own_samples = batch.own;
    own.all_samples = batch.all;
  }
  return own;
}

at::Tensor Quantizer::apply_to_relu(const at::Tensor& x, const SharedBatch& batch) const {
  QuantizerSpec with_relu = spec_in(batch);
  with_relu.relu = true;
  return fake_quantize(x, scale, zero_point, with_relu);
}

SumQuantizer Quantizer::in_sum(const SharedBatch& batch, bool relu) const {
  SumQuantizer part{scale, zero_point, spec_in(batch)};
  part.spec.relu = relu;
  return part;
}

void TrainableModule::Impl::add_quantizer(Quantizer q) {
  const QuantParams& p = q.plan.params;
  const auto own = [&](const char* kind, at::Tensor t, bool learned) {
    const std::string name = q.name + "." + kind;
    t.set_requires_grad(learned);
    (learned ? parameters : buffers).push_back({name, t});
    if (learned) range_parameters.insert(name);
    return t;
  };
  if (!q.stores_half()) {
    if (q.learning == RangeLearning::kPact) {
      const RangeForScale r = range_of(q.plan, 0);
      // A clip that stands at zero stays there: unsigned codes have nothing below.
      q.lo = own("lo", at::full({}, r.lo, at::TensorOptions(at::kFloat)), r.lo < 0);
      q.hi = own("hi", at::full({}, r.hi, at::TensorOptions(at::kFloat)), r.hi > 0);
    } else {
      q.scale = own("scale", floats(p.scale), q.learning == RangeLearning::kLsq);
      // Below a sixteenth of the calibrated range nearly all is clipped: no gain is there, only a step that was too
      // long, and clipped weights have no gradient that brings them back. Never below twice the smallest range that
      // counts as one, so that rounding cannot fall below it.
      const double least = 2.0 * static_cast<double>(kMinAmax) / highest_code(q.plan.dtype);
      q.floor = (q.scale.detach() / 16).clamp_min(least);
    }
    // Always there: a tensor of zeros made in every call would cost a GPU one more kernel.
    std::vector<int32_t> zeros = p.zero_point;
    zeros.resize(p.scale.size(), 0);
    q.zero_point = at::tensor(at::ArrayRef<int32_t>(zeros), at::TensorOptions(at::kInt));
  }
  quantizers.push_back(std::move(q));
}

// An input of the network in 8 bits or more. Its range is known and hardly matters, while a gradient for it would
// need the backward pass through the first layer down to the image, which nothing else wants.
bool TrainableModule::Impl::is_wide_input(const std::string& name, DType dtype) const {
  const ValueId id = graph.find_value(name);
  return std::find(graph.inputs.begin(), graph.inputs.end(), id) != graph.inputs.end() && highest_code(dtype) > 16;
}

Status TrainableModule::Impl::add_quantizers(const QuantizationPlan& plan, std::map<std::string, int>* index) {
  for (const auto& [name, t] : plan.tensors) {
    if (t.readers.empty()) continue;
    const std::string head = t.same_as.empty() ? name : t.same_as;
    const auto it = plan.tensors.find(head);
    if (it == plan.tensors.end() || (it->second.dtype != DType::kFloat16 && it->second.params.scale.empty()))
      return invalid_argument("the plan has no scale for '" + name + "'; use a plan that finish() made");
    if (index->count(head) == 0) {
      Quantizer q;
      q.name = head;
      q.plan = it->second;
      const bool weight = q.plan.role == TensorRole::kWeight;
      q.learning = weight ? options.weight_ranges : options.activation_ranges;
      if (is_wide_input(head, q.plan.dtype)) q.learning = RangeLearning::kFixed;
      if (q.learning == RangeLearning::kPact && !q.stores_half() && q.plan.params.scale.size() != 1)
        return invalid_argument("'" + head +
                                "' has one range per channel, which PACT cannot learn; learn it with LSQ "
                                "or keep it fixed, or quantize it per tensor");
      (*index)[head] = static_cast<int>(quantizers.size());
      add_quantizer(std::move(q));
    }
    (*index)[name] = index->at(head);
  }
  return Status::ok();
}

at::Tensor TrainableModule::Impl::integer_bias(const Step& step, const at::Tensor& bias) const {
  const auto scale_of = [&](int q) {
    const Quantizer& quantizer = quantizers[static_cast<size_t>(q)];
    return quantizer.learning == RangeLearning::kPact ? floats(quantizer.params().scale).to(bias.device())
                                                      : quantizer.scale.detach();
  };
  constexpr double kMost = std::numeric_limits<int32_t>::max(), kLeast = std::numeric_limits<int32_t>::min();
  const at::Tensor scale = scale_of(step.quantizers[0]) * scale_of(step.quantizers[1]);
  const at::Tensor codes = at::round(bias.detach().to(at::kDouble) / scale.to(at::kDouble)).clamp(kLeast, kMost);
  return straight_through(bias, (codes.to(at::kFloat) * scale).to(bias.scalar_type()));
}

void TrainableModule::after_step() {
  ++impl_->step_count;
  if (impl_->options.freeze_batch_norm_after && impl_->step_count >= *impl_->options.freeze_batch_norm_after)
    impl_->norm_mode = BatchNormMode::kFrozen;
  const at::NoGradGuard guard;
  constexpr double kLeast = 2.0 * static_cast<double>(kMinAmax);
  std::vector<at::Tensor> scales, floors;
  for (Quantizer& q : impl_->quantizers) {
    if (q.learning == RangeLearning::kLsq && q.scale.defined()) {
      scales.push_back(q.scale.detach());
      floors.push_back(q.floor);
    } else if (q.learning == RangeLearning::kPact && q.hi.defined()) {
      if (q.lo.requires_grad()) q.lo.clamp_max_(q.hi.requires_grad() ? 0.0 : -kLeast);
      if (q.hi.requires_grad()) q.hi.clamp_min_(kLeast);
    }
  }
  if (!scales.empty()) at::_foreach_maximum_(scales, floors);  // one launch for all
}

namespace {

// Scales to what ranges can express; lo and hi are those ranges.
struct Expressed {
  QuantParams params;
  std::vector<float> lo, hi;
};

Expressed express(const Quantizer& q) {
  Expressed e;
  e.params = q.params();
  if (q.learning == RangeLearning::kPact) {
    e.lo = {std::min(0.0f, q.lo.item<float>())};
    e.hi = {std::max(0.0f, q.hi.item<float>())};
    return e;
  }
  for (size_t i = 0; i < e.params.scale.size(); ++i) {
    const RangeForScale r = range_for_scale(e.params.scale[i], e.params.zero_point_at(i), q.plan);
    e.params.scale[i] = r.params.scale;
    e.lo.push_back(r.lo);
    e.hi.push_back(r.hi);
  }
  return e;
}

// The range that covers all of them, as finish() joins them.
TensorRangeEntry joined(const Ranges& ranges, const std::vector<std::string>& members) {
  TensorRangeEntry all;
  for (const std::string& member : members)
    if (const auto it = ranges.tensors.find(member); it != ranges.tensors.end()) {
      if (members.size() == 1) return it->second;
      if (it->second.lo.size() != 1) continue;
      if (all.lo.empty()) all.lo = all.hi = {0.0f};
      all.lo[0] = std::min(all.lo[0], it->second.lo[0]);
      all.hi[0] = std::max(all.hi[0], it->second.hi[0]);
    }
  return all;
}

bool gives_same_scales(const TensorRangeEntry& entry, const Expressed& e, const TensorPlan& t) {
  if (entry.lo.size() != e.lo.size() || entry.hi.size() != e.hi.size()) return false;
  for (size_t i = 0; i < e.lo.size(); ++i) {
    const ScaleZero s = scale_of_range(entry.lo[i], entry.hi[i], t);
    if (s.scale != e.params.scale[i] || s.zero_point != e.params.zero_point_at(i)) return false;
  }
  return true;
}

void write_entry(const Quantizer& q, const Expressed& e, const std::string& how, TensorRangeEntry* entry) {
  entry->lo = e.lo;
  entry->hi = e.hi;
  entry->method = learning_name(q.learning);
  entry->why += how;
}

void update_extremes(const Graph& graph, const std::string& name, TensorRangeEntry* entry) {
  const ValueId id = graph.find_value(name);
  if (id == kNoValue || !graph.is_constant(id) || graph.value(id).constant->numel() == 0) return;
  const Tensor& w = *graph.value(id).constant;
  const auto [lo, hi] = std::minmax_element(w.data<float>(), w.data<float>() + w.numel());
  entry->min = static_cast<double>(*lo);
  entry->max = static_cast<double>(*hi);
}

}  // namespace

Status TrainableModule::write_back(Graph& graph, QuantizationPlan* plan, Ranges* ranges) {
  OCTET_RETURN_IF_ERROR(write_back(graph));
  Graph exported = graph;
  if (impl_->folds) OCTET_RETURN_IF_ERROR(run_passes(exported).status());
  const std::string fingerprint = graph_fingerprint(exported);
  for (const Quantizer& q : impl_->quantizers) {
    const auto it = plan->tensors.find(q.name);
    if (it == plan->tensors.end() || q.stores_half()) continue;
    const Expressed e = express(q);
    const std::string how = std::string("; trained (") + learning_name(q.learning) + ")";
    if (it->second.params.scale != e.params.scale) it->second.why += how;
    it->second.params = e.params;
    if (ranges == nullptr) continue;
    const std::vector<std::string> members =
        it->second.covers.empty() ? std::vector<std::string>{q.name} : it->second.covers;
    const bool kept = gives_same_scales(joined(*ranges, members), e, q.plan);
    for (const std::string& member : members)
      if (const auto entry = ranges->tensors.find(member); entry != ranges->tensors.end()) {
        if (!kept) write_entry(q, e, how, &entry->second);
        update_extremes(exported, member, &entry->second);
      }
  }
  fit_biases(exported, plan);
  plan->fingerprint = fingerprint;
  if (ranges != nullptr) ranges->fingerprint = fingerprint;
  // What was rounded, or raised for a bias, is what the module computes with from now on.
  return guarded([&] {
    const at::NoGradGuard guard;
    for (Quantizer& q : impl_->quantizers) {
      const auto it = plan->tensors.find(q.name);
      if (it == plan->tensors.end() || !q.scale.defined()) continue;
      q.scale.copy_(floats(it->second.params.scale));
      q.plan = it->second;
    }
  });
}

}  // namespace octet::training
