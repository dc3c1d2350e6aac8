// ValueInfoProto <-> type and shape of a Value.
#pragma once

#include <optional>

#include "octet/graph.h"
#include "onnx/schema.h"

namespace octet {

struct ValueType {
  DType dtype = DType::kUndefined;
  std::optional<Shape> shape;
};

// Absent type: everything unknown. kUnsupported for sequences, maps, optionals and element types such as strings.
Result<ValueType> decode_value_type(const onnx::ValueInfoProto& proto);

// Writes type and shape of `value` into `proto` (which holds the name, and perhaps what the file said before). What
// the file said stays where Octet knows less: names of dimensions, documentation, denotations, unknown fields.
void encode_value_type(const Value& value, onnx::ValueInfoProto& proto);

}  // namespace octet
