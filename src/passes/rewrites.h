// The passes, one function and one file each; pass.h says what they all promise, pass.cpp in which order they run.
#pragma once

#include "passes/pass.h"

namespace octet {

// Restores topological order; 1 when the order changed.
Result<int> sort_nodes(Graph& graph, const PassOptions& options);

// Replaces nodes whose inputs are all constant by their result, and shape arithmetic (Shape, Gather, Slice, Concat,
// ...) whose dimensions are static although the whole shape is not. Left alone: random operators, nodes that make a
// graph output, results above the size limit, QuantizeLinear and DequantizeLinear unless
// options.fold_quantized_weights. Uses inferred shapes: an operator that can grow its input is folded only when its
// output shape is known.
Result<int> fold_constants(Graph& graph, const PassOptions& options);

// Removes nodes that hand their input on unchanged, bit for bit: Identity, Dropout at inference, Cast to the same
// type, Reshape and the like to the same shape, Transpose that moves nothing or undoes the one before, full Slice,
// Pad by 0, Concat of one, Resize by 1, 1x1 pooling with stride 1, Mul and Div by 1, Sub of 0. A node between a graph
// input (or constant, or another graph output) and a graph output stays: both names are promised to the user.
Result<int> remove_identity(Graph& graph, const PassOptions& options);

// Merges nodes that compute the same from the same inputs, and equal small constants (floating constants only when
// they have one element: equal weights of two layers stay two weights, for training may part them). Leaves Q/DQ and
// random operators alone.
Result<int> eliminate_common_subexpressions(Graph& graph, const PassOptions& options);

// Clip(x + 3, 0, 6) / 6 becomes HardSigmoid(x, 1/6, 1/2); x times it, in any arrangement of the factors, becomes
// HardSwish(x) from opset 14 on and Mul(x, HardSigmoid(x)) before. Constants may be off by 1e-5 of their value.
Result<int> recognize_hard_swish(Graph& graph, const PassOptions& options);

// Folds BatchNormalization (inference) into the Conv, ConvTranspose, Gemm or MatMul whose only reader it is; MatMul
// becomes Gemm. W' = W * g / sqrt(var + eps), b' = (b - mean) * g / sqrt(var + eps) + beta, computed in double.
// Constants with other readers are copied first.
Result<int> fold_batch_norm(Graph& graph, const PassOptions& options);

// Folds Mul, Div, Add and Sub with a constant per output channel (or a single number) into the Conv, ConvTranspose,
// Gemm or MatMul whose only reader it is. Constants with other readers are copied first.
Result<int> fold_mul_add(Graph& graph, const PassOptions& options);

// Removes nodes that no graph output depends on, drops optional outputs that nobody reads, and compacts the values.
Result<int> eliminate_dead_code(Graph& graph, const PassOptions& options);

}  // namespace octet
