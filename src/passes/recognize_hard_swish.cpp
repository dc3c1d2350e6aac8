#include "passes/composed_activations.h"
#include "passes/graph_editor.h"
#include "passes/rewrites.h"

namespace octet {
namespace {

constexpr int kHardSwishOpset = 14;

Attributes sixth_and_half() { return {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}}; }

// The root becomes the recognized operator; what stood before it is dead unless somebody else reads it.
void become(GraphEditor& editor, size_t root, const std::string& op_type, ValueId input, Attributes attributes) {
  Node& node = editor.node(root);
  for (size_t i = 0; i < node.inputs.size(); ++i) editor.set_input(root, i, kNoValue);
  node.inputs.resize(1);
  editor.set_input(root, 0, input);
  node.op_type = op_type;
  node.attributes = std::move(attributes);
}

Result<int> recognize_hard_sigmoids(Graph& graph) {
  const GraphIndex index(graph);
  GraphEditor editor(graph);
  int rewrites = 0;
  // Backwards, so that a match never sees a root that was already rewritten.
  for (size_t i = editor.node_count(); i-- > 0;) {
    const std::optional<ComposedActivation> match = hard_sigmoid_at(graph, index, i);
    if (!match) continue;
    become(editor, i, "HardSigmoid", match->input, sixth_and_half());
    ++rewrites;
  }
  OCTET_RETURN_IF_ERROR(editor.finish());
  return rewrites;
}

bool is_canonical(const Graph& graph, const ComposedActivation& match) {
  return match.nodes.size() == 2 && graph.nodes[match.nodes[0]].is("HardSigmoid");
}

Result<int> recognize_hard_swishes(Graph& graph) {
  const GraphIndex index(graph);
  GraphEditor editor(graph);
  int rewrites = 0;
  for (size_t i = editor.node_count(); i-- > 0;) {
    const std::optional<ComposedActivation> match = hard_swish_at(graph, index, i);
    if (!match) continue;
    if (graph.opset >= kHardSwishOpset) {
      become(editor, i, "HardSwish", match->input, {});
    } else {
      if (is_canonical(graph, *match)) continue;
      const std::string name = editor.node(i).name + ".hard_sigmoid";
      const ValueId gate = editor.insert("HardSigmoid", {match->input}, name, sixth_and_half(), name);
      become(editor, i, "Mul", match->input, {});
      editor.set_input(i, 1, gate);
    }
    ++rewrites;
  }
  OCTET_RETURN_IF_ERROR(editor.finish());
  return rewrites;
}

}  // namespace

Result<int> recognize_hard_swish(Graph& graph, const PassOptions&) {
  OCTET_ASSIGN(const int sigmoids, recognize_hard_sigmoids(graph));
  OCTET_ASSIGN(const int swishes, recognize_hard_swishes(graph));
  return sigmoids + swishes;
}

}  // namespace octet
