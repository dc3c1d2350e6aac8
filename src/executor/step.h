// One unit of work of the executor: a node or a fused group of nodes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "executor/frame.h"
#include "octet/graph.h"

namespace octet::exec {

class Step {
 public:
  virtual ~Step() = default;
  // Reads and writes slots of the frame. Safe to call from several threads with different frames.
  virtual Status run(Frame& frame) const = 0;
  // "oneDNN convolution", "reference", ...
  virtual std::string kernel() const = 0;

  std::vector<size_t> nodes;   // indices into graph.nodes, in order
  std::vector<ValueId> reads;  // constants included
  std::vector<ValueId> writes;
  std::vector<ValueId> dying;  // values that no later step reads
};

using StepPtr = std::unique_ptr<Step>;

// An element-wise function applied where another kernel stores its result.
struct PostOp {
  enum class Kind {
    kRelu,  // x < 0 ? alpha * x : x
    kClip,  // min(max(x, alpha), beta)
    kSigmoid,
    kSwish,  // x * sigmoid(x)
    kHardSwish,
    kHardSigmoid,  // clip(alpha * x + beta, 0, 1)
    kTanh,
    kElu,
    kMish,
    kGeluErf,
    kGeluTanh,
    kExp,
    kSqrt,
    kAbs,
    kAddResidual,  // adds the group's residual tensor
  };
  Kind kind;
  float alpha = 0;
  float beta = 0;
};

// The element-wise function that a node with one variable input computes, if it is one a kernel can store through.
std::optional<PostOp> as_post_op(const Graph& graph, const Node& node);

// A weighted operator with everything that was fused into its store.
struct WeightedGroup {
  size_t node;                  // Conv or ConvTranspose
  ValueId output = kNoValue;    // of the last fused node
  ValueId residual = kNoValue;  // added before or after the activation, in post_ops' order
  std::vector<PostOp> post_ops;
  std::vector<size_t> nodes;
};

// Each returns null when the node is not for it; the caller then tries the next (see steps.cpp for the order).
StepPtr make_conv_step(const Graph& graph, const WeightedGroup& group);
StepPtr make_matmul_step(const Graph& graph, size_t node);
StepPtr make_pool_step(const Graph& graph, size_t node);
StepPtr make_unary_step(const Graph& graph, size_t node);
StepPtr make_swish_step(const Graph& graph, size_t sigmoid_node, size_t mul_node);
StepPtr make_binary_step(const Graph& graph, size_t node);
StepPtr make_movement_step(const Graph& graph, size_t node);
StepPtr make_fake_quant_step(const Graph& graph, size_t quantize_node, size_t dequantize_node);
StepPtr make_reference_step(const Graph& graph, std::vector<size_t> nodes);

// Runs nodes one after the other on the reference operators; the fallback of every fused step.
Status run_reference(const Graph& graph, const std::vector<size_t>& nodes, Frame& frame);

// Partitions the graph into steps, fusing where no protected value (graph output, tap) would vanish.
std::vector<StepPtr> make_steps(const Graph& graph, const std::vector<bool>& is_protected, bool fuse);

}  // namespace octet::exec
