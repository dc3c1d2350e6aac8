// Which constants of a graph a state dict holds, and in which layout.
#pragma once

#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet::zoo {

struct StateValue {
  ValueId id = kNoValue;
  std::string name;
  Dims dims;                // in the state dict
  bool transposed = false;  // a matrix that only MatMul reads, from the right: [in, out] here, [out, in] there
  bool trained = true;      // false: the running mean or variance of a batch norm
};

// All float32 constants of rank 1 and more that the network computes with, in the order of the graph's values; not
// those that only say how (the scales of a Resize).
std::vector<StateValue> state_values(const Graph& graph);

// The transpose of a float32 matrix.
Result<Tensor> transposed(const Tensor& matrix);

}  // namespace octet::zoo
