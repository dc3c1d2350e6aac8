#include "zoo/state_names.h"

#include <algorithm>

namespace octet::zoo {
namespace {

bool is_setting(const Node& node, size_t input) {
  return input > 0 && (node.is("Resize") || node.is("Clip") || node.is("Pad") || node.is("Dropout"));
}

bool is_statistic(const Node& node, size_t input) { return node.is("BatchNormalization") && input >= 3; }

}  // namespace

std::vector<StateValue> state_values(const Graph& graph) {
  const GraphIndex index(graph);
  std::vector<StateValue> states;
  for (size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    const Value& value = graph.value(id);
    if (!value.constant || value.constant->dtype() != DType::kFloat32 || value.constant->rank() == 0) continue;
    const auto& uses = index.uses(id);
    const auto all = [&](auto condition) {
      return std::all_of(uses.begin(), uses.end(),
                         [&](const GraphIndex::Use& use) { return condition(graph.nodes[use.node], use.input); });
    };
    if (uses.empty() || all(is_setting)) continue;
    StateValue state{id, value.name, value.constant->dims(), false, !all(is_statistic)};
    state.transposed = value.constant->rank() == 2 &&
                       all([](const Node& node, size_t input) { return node.is("MatMul") && input == 1; });
    if (state.transposed) std::swap(state.dims[0], state.dims[1]);
    states.push_back(std::move(state));
  }
  return states;
}

Result<Tensor> transposed(const Tensor& matrix) {
  const int64_t rows = matrix.dim(0), columns = matrix.dim(1);
  OCTET_ASSIGN(Tensor result, Tensor::create(DType::kFloat32, {columns, rows}));
  const float* from = matrix.data<float>();
  float* to = result.data<float>();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  return result;
}

}  // namespace octet::zoo
