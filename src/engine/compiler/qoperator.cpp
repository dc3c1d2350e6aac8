#include "engine/compiler/qoperator.h"

namespace octet::engine {
namespace {

class Expander {
 public:
  explicit Expander(Graph& graph) : graph_(graph) {}

  Result<int> run() {
    const std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    int count = 0;
    for (const Node& node : nodes) {
      const bool conv = node.is("QLinearConv");
      if (!conv && !node.is("QLinearMatMul")) {
        graph_.nodes.push_back(node);
        continue;
      }
      ++count;
      expand(node, conv);
    }
    if (count > 0) OCTET_RETURN_IF_ERROR(graph_.sort_topologically());
    return count;
  }

 private:
  void expand(const Node& node, bool conv) {
    const std::vector<ValueId>& in = node.inputs;
    const ValueId x = dequantize(node.name + "_x", {in[0], in[1], in[2]}, -1);
    const ValueId w = dequantize(node.name + "_w", {in[3], in[4], in[5]}, conv ? 0 : 1);
    std::vector<ValueId> operands{x, w};
    if (conv && node.has_input(8)) operands.push_back(bias(node));
    const size_t core = graph_.add_node(conv ? "Conv" : "MatMul", operands, {node.name + "_real"},
                                        node.attributes, node.name);
    const ValueId real = graph_.nodes[core].outputs[0];
    describe(real, DType::kFloat32, node.outputs[0]);
    Node quantize;
    quantize.name = graph_.unique_node_name(node.name + "_q");
    quantize.op_type = "QuantizeLinear";
    quantize.inputs = {real, in[6], in[7]};
    quantize.outputs = node.outputs;
    graph_.nodes.push_back(std::move(quantize));
  }

  void describe(ValueId id, DType dtype, ValueId like) {
    graph_.value(id).dtype = dtype;
    graph_.value(id).shape = graph_.value(like).shape;
  }

  ValueId dequantize(const std::string& name, std::vector<ValueId> inputs, int64_t axis) {
    Attributes attributes;
    const std::optional<Shape>& scale = graph_.value(inputs[1]).shape;
    if (axis >= 0 && scale && !scale->empty() && !(scale->size() == 1 && (*scale)[0] == Dim::of(1)))
      attributes["axis"] = axis;
    const ValueId like = inputs[0];
    const size_t n = graph_.add_node("DequantizeLinear", std::move(inputs), {name + "_real"}, attributes, name + "_dq");
    describe(graph_.nodes[n].outputs[0], DType::kFloat32, like);
    return graph_.nodes[n].outputs[0];
  }

  // INT32 codes of scale x_scale * w_scale, when both are constant; otherwise the node keeps no integer bias and the
  // verifier would have refused it.
  ValueId bias(const Node& node) {
    const std::optional<Tensor>&xs = graph_.value(node.inputs[1]).constant, &ws = graph_.value(node.inputs[4]).constant;
    Tensor scale(DType::kFloat32, ws ? ws->dims() : Dims{});
    for (int64_t i = 0; i < scale.numel(); ++i)
      scale.data<float>()[i] = (xs ? *xs->data<float>() : 1.0f) * (ws ? ws->data<float>()[i] : 1.0f);
    if (scale.numel() == 1) scale = scale.reshaped({});
    const ValueId s = graph_.add_constant(node.name + "_bias_scale", scale);
    return dequantize(node.name + "_bias", {node.inputs[8], s}, 0);
  }

  Graph& graph_;
};

}  // namespace

Result<int> expand_qoperators(Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (!node.is("QLinearConv") && !node.is("QLinearMatMul")) continue;
    for (size_t i : {1, 4, 6}) {
      const bool known = node.has_input(i) && graph.is_constant(node.inputs[i]) &&
                         graph.value(node.inputs[i]).constant->dtype() == DType::kFloat32;
      if (!known) return 0;  // scales computed at run time: the interpreter's operators run the node as it is
    }
  }
  return Expander(graph).run();
}

}  // namespace octet::engine
