// From a Graph to the steps, parameters and buffers of a TrainableModule.
#include <algorithm>

#include "graph/op_table.h"
#include "interp/interpreter.h"
#include "training/learnable.h"
#include "training/module_impl.h"

namespace octet::training {

std::string describe(const Node& node) {
  const std::string op = node.domain.empty() ? node.op_type : node.domain + "::" + node.op_type;
  return "node '" + node.name + "' (" + op + ")";
}

namespace {

class Builder {
 public:
  Builder(TrainableModule::Impl& m, const QuantizationPlan* plan, const Graph* folded)
      : m_(m), plan_(plan), folded_graph_(folded), graph_(m.graph) {}

  Status run() {
    OCTET_ASSIGN(const std::set<ValueId> learnable, learnable_constants(graph_, m_.options));
    OCTET_RETURN_IF_ERROR(bind_constants(learnable));
    std::map<std::string, int> quantizer_of;
    if (plan_ != nullptr) {
      OCTET_RETURN_IF_ERROR(m_.add_quantizers(*plan_, &quantizer_of));
      OCTET_RETURN_IF_ERROR(collect_readers(quantizer_of));
    }
    const GraphIndex index(graph_);
    if (folded_graph_ != nullptr) OCTET_RETURN_IF_ERROR(find_folded_norms(index));
    for (const Node& node : graph_.nodes)
      if (node.is("QuantizeLinear")) find_pair(node, index);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) OCTET_RETURN_IF_ERROR(add_step(i));
    find_single_passes();
    plan_releases();
    return Status::ok();
  }

 private:
  at::Tensor leaf(const Tensor& constant, bool learn) {
    at::Tensor t = need(to_torch(constant));
    t.set_requires_grad(learn);
    return t;
  }

  Status bind_constants(const std::set<ValueId>& learnable) {
    const std::set<ValueId> statistics = running_statistics(graph_);
    m_.bound.resize(graph_.value_count());
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      const auto id = static_cast<ValueId>(i);
      const Value& v = graph_.value(id);
      if (!v.constant) continue;
      if (learnable.count(id) != 0) {
        m_.bound[i] = leaf(*v.constant, true);
        m_.trained.emplace_back(id, m_.parameters.size());
        m_.parameters.push_back({v.name, m_.bound[i]});
      } else if (statistics.count(id) != 0) {
        m_.bound[i] = leaf(*v.constant, false);
        m_.statistics.emplace_back(id, m_.buffers.size());
        m_.buffers.push_back({v.name, m_.bound[i]});
      } else {
        const auto t = to_torch(*v.constant);
        if (t.is_ok()) m_.bound[i] = *t;  // codes of 4 bits and FP8 are folded away before they are read
      }
      folded_.emplace(id, *v.constant);
    }
    for (ValueId id : learnable) folded_.erase(id);
    for (ValueId id : statistics) folded_.erase(id);
    return Status::ok();
  }

  Status collect_readers(const std::map<std::string, int>& quantizer_of) {
    for (const auto& [name, t] : plan_->tensors)
      for (const TensorReader& reader : t.readers) {
        if (graph_.find_node(reader.node) == nullptr)
          return invalid_argument(
              "the plan quantizes an input of node '" + reader.node +
              "', which this network does not have; run all passes but fold_batch_norm on it first");
        if (const auto it = quantizer_of.find(name); it != quantizer_of.end())
          readers_[{reader.node, static_cast<size_t>(reader.input)}] = it->second;
      }
    for (const NodePlan& n : plan_->nodes)
      if (n.integer_bias) integer_bias_.insert(n.name);
    return Status::ok();
  }

  // Batch normalizations that the exported network has no more: each becomes part of the convolution before it.
  Status find_folded_norms(const GraphIndex& index) {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& bn = graph_.nodes[i];
      if (!bn.is("BatchNormalization") || folded_graph_->find_node(bn.name) != nullptr) continue;
      const int64_t p = index.producer(bn.inputs[0]);
      bool constants = true;
      for (size_t k = 1; k < 5; ++k) constants = constants && bn.has_input(k) && graph_.is_constant(bn.inputs[k]);
      if (p < 0 || !graph_.nodes[static_cast<size_t>(p)].is("Conv") || index.uses(bn.inputs[0]).size() != 1 ||
          !constants)
        return unsupported(describe(bn) +
                           ": batch normalization stays in quantization-aware training only right behind "
                           "a Conv; fold it first (pass fold_batch_norm)");
      norms_[static_cast<size_t>(p)] = static_cast<int64_t>(i);
      absorbed_.insert(bn.name);
    }
    return Status::ok();
  }

  // A QuantizeLinear that only DequantizeLinear nodes with the same parameters read: the pair is one fake quantizer.
  void find_pair(const Node& q, const GraphIndex& index) {
    const auto same = [&](const Node& dq) {
      for (size_t i : {size_t{1}, size_t{2}})
        if ((q.has_input(i) ? q.inputs[i] : kNoValue) != (dq.has_input(i) ? dq.inputs[i] : kNoValue)) return false;
      return q.attr_int("axis", 1) == dq.attr_int("axis", 1) &&
             q.attr_int("block_size", 0) == dq.attr_int("block_size", 0);
    };
    if (q.outputs.empty() || q.outputs[0] == kNoValue || graph_.is_output(q.outputs[0])) return;
    const auto& uses = index.uses(q.outputs[0]);
    for (const GraphIndex::Use& use : uses)
      if (use.input != 0 || !graph_.nodes[use.node].is("DequantizeLinear") || !same(graph_.nodes[use.node])) return;
    Quantizer quantizer;
    if (uses.empty() || !read_pair(q, &quantizer)) return;
    paired_.insert(q.name);
    for (const GraphIndex::Use& use : uses)
      pairs_[graph_.nodes[use.node].name] = static_cast<int>(m_.quantizers.size());
    m_.add_quantizer(std::move(quantizer));
  }

  bool read_pair(const Node& q, Quantizer* out) const {
    if (!q.has_input(1) || !graph_.is_constant(q.inputs[1])) return false;
    const Tensor& scale = *graph_.value(q.inputs[1]).constant;
    QuantParams& p = out->plan.params;
    p.dtype = DType::kUint8;
    if (q.has_input(2)) {
      if (!graph_.is_constant(q.inputs[2])) return false;
      const Tensor& zero = *graph_.value(q.inputs[2]).constant;
      p.dtype = zero.dtype();
      if (dtype_is_integer(zero.dtype())) {
        const auto values = to_int64s(zero);
        if (!values.is_ok()) return false;
        for (int64_t z : *values) p.zero_point.push_back(static_cast<int32_t>(z));
      }
    }
    if (scale.dtype() != DType::kFloat32) return false;
    p.scale.assign(scale.data<float>(), scale.data<float>() + scale.numel());
    const Value& x = graph_.value(q.inputs[0]);
    const auto rank = x.shape ? static_cast<int64_t>(x.shape->size()) : int64_t{-1};
    if (scale.numel() > 1) {
      const int64_t axis = q.attr_int("axis", 1);
      if (axis < 0 && rank < 0) return false;
      p.axis = static_cast<int>(axis < 0 ? axis + rank : axis);
      p.block_size = q.attr_int("block_size", 0);
    }
    out->name = q.name;
    out->plan.dtype = p.dtype;
    out->plan.axis = p.axis;
    out->plan.block_size = p.block_size;
    out->learning = RangeLearning::kFixed;
    return true;
  }

  Status check_supported(const Node& node) const {
    if (node.domain.empty() && (find_torch_op(node.op_type) != nullptr || is_reference_op(node.op_type)))
      return Status::ok();
    if (paired_.count(node.name) != 0) return Status::ok();
    const bool integer = find_op(node.domain, node.op_type) != nullptr;
    return unsupported(describe(node) + (integer ? ": it computes in integers and has no gradient; train the float "
                                                   "network that this one was made from"
                                                 : ": Octet has no such operator to train"));
  }

  // Nodes of constants alone are computed here, unless a parameter or a quantizer is among them.
  Result<bool> fold(const Node& node, const Step& step) {
    if (step.norm >= 0 || node.is("Dropout") || step.pair >= 0 || paired_.count(node.name) != 0) return false;
    std::vector<const Tensor*> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const auto it = node.inputs[i] == kNoValue ? folded_.end() : folded_.find(node.inputs[i]);
      if (node.inputs[i] != kNoValue && (it == folded_.end() || step.quantizers[i] >= 0)) return false;
      inputs.push_back(node.inputs[i] == kNoValue ? nullptr : &it->second);
    }
    OCTET_ASSIGN(std::vector<Tensor> outputs, run_node(node, graph_.opset, inputs));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      folded_[node.outputs[i]] = outputs[i];
      if (auto t = to_torch(outputs[i]); t.is_ok()) m_.bound[static_cast<size_t>(node.outputs[i])] = *t;
    }
    return true;
  }

  Status add_step(size_t i) {
    const Node& node = graph_.nodes[i];
    if (absorbed_.count(node.name) != 0) return Status::ok();
    Step step;
    step.node = i;
    if (const auto norm = norms_.find(i); norm != norms_.end()) step.norm = norm->second;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const auto it = readers_.find({node.name, k});
      step.quantizers.push_back(it == readers_.end() ? -1 : it->second);
    }
    if (const auto pair = pairs_.find(node.name); pair != pairs_.end()) step.pair = pair->second;
    OCTET_ASSIGN(const bool folded, fold(node, step));
    if (folded) return Status::ok();
    OCTET_RETURN_IF_ERROR(check_supported(node));
    step.run = paired_.count(node.name) != 0 ? find_torch_op("Identity") : find_torch_op(node.op_type);
    step.integer_bias = has_integer_bias(node, step);
    step.owns_statistics = node.is("BatchNormalization") && owns(node, 3) && owns(node, 4);
    m_.steps.push_back(std::move(step));
    return Status::ok();
  }

  bool owns(const Node& node, size_t input) const {
    return node.has_input(input) && graph_.is_constant(node.inputs[input]) && folded_.count(node.inputs[input]) == 0;
  }

  // As insert_qdq does: only where both factors are integers.
  bool has_integer_bias(const Node& node, const Step& step) const {
    if (integer_bias_.count(node.name) == 0 || (node.inputs.size() < 3 && step.norm < 0)) return false;
    if (step.quantizers[0] < 0 || step.quantizers[1] < 0) return false;
    const TensorPlan& x = m_.quantizers[static_cast<size_t>(step.quantizers[0])].plan;
    const TensorPlan& w = m_.quantizers[static_cast<size_t>(step.quantizers[1])].plan;
    return dtype_is_integer(x.dtype) && dtype_is_integer(w.dtype) && w.block_size == 0;
  }

  // Who reads a value, and through which quantizers (-1: as it is).
  struct Readers {
    std::vector<Step*> steps;
    std::set<int> quantizers;
    // The one quantizer of all of them that can take a pass along, or -1.
    int only(const std::vector<Quantizer>& all) const {
      if (quantizers.size() != 1 || *quantizers.begin() < 0) return -1;
      return all[static_cast<size_t>(*quantizers.begin())].takes_relu() ? *quantizers.begin() : -1;
    }
  };

  // A Relu that everybody reads through one quantizer needs no pass of its own; an Add before both, neither.
  void find_single_passes() {
    std::vector<Readers> readers(graph_.value_count());
    for (Step& step : m_.steps) {
      const std::vector<ValueId>& inputs = graph_.nodes[step.node].inputs;
      for (size_t k = 0; k < inputs.size(); ++k) {
        if (inputs[k] == kNoValue) continue;
        readers[static_cast<size_t>(inputs[k])].steps.push_back(&step);
        readers[static_cast<size_t>(inputs[k])].quantizers.insert(step.quantizers[k]);
      }
    }
    for (Step& step : m_.steps) {
      const Node& node = graph_.nodes[step.node];
      if (node.is("Relu") && !graph_.is_output(node.outputs[0]))
        step.relu_quantizer = readers[static_cast<size_t>(node.outputs[0])].only(m_.quantizers);
    }
    for (Step& step : m_.steps)
      if (graph_.nodes[step.node].is("Add")) step.sum = sum_of(step, readers);
  }

  SumStep sum_of(const Step& step, const std::vector<Readers>& readers) const {
    const Node& node = graph_.nodes[step.node];
    SumStep sum;
    if (graph_.is_output(node.outputs[0])) return sum;
    const Readers& own = readers[static_cast<size_t>(node.outputs[0])];
    if (own.steps.size() == 1 && own.steps[0]->relu_quantizer >= 0 && own.steps[0]->quantizers[0] < 0)
      sum = {own.steps[0]->relu_quantizer, true, graph_.nodes[own.steps[0]->node].outputs[0], {}};
    else sum = {own.only(m_.quantizers), false, node.outputs[0], {}};
    for (ValueId id : node.inputs) sum.alone.push_back(readers[static_cast<size_t>(id)].steps.size() == 1);
    return sum;
  }

  // Values go once their last reader is done; autograd keeps what it needs itself.
  void plan_releases() {
    std::vector<bool> read(graph_.value_count(), false), released(graph_.value_count(), false);
    for (ValueId id : graph_.outputs) read[static_cast<size_t>(id)] = released[static_cast<size_t>(id)] = true;
    for (const Step& step : m_.steps)
      for (ValueId id : graph_.nodes[step.node].inputs)
        if (id != kNoValue) read[static_cast<size_t>(id)] = true;
    for (size_t s = m_.steps.size(); s-- > 0;) {
      const Node& node = graph_.nodes[m_.steps[s].node];
      for (ValueId id : node.inputs)
        if (id != kNoValue && !released[static_cast<size_t>(id)] && !graph_.is_constant(id)) {
          m_.steps[s].release.push_back(id);
          released[static_cast<size_t>(id)] = true;
        }
      const auto& outputs =
          m_.steps[s].norm < 0 ? node.outputs : graph_.nodes[static_cast<size_t>(m_.steps[s].norm)].outputs;
      for (ValueId id : outputs) m_.steps[s].wanted.push_back(id != kNoValue && read[static_cast<size_t>(id)]);
    }
  }

  TrainableModule::Impl& m_;
  const QuantizationPlan* plan_;
  const Graph* folded_graph_;
  const Graph& graph_;
  std::map<size_t, int64_t> norms_;   // convolution -> the batch normalization that is part of it
  std::set<std::string> absorbed_;    // names of these
  std::map<ValueId, Tensor> folded_;  // constants that training does not change
  std::map<std::pair<std::string, size_t>, int> readers_;
  std::set<std::string> integer_bias_;
  std::set<std::string> paired_;      // QuantizeLinear nodes that pass their input on
  std::map<std::string, int> pairs_;  // DequantizeLinear nodes that end a pair
};

}  // namespace

Status TrainableModule::Impl::build(const QuantizationPlan* plan, const Graph* folded) {
  Status status;
  const Status thrown = guarded([&] { status = Builder(*this, plan, folded).run(); });
  return status.is_ok() ? thrown : status;
}

}  // namespace octet::training
