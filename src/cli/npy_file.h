// Tensors as .npy files.
#pragma once

#include <string>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet::cli {

// NumPy's format version 1 (NEP 1), little-endian, C order. kUnsupported for types that NumPy does not have.
Status write_npy(const std::string& path, const Tensor& tensor);

}  // namespace octet::cli
