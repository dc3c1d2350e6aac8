#include "quantization/plan_check.h"

#include <algorithm>
#include <map>

#include "arith/quantize.h"
#include "base/text.h"

namespace octet {
namespace {

Status check_reader(const Graph& graph, ValueId id, const TensorReader& reader, const std::string& place) {
  const Node* node = graph.find_node(reader.node);
  if (node == nullptr) {
    std::vector<std::string> names;
    for (const Node& n : graph.nodes) names.push_back(n.name);
    return not_found(place + ": there is no node '" + reader.node + "'." + did_you_mean(reader.node, names));
  }
  const bool reads = reader.input >= 0 && static_cast<size_t>(reader.input) < node->inputs.size() &&
                     node->inputs[static_cast<size_t>(reader.input)] == id;
  if (reads) return Status::ok();
  return invalid_argument(place + ": input " + std::to_string(reader.input) + " of node '" + reader.node +
                          "' is another tensor");
}

Status check_params(const Graph& graph, ValueId id, const TensorPlan& t, const QuantParams& p,
                    const std::string& place) {
  const Value& v = graph.value(id);
  if (t.role == TensorRole::kWeight) return validate_quant_params(p, v.constant->dims()).at(place);
  if (!p.per_tensor())
    return invalid_argument(place + "/axis: an activation has one scale; only weights have one per channel");
  return validate_quant_params(p, {}).at(place);
}

Status check_tensor(const Graph& graph, const QuantizationPlan& plan, const std::string& name, const TensorPlan& t) {
  const std::string place = "/tensors/" + name;
  const ValueId id = graph.find_value(name);
  if (id == kNoValue) {
    std::vector<std::string> names;
    for (size_t i = 0; i < graph.value_count(); ++i) names.push_back(graph.value(static_cast<ValueId>(i)).name);
    return not_found(place + ": the network has no such tensor." + did_you_mean(name, names));
  }
  const bool constant = graph.is_constant(id);
  if (constant != (t.role != TensorRole::kActivation))
    return invalid_argument(place + "/role: the tensor is " + (constant ? "" : "not ") + "a constant");
  const DType type = constant ? graph.value(id).constant->dtype() : graph.value(id).dtype;
  if (type != DType::kFloat32 && (constant || type != DType::kUndefined))
    return invalid_argument(place + ": only float32 tensors are quantized; this one is " + dtype_name(type));
  for (size_t i = 0; i < t.readers.size(); ++i)
    OCTET_RETURN_IF_ERROR(check_reader(graph, id, t.readers[i], place + "/readers/" + std::to_string(i)));
  if (t.dtype == DType::kFloat16 && constant) return Status::ok();
  if (!t.same_as.empty()) {
    const auto head = plan.tensors.find(t.same_as);
    if (head == plan.tensors.end() || !head->second.same_as.empty())
      return invalid_argument(place + "/same_as: '" + t.same_as +
                              "' is not a tensor of this plan with its own scale; " +
                              "give this tensor a type, scale and zero_point of its own, or remove its line");
  }
  const QuantParams* p = plan.params_of(name);
  if (p == nullptr)
    return invalid_argument(place + "/scale: there is no scale yet; calibrate, and finish the plan with its ranges");
  return check_params(graph, id, t, *p, place);
}

}  // namespace

Status check_plan(const Graph& graph, const QuantizationPlan& plan) {
  std::vector<std::string> names;
  for (const Node& n : graph.nodes) names.push_back(n.name);
  for (size_t i = 0; i < plan.nodes.size(); ++i)
    if (graph.find_node(plan.nodes[i].name) == nullptr)
      return not_found("/nodes/" + std::to_string(i) + ": there is no node '" + plan.nodes[i].name + "'." +
                       did_you_mean(plan.nodes[i].name, names));
  for (const auto& [name, t] : plan.tensors) OCTET_RETURN_IF_ERROR(check_tensor(graph, plan, name, t));
  return Status::ok();
}

namespace {

// How the readers' lines quantize one node.
struct Readers {
  int weights = 0;
  int activations = 0;  // and constants
};

std::map<std::string, Readers> readers_by_node(const QuantizationPlan& plan) {
  std::map<std::string, Readers> found;
  for (const auto& [name, t] : plan.tensors) {
    if (t.dtype == DType::kFloat16) continue;  // only stored so
    for (const TensorReader& reader : t.readers)
      ++(t.role == TensorRole::kWeight ? found[reader.node].weights : found[reader.node].activations);
  }
  return found;
}

void drop_readers(const std::string& node, bool weights_too, QuantizationPlan* plan) {
  for (auto& [name, t] : plan->tensors) {
    if (t.dtype == DType::kFloat16 || (t.role == TensorRole::kWeight && !weights_too)) continue;
    std::erase_if(t.readers, [&](const TensorReader& reader) { return reader.node == node; });
  }
}

bool has_constant_weight(const Graph& graph, const Node* node) {
  if (node == nullptr || node->inputs.size() < 2 || !graph.is_constant(node->inputs[1])) return false;
  return node->is("Conv") || node->is("ConvTranspose") || node->is("Gemm") || node->is("MatMul");
}

// Parts of a SiLU or hard swish count as integer although they read no codes themselves.
bool may_read_nothing(const std::string& op) {
  return op == "Mul" || op == "Div" || op == "Clip" || op == "HardSigmoid";
}

}  // namespace

void honour_decisions(const Graph& graph, QuantizationPlan* plan) {
  std::map<std::string, Readers> readers = readers_by_node(*plan);
  for (NodePlan& n : plan->nodes) {
    const Readers r = readers[n.name];
    const bool weighted = has_constant_weight(graph, graph.find_node(n.name));
    const auto change = [&](NodeDecision decision, const std::string& why) {
      if (decision != NodeDecision::kQuantized) n.integer_bias = false;
      n.decision = decision;
      n.why = why;
      plan->notes.push_back("node '" + n.name + "' " + why);
    };
    switch (n.decision) {
      case NodeDecision::kFloat:
        // A weighted node without a quantized weight may read quantized activations all the same.
        if (r.weights + r.activations == 0 || (weighted && r.weights == 0)) break;
        drop_readers(n.name, true, plan);
        change(NodeDecision::kFloat, "stays in float: the plan says so");
        break;
      case NodeDecision::kWeightOnly:
        if (r.weights == 0) {
          change(NodeDecision::kFloat, "stays in float: no tensor of the plan is its quantized weight");
        } else if (r.activations > 0) {
          drop_readers(n.name, false, plan);
          change(NodeDecision::kWeightOnly, "has quantized weights only: the plan says so");
        }
        break;
      case NodeDecision::kQuantized:
        if (r.weights + r.activations == 0)
          change(NodeDecision::kFloat, "stays in float: no tensor of the plan has it as a reader");
        else if (weighted && r.weights == 0)
          change(NodeDecision::kFloat, "computes in float: no tensor of the plan is its quantized weight");
        else if (weighted && r.activations == 0)
          change(NodeDecision::kWeightOnly,
                 "has quantized weights only: no tensor of the plan is its quantized input");
        break;
      case NodeDecision::kCarries:
      case NodeDecision::kInteger:
        if (r.weights + r.activations == 0 && !may_read_nothing(n.op_type))
          change(NodeDecision::kFloat, "stays in float: no tensor of the plan has it as a reader");
        break;
      case NodeDecision::kFused: break;
    }
  }
}

int opset_for(const QuantizationPlan& plan) {
  int opset = 13;
  for (const auto& [name, t] : plan.tensors) {
    const QuantParams* p = plan.params_of(name);
    if (p == nullptr) continue;
    switch (p->dtype) {
      case DType::kFloat8E4M3:
      case DType::kFloat8E5M2: opset = std::max(opset, 19); break;
      case DType::kInt4:
      case DType::kUint4:
      case DType::kInt16:
      case DType::kUint16: opset = std::max(opset, 21); break;
      default: break;
    }
    if (p->block_size > 0) opset = std::max(opset, 21);
  }
  return opset;
}

}  // namespace octet
