#include <algorithm>

#include "graph/shape_inference.h"
#include "octet/zoo.h"
#include "passes/pass.h"

namespace octet {
namespace {

const char* const kHeads[] = {"stride8", "stride16", "stride32"};
constexpr int64_t kBox = 4;

int64_t channels_of(const Graph& graph, ValueId id) {
  const auto& shape = graph.value(id).shape;
  return shape && shape->size() == 4 && (*shape)[1].is_static() ? (*shape)[1].coefficient : -1;
}

bool is_detector(const Graph& graph) {
  if (graph.outputs.size() != std::size(kHeads)) return false;
  const int64_t channels = channels_of(graph, graph.outputs[0]);
  for (size_t i = 0; i < std::size(kHeads); ++i) {
    const ValueId id = graph.outputs[i];
    if (graph.value(id).name != kHeads[i] || channels_of(graph, id) != channels) return false;
  }
  return channels > kBox + 1;
}

ValueId append(Graph& graph, const std::string& op, std::vector<ValueId> inputs, const std::string& name,
               Attributes attributes) {
  return graph.nodes[graph.add_node(op, std::move(inputs), {name}, std::move(attributes), name)].outputs[0];
}

// One head [N, 5 + classes, h, w] to [N, 5 + classes, cells], logits to probabilities.
ValueId flat_head(Graph& graph, ValueId head, int64_t channels) {
  const std::string path = graph.value(head).name + "/";
  const ValueId sizes = graph.add_constant(path + "sizes", Tensor::from<int64_t>({2}, {kBox, channels - kBox}));
  const size_t split =
      graph.add_node("Split", {head, sizes}, {path + "box", path + "logits"}, {{"axis", int64_t{1}}}, path + "split");
  const ValueId box = graph.nodes[split].outputs[0], logits = graph.nodes[split].outputs[1];
  const ValueId chances = append(graph, "Sigmoid", {logits}, path + "probabilities", {});
  const ValueId joined = append(graph, "Concat", {box, chances}, path + "concat", {{"axis", int64_t{1}}});
  const ValueId shape = graph.add_constant(path + "shape", Tensor::from<int64_t>({3}, {0, channels, -1}));
  return append(graph, "Reshape", {joined, shape}, path + "flat", {});
}

void join_heads(Graph& graph) {
  const int64_t channels = channels_of(graph, graph.outputs[0]);
  std::vector<ValueId> heads;
  for (ValueId head : graph.outputs) heads.push_back(flat_head(graph, head, channels));
  const ValueId all = append(graph, "Concat", heads, "heads", {{"axis", int64_t{2}}});
  graph.outputs = {append(graph, "Transpose", {all}, "output", {{"perm", std::vector<int64_t>{0, 2, 1}}})};
}

}  // namespace

Result<Graph> deploy(const Graph& graph) {
  Graph deployed = graph;
  OCTET_RETURN_IF_ERROR(infer_shapes(deployed));
  if (is_detector(deployed)) join_heads(deployed);
  OCTET_RETURN_IF_ERROR(fuse_branches(deployed).status());
  OCTET_RETURN_IF_ERROR(run_passes(deployed).status());
  return deployed;
}

}  // namespace octet
