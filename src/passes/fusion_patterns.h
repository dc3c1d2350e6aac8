// Groups of nodes that an executor runs as one and that a quantizer treats as one (no Q/DQ inside). Queries only:
// they change nothing. All of them answer only for groups whose inner values nobody outside the group reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet {

// The only node that reads `value`, once, when it is not a graph output.
std::optional<size_t> single_reader(const Graph& graph, const GraphIndex& index, ValueId value);
// Elementwise with one data input: Relu, Clip, Sigmoid, HardSwish, ...; Softmax is none.
bool is_activation(const Node& node);
// Conv, ConvTranspose, Gemm, MatMul.
bool is_weighted_op(const Node& node);
bool is_weighted_op(const std::string& op_type);  // of ai.onnx

struct ActivationMatch {
  std::string kind;  // "SiLU", "HardSwish", "HardSigmoid" or "GELU" for chains, else the operator's name
  ValueId input = kNoValue;
  ValueId output = kNoValue;
  std::vector<size_t> nodes;  // ascending; the last one makes `output`
};
using SiluMatch = ActivationMatch;

// x * Sigmoid(x), `mul_node` being the Mul.
std::optional<SiluMatch> match_silu(const Graph& graph, const GraphIndex& index, size_t mul_node);
// The chain that ends in `node`; also an operator HardSwish or Gelu.
std::optional<ActivationMatch> match_hard_swish(const Graph& graph, const GraphIndex& index, size_t node);
std::optional<ActivationMatch> match_gelu(const Graph& graph, const GraphIndex& index, size_t node);
// The activation, operator or chain, that is all that reads `value`.
std::optional<ActivationMatch> activation_after(const Graph& graph, const GraphIndex& index, ValueId value);

// (x - mean) / sqrt(variance + epsilon) [* scale] [+ bias] spelled out, or an operator LayerNormalization.
struct LayerNormMatch {
  ValueId input = kNoValue;
  ValueId output = kNoValue;
  ValueId scale = kNoValue;  // absent when the chain has none
  ValueId bias = kNoValue;
  double epsilon = 1e-5;
  std::vector<size_t> nodes;  // ascending
};
// `node` is the Div of the chain, or the operator.
std::optional<LayerNormMatch> match_layer_norm(const Graph& graph, const GraphIndex& index, size_t node);

// Conv [BatchNormalization] [Add of a skip tensor] [activation], each part the only reader of the one before. Of two
// weighted branches that meet in an Add, the one that is computed last owns it and the other one is the skip. The
// skip may be computed after the Conv (but before the Add): run the group where its last node stands.
struct WeightedChain {
  size_t weighted = 0;
  std::optional<size_t> batch_norm;
  std::optional<size_t> add;
  ValueId skip = kNoValue;  // the other operand of `add`: same shape, not constant
  std::optional<ActivationMatch> activation;
  ValueId output = kNoValue;
  std::vector<size_t> nodes;  // in the order of the chain
};
// nullopt when `node` is not a weighted operator; a chain of one when nothing follows that fits.
std::optional<WeightedChain> match_weighted_chain(const Graph& graph, const GraphIndex& index, size_t node);

enum class PatternKind { kConvBatchNorm, kConvActivation, kConvAdd, kConvAddActivation, kActivation, kLayerNorm };
const char* pattern_kind_name(PatternKind kind);

struct Pattern {
  PatternKind kind;
  std::vector<size_t> nodes;
  ValueId input;  // data input of the first node
  ValueId skip;   // of kConvAdd and kConvAddActivation
  ValueId output;
  std::string activation;  // its kind, or ""
};
// All groups of two or more nodes, weighted chains first choice, none overlapping, ordered by first node. "Conv" in
// the names of kinds stands for any weighted operator.
std::vector<Pattern> find_patterns(const Graph& graph, const GraphIndex& index);

}  // namespace octet
