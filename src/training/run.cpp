// One forward pass of a TrainableModule, and what it says about values that are not finite.
#include "training/module_impl.h"

namespace octet::training {
namespace {

class Run {
 public:
  Run(TrainableModule::Impl& m, const TrainableModule::Impl::Tap& tap)
      : m_(m), tap_(tap), values_(m.graph.value_count()), quantized_(m.graph.value_count()) {}

  void put(ValueId id, at::Tensor t) {
    if (m_.keep.count(id) != 0) m_.kept[id] = t;
    values_[static_cast<size_t>(id)] = std::move(t);
  }

  const at::Tensor& get(ValueId id) const {
    const at::Tensor& own = values_[static_cast<size_t>(id)];
    return own.defined() ? own : m_.bound[static_cast<size_t>(id)];
  }

  // The value or its quantized copy, of which one is there.
  const at::Tensor& either(ValueId id) const {
    return get(id).defined() ? get(id) : quantized_[static_cast<size_t>(id)];
  }

  void step(const Step& step) {
    const Node& node = m_.graph.nodes[step.node];
    if (step.sum.quantizer >= 0 && add_quantized(step, node)) return release(step);
    if (step.relu_quantizer >= 0 && quantized_[static_cast<size_t>(node.outputs[0])].defined()) return release(step);
    if (step.relu_quantizer >= 0 && !tap_ && m_.keep.count(node.outputs[0]) == 0) {
      const Quantizer& quantizer = m_.quantizers[static_cast<size_t>(step.relu_quantizer)];
      quantized_[static_cast<size_t>(node.outputs[0])] =
          quantizer.apply_to_relu(input(node.inputs[0], step.quantizers[0]), m_.batch);
      return release(step);
    }
    Call call{node, m_.graph.opset, {}, {}};
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      const bool raw = step.norm >= 0 && i == 1;  // quantized once it is folded
      call.inputs.push_back(id == kNoValue ? at::Tensor() : input(id, raw ? -1 : step.quantizers[i]));
      const bool fixed = id != kNoValue && m_.graph.value(id).constant && !get(id).requires_grad();
      call.constants.push_back(fixed ? &*m_.graph.value(id).constant : nullptr);
    }
    if (step.integer_bias && call.has(2) && step.norm < 0) call.inputs[2] = m_.integer_bias(step, call.inputs[2]);
    call.training = m_.training && !m_.reestimating;
    call.norm = norm_run();
    call.average_factor = 1.0 / static_cast<double>(std::max<int64_t>(1, m_.reestimated_batches));
    call.batch = &m_.batch;
    call.owns_statistics = step.owns_statistics;
    call.wanted = step.wanted;
    call.dtype = m_.dtype;
    call.device = m_.device;
    const std::vector<at::Tensor> outputs = compute(step, call);
    const Node& maker = step.norm < 0 ? node : m_.graph.nodes[static_cast<size_t>(step.norm)];
    for (size_t i = 0; i < maker.outputs.size() && i < outputs.size(); ++i) {
      if (maker.outputs[i] == kNoValue || !outputs[i].defined()) continue;
      if (tap_) tap_(maker, i, outputs[i]);
      put(maker.outputs[i], outputs[i]);
    }
    release(step);
  }

 private:
  void release(const Step& step) {
    for (ValueId id : step.release) {
      values_[static_cast<size_t>(id)] = at::Tensor();
      quantized_[static_cast<size_t>(id)] = at::Tensor();
    }
  }

  // An Add with the quantizers around it and its Relu in one pass. False where somebody wants to see what is in
  // between, or where it broadcasts.
  bool add_quantized(const Step& step, const Node& node) {
    const SumStep& sum = step.sum;
    if (tap_ || m_.keep.count(node.outputs[0]) != 0 || m_.keep.count(sum.output) != 0) return false;
    if (either(node.inputs[0]).sizes() != either(node.inputs[1]).sizes()) return false;
    at::Tensor x[2];
    SumQuantizer q[2];
    for (size_t i : {0, 1}) {
      const int quantizer = step.quantizers[i];
      const bool joins = quantizer >= 0 && sum.alone[i] && get(node.inputs[i]).defined() &&
                         m_.quantizers[static_cast<size_t>(quantizer)].takes_relu();
      x[i] = input(node.inputs[i], joins ? -1 : quantizer);
      if (joins) q[i] = m_.quantizers[static_cast<size_t>(quantizer)].in_sum(m_.batch, false);
    }
    const SumQuantizer out = m_.quantizers[static_cast<size_t>(sum.quantizer)].in_sum(m_.batch, sum.relu);
    quantized_[static_cast<size_t>(sum.output)] = quantized_sum(x[0], q[0], x[1], q[1], out);
    return true;
  }

  NormRun norm_run() const {
    if (m_.reestimating) return NormRun::kAverage;
    return m_.training && m_.norm_mode == BatchNormMode::kLive ? NormRun::kLive : NormRun::kFrozen;
  }

  // Every reader of a quantized tensor gets the same quantized copy.
  const at::Tensor& input(ValueId id, int quantizer) {
    if (quantizer < 0) return get(id);
    at::Tensor& copy = quantized_[static_cast<size_t>(id)];
    if (!copy.defined())
      copy = m_.quantizers[static_cast<size_t>(quantizer)].apply(get(id), m_.training && !m_.reestimating, m_.batch);
    return copy;
  }

  std::vector<at::Tensor> compute(const Step& step, const Call& call) const {
    if (step.norm >= 0) {
      const std::vector<ValueId>& in = m_.graph.nodes[static_cast<size_t>(step.norm)].inputs;
      return {m_.run_folded(step, call, {get(in[1]), get(in[2]), get(in[3]), get(in[4])})};
    }
    if (step.pair >= 0)
      return {m_.quantizers[static_cast<size_t>(step.pair)].apply(call.in(0), call.training, m_.batch)};
    bool any = false, floating = false;
    for (const at::Tensor& t : call.inputs) {
      any = any || t.defined();
      floating = floating || (t.defined() && at::isFloatingType(t.scalar_type()));
    }
    // Arithmetic on shapes and indices: the reference defines it, on the CPU.
    return step.run == nullptr || (any && !floating && !call.node.is("Shape") && !call.node.is("Size"))
               ? run_reference(call)
               : step.run(call);
  }

  TrainableModule::Impl& m_;
  const TrainableModule::Impl::Tap& tap_;
  std::vector<at::Tensor> values_;
  std::vector<at::Tensor> quantized_;
};

void check_inputs(const TrainableModule::Impl& m, const std::vector<at::Tensor>& inputs) {
  if (inputs.size() != m.graph.inputs.size())
    fail(invalid_argument("the network has " + std::to_string(m.graph.inputs.size()) + " inputs but got " +
                          std::to_string(inputs.size())));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& v = m.graph.value(m.graph.inputs[i]);
    const std::string who = "input '" + v.name + "'";
    if (!inputs[i].defined()) fail(invalid_argument(who + " is missing"));
    if (!v.shape) continue;
    const Dims dims = inputs[i].sizes().vec();
    bool fits = v.shape->size() == dims.size();
    // The batch (axis 0) is free in training, whatever the file fixed it to.
    for (size_t d = 1; fits && d < dims.size(); ++d)
      fits = !(*v.shape)[d].is_static() || (*v.shape)[d].coefficient == dims[d];
    if (!fits)
      fail(invalid_argument(who + " expects " + shape_to_string(*v.shape) + " but got " + dims_to_string(dims)));
  }
}

at::Tensor placed(const TrainableModule::Impl& m, const at::Tensor& input) {
  if (!at::isFloatingType(input.scalar_type())) return input;
  at::Tensor x = input.to(m.device, m.dtype);
  return m.channels_last && x.dim() == 4 ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
}

std::string not_finite(const at::Tensor& t) {
  if (!at::isFloatingType(t.scalar_type()) || at::isfinite(t).all().item<bool>()) return "";
  return std::to_string(at::isnan(t).sum().item<int64_t>()) + " NaN and " +
         std::to_string(at::isinf(t).sum().item<int64_t>()) + " infinite of " + std::to_string(t.numel()) + " values";
}

}  // namespace

std::vector<at::Tensor> TrainableModule::Impl::run(const std::vector<at::Tensor>& inputs, const Tap& tap) {
  check_inputs(*this, inputs);
  kept.clear();
  if (reestimating) ++reestimated_batches;
  Run run(*this, tap);
  for (size_t i = 0; i < inputs.size(); ++i) run.put(graph.inputs[i], placed(*this, inputs[i]));
  for (const Step& step : steps) {
    const Status status = guarded([&] { run.step(step); });
    if (!status.is_ok()) fail(status.at(describe(graph.nodes[step.node])));
  }
  std::vector<at::Tensor> outputs;
  for (ValueId id : graph.outputs) outputs.push_back(run.get(id));
  return outputs;
}

Result<std::vector<at::Tensor>> TrainableModule::forward(const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> outputs;
  const Status status = guarded([&] {
    if (impl_->reestimating) {
      const at::NoGradGuard guard;
      outputs = impl_->run(inputs, {});
    } else {
      outputs = impl_->run(inputs, {});
    }
  });
  if (!status.is_ok()) return status;
  return outputs;
}

Result<std::string> TrainableModule::first_non_finite(const std::vector<at::Tensor>& inputs) {
  std::string found;
  const Status status = guarded([&] {
    const at::NoGradGuard guard;
    for (const auto* list : {&impl_->parameters, &impl_->buffers})
      for (const NamedTensor& p : *list)
        if (const std::string bad = not_finite(p.tensor); !bad.empty() && found.empty())
          found = "'" + p.name + "' has " + bad;
    for (size_t i = 0; i < inputs.size() && found.empty(); ++i)
      if (const std::string bad = not_finite(inputs[i]); !bad.empty())
        found = "the input '" + impl_->graph.value(impl_->graph.inputs.at(i)).name + "' has " + bad;
    if (!found.empty()) return;
    // Looking must not change running statistics.
    std::vector<at::Tensor> saved;
    for (const NamedTensor& b : impl_->buffers) saved.push_back(b.tensor.clone());
    const Status run = guarded([&] {
      impl_->run(inputs, [&](const Node& node, size_t output, const at::Tensor& value) {
        const std::string bad = found.empty() ? not_finite(value) : "";
        if (!bad.empty())
          found = describe(node) + ": its output '" + impl_->graph.value(node.outputs[output]).name + "' has " + bad;
      });
    });
    for (size_t i = 0; i < saved.size(); ++i) impl_->buffers[i].tensor.copy_(saved[i]);
    if (!run.is_ok() && found.empty()) fail(run);
  });
  if (!status.is_ok()) return status;
  return found;
}

}  // namespace octet::training
