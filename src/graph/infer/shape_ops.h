// Operators that change or read the shape and leave the elements alone, and those that make tensors from shapes.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_reshape(OpInference& op);
Status infer_flatten(OpInference& op);
Status infer_squeeze(OpInference& op);
Status infer_unsqueeze(OpInference& op);
Status infer_transpose(OpInference& op);
Status infer_expand(OpInference& op);
Status infer_tile(OpInference& op);
Status infer_shape(OpInference& op);
Status infer_size(OpInference& op);
Status infer_constant(OpInference& op);
Status infer_constant_of_shape(OpInference& op);
Status infer_range(OpInference& op);
Status infer_eye_like(OpInference& op);

}  // namespace octet
