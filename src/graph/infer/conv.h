// Convolutions, pooling and the rules for windows that they share.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_conv(OpInference& op);
Status infer_conv_integer(OpInference& op);
Status infer_qlinear_conv(OpInference& op);
Status infer_conv_transpose(OpInference& op);
Status infer_max_pool(OpInference& op);
Status infer_average_pool(OpInference& op);
Status infer_global_pool(OpInference& op);

}  // namespace octet
