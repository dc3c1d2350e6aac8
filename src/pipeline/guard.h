// The selective regime's check on data: which layers lose too much to 8 bits by themselves?
#pragma once

#include <string>
#include <vector>

#include "octet/pipeline.h"

namespace octet {

struct LayerLoss {
  std::string node;
  double sqnr_db = 0;  // of the node's output, when only its own weight and input are quantized
};

// Measures every quantized Conv, ConvTranspose, Gemm and MatMul of the plan on a few images: each gets a twin in the
// graph that computes with quantized operands, so that one pass over the float network measures all of them.
// In graph order.
Result<std::vector<LayerLoss>> isolated_losses(const Graph& graph, const QuantizationPlan& plan, const Dataset& data,
                                               const std::vector<int64_t>& images, const RunOptions& options);

}  // namespace octet
