// AttributeProto <-> Attribute.
#pragma once

#include "octet/graph.h"
#include "onnx/external_data.h"
#include "onnx/schema.h"

namespace octet {

// kUnsupported for subgraphs, sparse tensors, lists of tensors and types. Errors name the attribute, not the node.
Result<Attribute> decode_attribute(onnx::AttributeProto& proto, ExternalReader& external);
// Sets type and value; name, doc string and unknown fields stay as they are.
void encode_attribute(const Attribute& attribute, onnx::AttributeProto& proto);
// The value of a Constant node, whichever of its attributes carries it.
Result<Tensor> constant_value(const Attributes& attributes);

}  // namespace octet
