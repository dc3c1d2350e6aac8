// Names of an untrusted file end up in messages, reports and other files.
#pragma once

#include "octet/status.h"
#include "onnx/schema.h"

namespace octet {

// Every name that reaches the Graph (values, nodes, operators, domains, attributes, dimensions, metadata) must be
// UTF-8 without control characters, as the ONNX standard asks for; kDataCorrupt shows the first that is not.
Status check_names(const onnx::ModelProto& model);

}  // namespace octet
