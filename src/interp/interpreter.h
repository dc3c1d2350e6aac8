// Runs a graph node by node with the reference operators: the oracle for passes, executor and engine.
#pragma once

#include <functional>
#include <vector>

#include "octet/graph.h"

namespace octet {

// Sees every value as it is produced (graph inputs included, constants excluded).
using InterpTap = std::function<void(ValueId id, const Tensor& value)>;

// inputs: one tensor per graph.inputs. Returns one per graph.outputs. Values are freed after their last reader.
Result<std::vector<Tensor>> interpret(const Graph& graph, const std::vector<Tensor>& inputs,
                                      const InterpTap& tap = {});

// Runs one node on given tensors (nullptr: absent); errors name the node.
Result<std::vector<Tensor>> run_node(const Node& node, int opset, std::vector<const Tensor*> inputs);

}  // namespace octet
