// Reductions along axes.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_reduce(OpInference& op);
Status infer_arg_extreme(OpInference& op);  // ArgMax, ArgMin
Status infer_cum_sum(OpInference& op);

}  // namespace octet
