// Matrix products with numpy's broadcasting, shared by MatMul, MatMulInteger and QLinearMatMul.
#pragma once

#include "kernels/ref/nn_common.h"

namespace octet::nn {

// numpy.matmul of two tensors of one dtype, kFloat64 or kInt64 (which wraps around). Errors: rank 0, inner sizes that
// differ, batch axes that do not broadcast.
Result<Tensor> matmul_tensors(const Tensor& a, const Tensor& b);

}  // namespace octet::nn
