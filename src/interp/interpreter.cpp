#include "interp/interpreter.h"

#include <map>
#include <new>
#include <stdexcept>

#include "kernels/ref/ref_op.h"

namespace octet {
namespace {

std::string describe(const Node& node) {
  const std::string op = node.domain.empty() ? node.op_type : node.domain + "::" + node.op_type;
  return "node '" + node.name + "' (" + op + ")";
}

// Sizes of the symbols that earlier inputs have fixed.
using Symbols = std::map<std::string, int64_t>;

// kOk when `actual` is an instance of `declared`. Symbols met for the first time are bound.
bool matches(const Shape& declared, const Dims& actual, Symbols& symbols) {
  if (declared.size() != actual.size()) return false;
  for (size_t d = 0; d < declared.size(); ++d) {
    const Dim& dim = declared[d];
    if (!dim.is_known()) continue;
    if (dim.is_static()) {
      if (dim.coefficient != actual[d]) return false;
      continue;
    }
    if (dim.coefficient < 1 || actual[d] % dim.coefficient != 0) return false;
    const int64_t size = actual[d] / dim.coefficient;
    if (symbols.emplace(dim.symbol, size).first->second != size) return false;
  }
  return true;
}

Status check_inputs(const Graph& graph, const std::vector<Tensor>& inputs) {
  if (inputs.size() != graph.inputs.size())
    return invalid_argument("the network has " + std::to_string(graph.inputs.size()) + " inputs but got " +
                            std::to_string(inputs.size()));
  Symbols symbols;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = graph.value(graph.inputs[i]);
    const std::string who = "input '" + value.name + "' expects ";
    if (!inputs[i].defined()) return invalid_argument(who + "a tensor but got none");
    if (value.dtype != DType::kUndefined && value.dtype != inputs[i].dtype())
      return invalid_argument(who + dtype_name(value.dtype) + " but got " + dtype_name(inputs[i].dtype()));
    if (!value.shape) continue;
    Symbols bound = symbols;
    if (!matches(*value.shape, inputs[i].dims(), bound)) {
      std::string earlier;
      for (const auto& [symbol, size] : symbols)
        earlier += (earlier.empty() ? "" : ", ") + symbol + " = " + std::to_string(size);
      return invalid_argument(who + shape_to_string(*value.shape) + " but got " + dims_to_string(inputs[i].dims()) +
                              (earlier.empty() ? "" : " (other inputs have " + earlier + ")"));
    }
    symbols = std::move(bound);
  }
  return Status::ok();
}

// All values of one run: constants of the graph, and what has been produced and is still needed.
class Run {
 public:
  Run(const Graph& graph, const InterpTap& tap)
      : graph_(graph), tap_(tap), values_(graph.value_count()), readers_(graph.value_count(), 0) {
    for (const Node& node : graph.nodes)
      for (ValueId id : node.inputs)
        if (id != kNoValue) ++readers_[static_cast<size_t>(id)];
    for (ValueId id : graph.outputs) ++readers_[static_cast<size_t>(id)];  // never given up
  }

  void put(ValueId id, Tensor tensor) {
    if (tap_) tap_(id, tensor);
    if (readers_[static_cast<size_t>(id)] > 0) values_[static_cast<size_t>(id)] = std::move(tensor);
  }

  const Tensor* get(ValueId id) const {
    const Tensor& produced = values_[static_cast<size_t>(id)];
    if (produced.defined()) return &produced;
    const auto& constant = graph_.value(id).constant;
    return constant ? &*constant : nullptr;
  }

  void give_up(ValueId id) {
    if (--readers_[static_cast<size_t>(id)] == 0) values_[static_cast<size_t>(id)] = Tensor();
  }

  Status step(const Node& node);

 private:
  const Graph& graph_;
  const InterpTap& tap_;
  std::vector<Tensor> values_;
  std::vector<int64_t> readers_;  // reads to come
};

Status Run::step(const Node& node) {
  std::vector<const Tensor*> inputs;
  for (ValueId id : node.inputs) {
    inputs.push_back(id == kNoValue ? nullptr : get(id));
    if (id != kNoValue && inputs.back() == nullptr)
      return invalid_argument(describe(node) + ": its input '" + graph_.value(id).name + "' has no value yet");
  }
  OCTET_ASSIGN(std::vector<Tensor> outputs, run_node(node, graph_.opset, std::move(inputs)));
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoValue) put(node.outputs[i], std::move(outputs[i]));
  for (ValueId id : node.inputs)
    if (id != kNoValue) give_up(id);
  return Status::ok();
}

}  // namespace

Result<std::vector<Tensor>> run_node(const Node& node, int opset, std::vector<const Tensor*> inputs) {
  const RefOp op = node.domain.empty() || node.domain == "ai.onnx" ? find_ref_op(node.op_type) : nullptr;
  if (op == nullptr) return unsupported(describe(node) + ": there is no such operator in Octet");
  try {
    OCTET_ASSIGN(std::vector<Tensor> outputs, op(OpArgs{node, opset, std::move(inputs)}).at(describe(node)));
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoValue && (i >= outputs.size() || !outputs[i].defined()))
        return unsupported(describe(node) + ": its output " + std::to_string(i) + " is not computed");
    return outputs;
  } catch (const std::bad_alloc&) {
    return resource_limit(describe(node) + ": not enough memory");
  } catch (const std::length_error& error) {
    return resource_limit(describe(node) + ": " + error.what());
  }
}

Result<std::vector<Tensor>> interpret(const Graph& graph, const std::vector<Tensor>& inputs, const InterpTap& tap) {
  OCTET_RETURN_IF_ERROR(check_inputs(graph, inputs));
  Run run(graph, tap);
  for (size_t i = 0; i < inputs.size(); ++i) run.put(graph.inputs[i], inputs[i]);
  for (const Node& node : graph.nodes) OCTET_RETURN_IF_ERROR(run.step(node));
  std::vector<Tensor> outputs;
  for (ValueId id : graph.outputs) {
    const Tensor* tensor = id == kNoValue ? nullptr : run.get(id);
    if (tensor == nullptr) return invalid_argument("a graph output is never produced");
    outputs.push_back(*tensor);
  }
  return outputs;
}

}  // namespace octet
