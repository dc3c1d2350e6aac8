// One-line shape inference for tests.
#pragma once

#include <string>

#include "graph/shape_inference.h"
#include "graph/text.h"
#include "graph/verify.h"

namespace octet::test {

inline std::string type_of(const Value& v) {
  return std::string(dtype_name(v.dtype)) + (v.shape ? shape_to_string(*v.shape) : "?");
}

// Parses `body` (inputs, constants and nodes in the text form), infers, and gives the types of the last node's
// outputs: "float32[N, 64], int64[N]"; or "error: " and the sentence.
inline std::string infer(const std::string& body, int opset = 17,
                         const std::map<std::string, Dims>& input_dims = {}) {
  auto graph = parse_text("graph \"t\" opset " + std::to_string(opset) + "\n" + body);
  if (!graph.is_ok()) return "parse error: " + graph.status().message();
  for (ValueId id : graph->nodes.back().outputs)
    if (id != kNoValue) graph->outputs.push_back(id);
  const Status valid = verify(*graph);
  if (!valid.is_ok()) return "verify error: " + valid.message();
  const Status inferred = infer_shapes(*graph, input_dims);
  if (!inferred.is_ok()) return "error: " + inferred.message();
  std::string out;
  for (ValueId id : graph->outputs) out += (out.empty() ? "" : ", ") + type_of(graph->value(id));
  return out;
}

}  // namespace octet::test
