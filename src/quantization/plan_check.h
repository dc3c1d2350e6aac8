// A plan may come from a file that a person edited: everything it says is checked against the graph before use.
#pragma once

#include "octet/quantization.h"

namespace octet {

// Errors name the JSON path: a tensor, node or input that the graph lacks, a type that cannot be, scales and zero
// points that do not fit the tensor, same_as that leads nowhere.
Status check_plan(const Graph& graph, const QuantizationPlan& plan);
// Makes decisions and readers agree, so that reports tell what the file computes: a node that the plan calls float
// loses its quantized readers (weight_only: those of its activations), a node whose lines are gone becomes float, and
// a changed line gets a note. Leaves the plans that finish() makes as they are.
void honour_decisions(const Graph& graph, QuantizationPlan* plan);
// The opset that the plan's types need: 13, 19 for FP8, 21 for 4 and 16 bits and for groups.
int opset_for(const QuantizationPlan& plan);

}  // namespace octet
