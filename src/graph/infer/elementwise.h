// Operators whose output has the (broadcast) shape of their inputs.
#pragma once

#include "graph/infer/op_inference.h"

namespace octet {

Status infer_same(OpInference& op);        // Relu, Exp, ...: type and shape of input 0
Status infer_identity(OpInference& op);    // Identity, Floor, Ceil, Round: also the followed elements
Status infer_negate(OpInference& op);      // Neg
Status infer_arithmetic(OpInference& op);  // Add, Sub, Mul, Div, Mod, Min, Max, Sum, Mean
Status infer_pow(OpInference& op);
Status infer_compare(OpInference& op);     // Equal, Greater, GreaterOrEqual, Less, LessOrEqual
Status infer_logic(OpInference& op);       // And, Or, Xor, Not
Status infer_is_special(OpInference& op);  // IsInf, IsNaN
Status infer_where(OpInference& op);
Status infer_prelu(OpInference& op);
Status infer_cast(OpInference& op);
Status infer_cast_like(OpInference& op);
Status infer_dropout(OpInference& op);

}  // namespace octet
