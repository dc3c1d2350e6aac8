// Row-major N,C,H,W <-> channels-last N,H,W,C copies of float tensors, on the calling run's threads.
#pragma once

#include "octet/tensor.h"

namespace octet::exec {

void to_channels_last(const float* src, float* dst, const Dims& dims);  // dims: logical N,C,H,W
void to_plain(const float* src, float* dst, const Dims& dims);

}  // namespace octet::exec
