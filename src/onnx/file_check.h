// Is this an ONNX file at all, and is it complete?
#pragma once

#include <string_view>

#include "octet/status.h"

namespace octet {

// Walks the outermost fields of the file, without memory of its own, to tell "not an ONNX model" from "cut off" and
// "damaged": protobuf's parser says only that it failed.
Status check_onnx_file(std::string_view bytes);

}  // namespace octet
