// The units that sensitivity and search decide on: a layer with the block that follows it.
#pragma once

#include <string>
#include <vector>

#include "octet/quantization.h"

namespace octet {

struct DecisionUnit {
  std::string node;                // the weighted operator, by its exact name
  std::string op_type;             // of it
  std::vector<std::string> nodes;  // the block, graph order: the operator and what belongs to no later one
  std::vector<std::string> skip;   // those of them that must be skipped so that the unit stays in float
};

// One unit for each Conv, ConvTranspose, Gemm and MatMul that reads a quantized tensor, or whose block does, in graph
// order. A node belongs to the last weighted operator that it depends on without another one in between; what stands
// before all of them, to the first that reads it.
std::vector<DecisionUnit> decision_units(const Graph& graph, const QuantizationPlan& plan);

// The plan with all quantizers taken away but those that the unit's nodes read: scales and types as they were.
QuantizationPlan plan_of_unit(const QuantizationPlan& plan, const DecisionUnit& unit);

// The options with the units' nodes in float, by their exact names.
QuantizationOptions skip_units(QuantizationOptions options, const std::vector<DecisionUnit>& units);

}  // namespace octet
