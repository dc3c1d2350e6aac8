// Facts about a float graph that placement, rules and checks share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet {

// A graph with who makes and who reads each value. Valid until the graph is edited.
struct Network {
  explicit Network(const Graph& g) : graph(g), index(g) {}
  const Graph& graph;
  GraphIndex index;

  const Node& node(size_t i) const { return graph.nodes[i]; }
  const Value& value(ValueId id) const { return graph.value(id); }
  // The node that makes the value; nullptr for graph inputs and constants.
  const Node* maker(ValueId id) const;
  // A float32 tensor that is computed when the network runs.
  bool is_dynamic_float(ValueId id) const;
  bool is_float_constant(ValueId id) const;
};

bool is_weighted(const Node& node);  // Conv, ConvTranspose, Gemm, MatMul

// The input of a weighted op that holds constant float32 weights: 1, or 0 for a constant on the left; -1 for none.
int weight_input(const Network& net, size_t node);

// The axis of a weighted op's constant operand along which each output channel has its own scale: Conv 0,
// ConvTranspose 1
// (-1 with groups: axis 1 then repeats in every group and axis 0 is summed over), Gemm by transA and transB, MatMul
// the last axis on the right and the one before it on the left. -1 also when the rank has no such axis.
int weight_channel_axis(const Node& node, int input, int rank);
// The axis that is summed over, along which groups of weights share a scale: the input channels.
int weight_group_axis(const Node& node, int input, int rank);

struct ChannelCounts {
  int64_t in = 0;
  int64_t out = 0;
};
// Channels of a Conv or ConvTranspose from its weight; nullopt when the weight is not constant.
std::optional<ChannelCounts> conv_channels(const Network& net, size_t node);
bool is_depthwise(const Network& net, size_t node);
// Product of the dims that one output element sums over; 0 when unknown.
int64_t fan_in(const Network& net, size_t node);
// Gemm or MatMul whose activation has one row, and is known to.
bool is_gemv(const Network& net, size_t node);

// An Add of two computed tensors. `skip` is the input (0 or 1) with fewer weighted ops between it and the tensor
// where both branches part; with equally many the one that is computed first. nullopt for additions of constants and
// of other types.
struct AddBranches {
  int skip = 1;
  bool residual = false;  // both inputs go back to a common tensor
};
std::optional<AddBranches> add_branches(const Network& net, size_t node);

// For each node whether a graph output can be reached from it without another weighted op.
std::vector<bool> reaches_output_unweighted(const Network& net);
// The last convolutions of a detector's branches: convolutions behind which only unweighted ops lead to the outputs,
// when there are several of them and no Gemm or MatMul ends the network. Empty for other networks.
std::vector<size_t> detection_head(const Network& net);
// Those of them that give box coordinates: a multiple of 4 channels and no Sigmoid or Softmax on top; all of the head
// when no branch stands out (one convolution gives boxes and classes together). Also a convolution whose Softmax is
// reduced by a 1-channel convolution (a distribution over distances).
std::vector<size_t> box_regression(const Network& net);

// The fused end of an op: follows operators of `fused` while each is the only reader of what stands before it.
// Returns the value at the end and, in *through, the nodes that were passed.
ValueId end_of_fusion(const Network& net, ValueId value, const std::vector<bool>& fused,
                      std::vector<size_t>* through);

}  // namespace octet
