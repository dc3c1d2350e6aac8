// Normalisations: the shape stays, the parameters must fit.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_batch_norm(OpInference& op);
Status infer_channel_norm(OpInference& op);  // InstanceNormalization, GroupNormalization
Status infer_layer_norm(OpInference& op);
Status infer_along_axis(OpInference& op);  // Softmax, LogSoftmax, Hardmax, LpNormalization
Status infer_lrn(OpInference& op);

}  // namespace octet
