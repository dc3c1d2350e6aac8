// Reference operators: slow, obvious, exact to the ONNX definition. The oracle for every other implementation.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "octet/graph.h"

namespace octet {

// What an operator sees. Optional inputs that are absent are nullptr. `opset` is the version of the node's domain.
struct OpArgs {
  const Node& node;
  int opset;
  std::vector<const Tensor*> inputs;

  bool has(size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  const Tensor& in(size_t i) const { return *inputs[i]; }
};

// One tensor per node output, in order; an output that the node omits may be left undefined. Bad shapes, types and
// values give a sentence without the node's name: the interpreter adds it.
using RefOp = Result<std::vector<Tensor>> (*)(const OpArgs& args);

struct RefOpEntry {
  std::string_view op_type;  // of domain ai.onnx
  RefOp run;
};

// nullptr when the operator is unknown.
RefOp find_ref_op(std::string_view op_type);
// Every operator there is, sorted by name.
std::vector<std::string_view> all_ref_ops();

}  // namespace octet
