// Partitions a graph into steps: what fuses with what, and which kernel takes which node.
#include <algorithm>

#include "executor/step.h"

namespace octet::exec {
namespace {

class Partition {
 public:
  Partition(const Graph& graph, const std::vector<bool>& is_protected, bool fuse)
      : graph_(graph), index_(graph), protected_(is_protected), fuse_(fuse), taken_(graph.nodes.size(), false) {}

  std::vector<StepPtr> run() {
    // A fused group runs where its last node stands: by then all its inputs are there.
    std::vector<StepPtr> ending_at(graph_.nodes.size());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!taken_[i]) {
        StepPtr step = make(i);
        for (size_t n : step->nodes) taken_[n] = true;
        const size_t last = *std::max_element(step->nodes.begin(), step->nodes.end());
        ending_at[last] = std::move(step);
      }
      if (ending_at[i]) steps_.push_back(std::move(ending_at[i]));
    }
    fill_reads_and_writes();
    mark_last_readers();
    return std::move(steps_);
  }

 private:
  // The order in which kernels are tried, fastest first, reference last.
  StepPtr make(size_t i) {
    const Node& node = graph_.nodes[i];
    if (node.is("Conv") || node.is("ConvTranspose")) {
      const WeightedGroup group = extend(i);
      if (StepPtr step = make_conv_step(graph_, group)) return with_nodes(std::move(step), group.nodes);
    }
    if (fuse_ && node.is("QuantizeLinear"))
      if (StepPtr step = quant_pair(i)) return step;
    if (fuse_ && (node.is("Sigmoid") || node.is("HardSigmoid")))
      if (StepPtr step = swish(i)) return step;
    for (auto make_step : {make_matmul_step, make_pool_step, make_unary_step, make_binary_step, make_movement_step})
      if (StepPtr step = make_step(graph_, i)) return with_nodes(std::move(step), {i});
    return make_reference_step(graph_, {i});
  }

  static StepPtr with_nodes(StepPtr step, std::vector<size_t> nodes) {
    step->nodes = std::move(nodes);
    return step;
  }

  bool hidden(ValueId id) const { return !protected_[static_cast<size_t>(id)]; }

  // The only node that reads a value nobody else may see, if no group has it yet.
  std::optional<size_t> sole_reader(ValueId id) const {
    const auto& uses = index_.uses(id);
    if (!hidden(id) || uses.size() != 1 || taken_[uses[0].node]) return std::nullopt;
    return uses[0].node;
  }

  StepPtr quant_pair(size_t q) {
    const std::optional<size_t> reader = sole_reader(graph_.nodes[q].outputs[0]);
    if (!reader || !graph_.nodes[*reader].is("DequantizeLinear")) return nullptr;
    StepPtr step = make_fake_quant_step(graph_, q, *reader);
    return step ? with_nodes(std::move(step), {q, *reader}) : nullptr;
  }

  // The Mul of x * sigmoid(x), when the sigmoid has no other reader.
  std::optional<size_t> gate_mul(size_t sigmoid, ValueId x) const {
    const std::optional<size_t> mul = sole_reader(graph_.nodes[sigmoid].outputs[0]);
    if (!mul || !graph_.nodes[*mul].is("Mul")) return std::nullopt;
    const auto& in = graph_.nodes[*mul].inputs;
    return std::find(in.begin(), in.end(), x) != in.end() ? mul : std::nullopt;
  }

  StepPtr swish(size_t sigmoid) {
    if (!graph_.nodes[sigmoid].is("Sigmoid")) return nullptr;
    const std::optional<size_t> mul = gate_mul(sigmoid, graph_.nodes[sigmoid].inputs[0]);
    return mul ? with_nodes(make_swish_step(graph_, sigmoid, *mul), {sigmoid, *mul}) : nullptr;
  }

  // Grows a convolution over activations and one residual Add, as far as values stay unseen by others.
  WeightedGroup extend(size_t conv) {
    WeightedGroup group{conv, graph_.nodes[conv].outputs[0], kNoValue, {}, {conv}};
    while (fuse_ && hidden(group.output) &&
           (append_silu(group) || append_activation(group) || append_residual(group, conv))) {
    }
    return group;
  }

  bool append_activation(WeightedGroup& group) {
    const std::optional<size_t> next = sole_reader(group.output);
    if (!next) return false;
    const std::optional<PostOp> op = as_post_op(graph_, graph_.nodes[*next]);
    if (!op) return false;
    return append(group, *next, *op);
  }

  bool append_silu(WeightedGroup& group) {
    const auto& uses = index_.uses(group.output);
    if (uses.size() != 2) return false;
    for (const GraphIndex::Use& use : uses) {
      if (!graph_.nodes[use.node].is("Sigmoid")) continue;
      const std::optional<size_t> mul = gate_mul(use.node, group.output);
      if (!mul || (uses[0].node != *mul && uses[1].node != *mul)) continue;
      group.nodes.push_back(use.node);
      return append(group, *mul, {PostOp::Kind::kSwish, 0, 0});
    }
    return false;
  }

  // Add of a tensor of the same shape. When that is another convolution's output, the later one takes the Add.
  bool append_residual(WeightedGroup& group, size_t conv) {
    const std::optional<size_t> add = sole_reader(group.output);
    if (!add || group.residual != kNoValue || !graph_.nodes[*add].is("Add")) return false;
    const auto& in = graph_.nodes[*add].inputs;
    const ValueId other = in[0] == group.output ? in[1] : in[0];
    if (other == group.output || made_by_later_convolution(other, conv)) return false;
    const auto& mine = graph_.value(group.output).shape;
    const auto& theirs = graph_.value(other).shape;
    if (!mine || !theirs || *mine != *theirs) return false;
    for (const Dim& d : *mine)
      if (!d.is_known()) return false;
    if (graph_.is_constant(other)) return false;
    group.residual = other;
    return append(group, *add, {PostOp::Kind::kAddResidual, 0, 0});
  }

  bool made_by_later_convolution(ValueId id, size_t conv) const {
    const int64_t producer = index_.producer(id);
    return producer > static_cast<int64_t>(conv) && graph_.nodes[static_cast<size_t>(producer)].is("Conv");
  }

  bool append(WeightedGroup& group, size_t node, PostOp op) {
    group.nodes.push_back(node);
    group.post_ops.push_back(op);
    group.output = graph_.nodes[node].outputs[0];
    return true;
  }

  void fill_reads_and_writes() {
    for (StepPtr& step : steps_) {
      for (size_t n : step->nodes) {
        for (ValueId id : graph_.nodes[n].inputs)
          if (id != kNoValue) step->reads.push_back(id);
        for (ValueId id : graph_.nodes[n].outputs)
          if (id != kNoValue) step->writes.push_back(id);
      }
    }
  }

  // A value dies after the last step that touches it, unless it is a graph output or a constant.
  void mark_last_readers() {
    std::vector<Step*> last(graph_.value_count(), nullptr);
    for (StepPtr& step : steps_) {
      for (ValueId id : step->reads) last[static_cast<size_t>(id)] = step.get();
      for (ValueId id : step->writes) last[static_cast<size_t>(id)] = step.get();
    }
    for (size_t v = 0; v < last.size(); ++v) {
      const auto id = static_cast<ValueId>(v);
      if (last[v] != nullptr && !graph_.is_constant(id) && !graph_.is_output(id)) last[v]->dying.push_back(id);
    }
  }

  const Graph& graph_;
  GraphIndex index_;
  const std::vector<bool>& protected_;
  bool fuse_;
  std::vector<bool> taken_;
  std::vector<StepPtr> steps_;
};

}  // namespace

std::vector<StepPtr> make_steps(const Graph& graph, const std::vector<bool>& is_protected, bool fuse) {
  return Partition(graph, is_protected, fuse).run();
}

}  // namespace octet::exec
