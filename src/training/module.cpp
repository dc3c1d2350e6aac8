#include "training/module.h"

#include <algorithm>

#include "base/text.h"
#include "passes/pass.h"
#include "quantization/plan_check.h"
#include "training/module_impl.h"

namespace octet::training {

TrainableModule::TrainableModule(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TrainableModule::~TrainableModule() = default;

namespace {

Result<std::unique_ptr<TrainableModule::Impl>> make(const Graph& graph, const QuantizationPlan* plan,
                                                    const TrainableOptions& options) {
  auto impl = std::make_unique<TrainableModule::Impl>();
  impl->graph = graph;
  impl->options = options;
  impl->norm_mode = options.batch_norm;
  Graph folded = graph;
  if (plan != nullptr && !plan->fingerprint.empty() && plan->fingerprint != graph_fingerprint(graph)) {
    OCTET_RETURN_IF_ERROR(run_passes(folded).status());
    impl->folds = plan->fingerprint == graph_fingerprint(folded);
    if (!impl->folds)
      return invalid_argument("the plan was made for another network (fingerprint " + plan->fingerprint +
                              ", this one has " + graph_fingerprint(graph) + ", and " + graph_fingerprint(folded) +
                              " with batch normalization folded); make a plan for this network");
  }
  QuantizationPlan honoured;  // as quantize_module reads it
  if (plan != nullptr) {
    OCTET_RETURN_IF_ERROR(check_plan(folded, *plan));
    honoured = *plan;
    honour_decisions(folded, &honoured);
    plan = &honoured;
  }
  OCTET_RETURN_IF_ERROR(impl->build(plan, impl->folds ? &folded : nullptr));
  if (options.freeze_batch_norm_after && *options.freeze_batch_norm_after <= 0)
    impl->norm_mode = BatchNormMode::kFrozen;
  return impl;
}

}  // namespace

Result<std::unique_ptr<TrainableModule>> TrainableModule::create(const Graph& graph,
                                                                 const TrainableOptions& options) {
  OCTET_ASSIGN(auto impl, make(graph, nullptr, options));
  return std::unique_ptr<TrainableModule>(new TrainableModule(std::move(impl)));
}

Result<std::unique_ptr<TrainableModule>> TrainableModule::create(const Graph& graph, const QuantizationPlan& plan,
                                                                 const TrainableOptions& options) {
  OCTET_ASSIGN(auto impl, make(graph, &plan, options));
  return std::unique_ptr<TrainableModule>(new TrainableModule(std::move(impl)));
}

Status TrainableModule::keep(const std::vector<std::string>& names) {
  std::set<ValueId> ids, made(impl_->graph.inputs.begin(), impl_->graph.inputs.end());
  for (const Step& step : impl_->steps) {
    const auto& outputs = impl_->graph.nodes[step.norm < 0 ? step.node : static_cast<size_t>(step.norm)].outputs;
    made.insert(outputs.begin(), outputs.end());
  }
  for (const std::string& name : names) {
    const ValueId id = impl_->graph.find_value(name);
    if (id == kNoValue) {
      std::vector<std::string> known;
      for (const Node& node : impl_->graph.nodes)
        for (ValueId out : node.outputs)
          if (out != kNoValue) known.push_back(impl_->graph.value(out).name);
      return not_found("the network has no value '" + name + "'." + did_you_mean(name, known));
    }
    if (made.count(id) == 0)
      return invalid_argument("the value '" + name +
                              "' is a constant, or part of a convolution that batch normalization "
                              "is folded into; keep one that a step of the network makes");
    ids.insert(id);
  }
  impl_->keep = ids;
  impl_->kept.clear();
  return Status::ok();
}

at::Tensor TrainableModule::kept(const std::string& name) const {
  const auto it = impl_->kept.find(impl_->graph.find_value(name));
  return it == impl_->kept.end() ? at::Tensor() : it->second;
}

void TrainableModule::train(bool on) { impl_->training = on; }
bool TrainableModule::is_training() const { return impl_->training; }
at::Device TrainableModule::device() const { return impl_->device; }
int64_t TrainableModule::steps() const { return impl_->step_count; }
const std::vector<NamedTensor>& TrainableModule::parameters() const { return impl_->parameters; }
const std::vector<NamedTensor>& TrainableModule::buffers() const { return impl_->buffers; }
void TrainableModule::set_batch(SharedBatch batch) { impl_->batch = std::move(batch); }
BatchNormMode TrainableModule::batch_norm_mode() const { return impl_->norm_mode; }
void TrainableModule::set_batch_norm_mode(BatchNormMode mode) { impl_->norm_mode = mode; }

namespace {

// Ranges and the numbers of quantizers stay float32; they follow the device alone.
bool is_quantizer_state(const TrainableModule::Impl& m, const at::Tensor& t) {
  return std::any_of(m.quantizers.begin(), m.quantizers.end(),
                     [&](const Quantizer& q) { return t.is_same(q.scale) || t.is_same(q.lo) || t.is_same(q.hi); });
}

// set_data keeps the identity that an optimizer and the steps hold on to.
template <class F>
Status convert(TrainableModule::Impl& m, F f) {
  return guarded([&] {
    const at::NoGradGuard guard;
    for (auto* list : {&m.parameters, &m.buffers})
      for (NamedTensor& p : *list) {
        p.tensor.set_data(f(p.tensor.detach(), is_quantizer_state(m, p.tensor)));
        p.tensor.mutable_grad() = at::Tensor();
      }
    std::set<const c10::TensorImpl*> owned;
    for (auto* list : {&m.parameters, &m.buffers})
      for (NamedTensor& p : *list) owned.insert(p.tensor.unsafeGetTensorImpl());
    for (at::Tensor& t : m.bound)
      if (t.defined() && owned.count(t.unsafeGetTensorImpl()) == 0 && at::isFloatingType(t.scalar_type()))
        t = f(t, false);
    for (Quantizer& q : m.quantizers) {
      if (q.zero_point.defined()) q.zero_point = q.zero_point.to(m.device);
      if (q.floor.defined()) q.floor = q.floor.to(m.device);
    }
  });
}

}  // namespace

Status TrainableModule::to(at::Device device) {
  impl_->device = device;
  return convert(*impl_, [&](const at::Tensor& t, bool) { return t.to(device); });
}

Status TrainableModule::to(at::ScalarType dtype) {
  if (dtype != at::kFloat && dtype != at::kDouble)
    return unsupported("a module computes in float32 or float64; half precision is the loop's (autocast)");
  impl_->dtype = dtype;
  return convert(*impl_, [&](const at::Tensor& t, bool quantizer) { return quantizer ? t : t.to(dtype); });
}

Status TrainableModule::channels_last() {
  impl_->channels_last = true;
  return convert(*impl_, [&](const at::Tensor& t, bool) {
    return t.dim() == 4 ? t.contiguous(at::MemoryFormat::ChannelsLast) : t;
  });
}

ParameterGroups TrainableModule::parameter_groups() const {
  ParameterGroups groups;
  for (const NamedTensor& p : impl_->parameters) {
    if (impl_->range_parameters.count(p.name) != 0) groups.ranges.push_back(p);
    else (p.tensor.dim() >= 2 ? groups.decay : groups.no_decay).push_back(p);
  }
  return groups;
}

void TrainableModule::zero_grad() {
  for (NamedTensor& p : impl_->parameters) p.tensor.mutable_grad() = at::Tensor();
}

void TrainableModule::begin_reestimate() {
  impl_->reestimating = true;
  impl_->reestimated_batches = 0;
}

Status TrainableModule::end_reestimate() {
  const bool seen = impl_->reestimating && impl_->reestimated_batches > 0;
  impl_->reestimating = false;
  if (seen) return Status::ok();
  return invalid_argument(
      "no batch was seen, so the running statistics were not estimated again; run some batches "
      "between begin_reestimate and end_reestimate");
}

Status TrainableModule::write_back(Graph& graph) const {
  return guarded([&] {
    const auto write = [&](ValueId id, const NamedTensor& source) {
      const ValueId at = graph.find_value(impl_->graph.value(id).name);
      if (at == kNoValue || !graph.is_constant(at) ||
          graph.value(at).constant->dims() != impl_->graph.value(id).constant->dims())
        fail(not_found("the graph has no constant '" + source.name + "' of shape " +
                       dims_to_string(impl_->graph.value(id).constant->dims()) +
                       "; write back into the graph that the module was made from"));
      graph.value(at).constant = need(from_torch(source.tensor.detach().to(at::kFloat)));
    };
    for (const auto& [id, i] : impl_->trained) write(id, impl_->parameters[i]);
    for (const auto& [id, i] : impl_->statistics) write(id, impl_->buffers[i]);
  });
}

}  // namespace octet::training
