// y = scale[c] * x + shift[c] per output channel, folded into the weights that made x.
#pragma once

#include <optional>
#include <vector>

#include "passes/graph_editor.h"

namespace octet {

// An empty vector stands for scale 1 or shift 0; otherwise one entry per output channel.
struct ChannelAffine {
  std::vector<double> scale;
  std::vector<double> shift;
};

// Conv, ConvTranspose, Gemm or MatMul with a constant float32 or float64 weight.
struct WeightedNode {
  size_t node;
  int64_t channels;  // of the output
  int channel_axis;  // of the output: 1, or the last one for MatMul
  int output_rank;   // 0 when it is not known
};

std::optional<WeightedNode> weighted_node(const GraphEditor& editor, size_t node);

// Rewrites weight and bias (created when missing; a MatMul with a shift becomes Gemm). False, and nothing changed,
// when the bias is not a constant per channel, a MatMul's left side is not a matrix, or a new number would not be
// finite.
bool fold_channel_affine(GraphEditor& editor, const WeightedNode& weighted, const ChannelAffine& affine);

}  // namespace octet
