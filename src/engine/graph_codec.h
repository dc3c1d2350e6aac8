// The graphs of islands in a .octet file: values, nodes, attributes and constants, without what only ONNX files need
// (doc strings, metadata, the shell).
#pragma once

#include "engine/program_codec.h"

namespace octet::engine {

template <>
struct LastOf<DType> {
  static constexpr DType value = DType::kBool;
};

template <>
struct Fields<Graph> {
  static void visit(Writer& a, const Graph& graph);
  static void visit(Reader& a, Graph& graph);  // ids and names are unchecked but for uniqueness: graph/verify.h
};

}  // namespace octet::engine
