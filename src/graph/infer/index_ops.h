// Operators that pick, cut, join or place parts of tensors.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_concat(OpInference& op);
Status infer_split(OpInference& op);
Status infer_slice(OpInference& op);
Status infer_pad(OpInference& op);
Status infer_gather(OpInference& op);
Status infer_gather_elements(OpInference& op);
Status infer_gather_nd(OpInference& op);
Status infer_scatter_elements(OpInference& op);
Status infer_scatter_nd(OpInference& op);
Status infer_one_hot(OpInference& op);
Status infer_top_k(OpInference& op);
Status infer_non_zero(OpInference& op);
Status infer_non_max_suppression(OpInference& op);
Status infer_trilu(OpInference& op);

}  // namespace octet
