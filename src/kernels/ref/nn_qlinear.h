// The operators that compute on codes; listed by nn_quant.cpp.
#pragma once

#include "kernels/ref/support.h"

namespace octet::nn {

OpResult qlinear_conv(const OpArgs& args);
OpResult qlinear_matmul(const OpArgs& args);

}  // namespace octet::nn
