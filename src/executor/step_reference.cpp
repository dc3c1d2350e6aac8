// Any node on its reference operator: the last resort, always right.
#include "executor/step.h"
#include "interp/interpreter.h"

namespace octet::exec {
namespace {

class ReferenceStep : public Step {
 public:
  explicit ReferenceStep(const Graph& graph) : graph_(graph) {}
  std::string kernel() const override { return "reference"; }
  Status run(Frame& frame) const override { return run_reference(graph_, nodes, frame); }

 private:
  const Graph& graph_;
};

}  // namespace

Status run_reference(const Graph& graph, const std::vector<size_t>& nodes, Frame& frame) {
  for (size_t index : nodes) {
    const Node& node = graph.nodes[index];
    std::vector<Tensor> held(node.inputs.size());
    std::vector<const Tensor*> inputs(node.inputs.size(), nullptr);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNoValue) continue;
      OCTET_ASSIGN(held[i], frame.plain(node.inputs[i]));
      inputs[i] = &held[i];
    }
    OCTET_ASSIGN(std::vector<Tensor> outputs, run_node(node, graph.opset, inputs));
    for (size_t i = 0; i < node.outputs.size() && i < outputs.size(); ++i)
      if (node.outputs[i] != kNoValue) frame.set(node.outputs[i], outputs[i], false);
  }
  return Status::ok();
}

StepPtr make_reference_step(const Graph& graph, std::vector<size_t> nodes) {
  auto step = std::make_unique<ReferenceStep>(graph);
  step->nodes = std::move(nodes);
  return step;
}

}  // namespace octet::exec
