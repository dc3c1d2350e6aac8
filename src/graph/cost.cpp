#include "graph/cost.h"

#include <algorithm>

namespace octet {
namespace {

// Unknown sizes count as 1.
int64_t numel_from(const Shape& shape, size_t first_axis) {
  int64_t n = 1;
  for (size_t i = first_axis; i < shape.size(); ++i) n *= std::max<int64_t>(1, shape[i].coefficient);
  return n;
}

}  // namespace

int64_t multiply_accumulates(const Graph& graph, const Node& node) {
  if (!node.has_input(0) || !node.has_input(1) || node.outputs.empty()) return 0;
  const auto& x = graph.value(node.inputs[0]).shape;
  const auto& w = graph.value(node.inputs[1]).shape;
  const auto& y = graph.value(node.outputs[0]).shape;
  if (!w || !x || !y || w->empty() || x->empty() || y->size() < 2) return 0;
  if (node.is("Conv")) return numel_from(*y, 1) * numel_from(*w, 1);
  if (node.is("ConvTranspose")) return numel_from(*x, 1) * numel_from(*w, 1);
  if (node.is("Gemm") && w->size() == 2)
    return numel_from(*y, 1) * std::max<int64_t>(0, (*w)[node.attr_int("transB", 0) != 0 ? 1 : 0].coefficient);
  if (node.is("MatMul") && x->size() >= 2) return numel_from(*y, 1) * std::max<int64_t>(0, x->back().coefficient);
  return 0;
}

}  // namespace octet
