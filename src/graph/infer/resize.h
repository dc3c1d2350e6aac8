// Operators that change the spatial resolution without a kernel.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_resize(OpInference& op);
Status infer_upsample(OpInference& op);
Status infer_depth_to_space(OpInference& op);
Status infer_space_to_depth(OpInference& op);

}  // namespace octet
