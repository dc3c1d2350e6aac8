// QuantizeLinear and its relatives.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_quantize(OpInference& op);
Status infer_dequantize(OpInference& op);
Status infer_dynamic_quantize(OpInference& op);

}  // namespace octet
