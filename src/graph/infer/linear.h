// Matrix products.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_matmul(OpInference& op);
Status infer_matmul_integer(OpInference& op);
Status infer_qlinear_matmul(OpInference& op);
Status infer_gemm(OpInference& op);
Status infer_einsum(OpInference& op);

}  // namespace octet
