#include "engine/graph_codec.h"

namespace octet::engine {

template <>
struct Fields<Dim> {
  template <class A, class V>
  static void visit(A& a, V& v) {
    a(v.coefficient, v.symbol);
  }
};

template <>
struct Fields<Value> {
  template <class A, class V>
  static void visit(A& a, V& v) {
    a(v.name, v.dtype, v.shape, v.constant);
  }
};

template <>
struct Fields<Node> {
  template <class A, class V>
  static void visit(A& a, V& v) {
    a(v.name, v.op_type, v.domain, v.inputs, v.outputs, v.attributes);
  }
};

namespace {

constexpr size_t kMostDims = 64;

template <class A, class V>
void visit_all_but_values(A& a, V& graph) {
  a(graph.name, graph.opset, graph.other_opsets, graph.nodes, graph.inputs, graph.outputs);
}

bool is_valid(const Dim& dim) {
  if (!dim.symbol.empty()) return dim.coefficient >= 1;
  return dim.coefficient >= -1;
}

bool is_valid(const std::optional<Shape>& shape) {
  if (!shape) return true;
  if (shape->size() > kMostDims) return false;
  for (const Dim& dim : *shape)
    if (!is_valid(dim)) return false;
  return true;
}

}  // namespace

void Fields<Graph>::visit(Writer& a, const Graph& graph) {
  a(static_cast<uint64_t>(graph.value_count()));
  for (size_t i = 0; i < graph.value_count(); ++i) a(graph.value(static_cast<ValueId>(i)));
  visit_all_but_values(a, graph);
}

void Fields<Graph>::visit(Reader& a, Graph& graph) {
  uint64_t count = 0;
  a(count);
  for (uint64_t i = 0; a.ok() && i < count; ++i) {
    Value value;
    a(value);
    if (!a.ok() || !is_valid(value.shape)) return a.fail();
    const ValueId id = graph.add_value(value.name, value.dtype, std::move(value.shape));
    graph.value(id).constant = std::move(value.constant);
    if (graph.value(id).name != value.name) return a.fail();  // empty or used twice
  }
  visit_all_but_values(a, graph);
}

}  // namespace octet::engine
