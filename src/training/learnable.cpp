#include "training/learnable.h"

#include <algorithm>
#include <map>

#include "base/text.h"

namespace octet::training {
namespace {

// Inputs that are parameters by the operator's own definition.
const std::map<std::string, std::vector<size_t>, std::less<>> kParameterInputs = {
    {"BatchNormalization", {1, 2}}, {"Conv", {1, 2}},   {"ConvTranspose", {1, 2}},
    {"Einsum", {0, 1, 2, 3}},       {"Gather", {0}},    {"Gemm", {0, 1, 2}},
    {"GroupNormalization", {1, 2}}, {"MatMul", {0, 1}}, {"InstanceNormalization", {1, 2}},
    {"LayerNormalization", {1, 2}}, {"PRelu", {1}},
};

bool passes_through(const Node& node) {
  for (const char* op : {"Identity", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"})
    if (node.is(op)) return true;
  return false;
}

class Finder {
 public:
  explicit Finder(const Graph& graph) : graph_(graph), index_(graph) {}

  std::set<ValueId> run() {
    for (const Node& node : graph_.nodes) {
      if (!node.domain.empty()) continue;
      const auto it = kParameterInputs.find(node.op_type);
      if (it != kParameterInputs.end())
        for (size_t i : it->second)
          if (node.has_input(i)) take(node.inputs[i]);
      if (node.is("Add") || node.is("Mul")) take_vector_operand(node);
    }
    return found_;
  }

 private:
  bool is_float_constant(ValueId id) const {
    const auto& constant = graph_.value(id).constant;
    return constant && constant->dtype() == DType::kFloat32 && constant->numel() > 0;
  }

  void take(ValueId id) {
    for (int64_t p = index_.producer(id); p >= 0; p = index_.producer(id)) {
      const Node& node = graph_.nodes[static_cast<size_t>(p)];
      if (!passes_through(node) || !node.has_input(0)) return;
      id = node.inputs[0];
    }
    if (is_float_constant(id)) found_.insert(id);
  }

  // "x + vector" after a matrix product is a bias; "x / deviation * vector + vector" is a layer normalization spelled
  // out. Other constants in sums and products (grids, strides, means) are part of the function.
  void take_vector_operand(const Node& node) {
    if (node.inputs.size() != 2) return;
    for (size_t side : {size_t{0}, size_t{1}}) {
      const ValueId id = node.inputs[side], other = node.inputs[1 - side];
      if (id == kNoValue || other == kNoValue || !is_float_constant(id)) continue;
      const Tensor& t = *graph_.value(id).constant;
      const int64_t p = index_.producer(other);
      if (t.rank() != 1 || t.numel() < 2 || p < 0) continue;
      const Node& before = graph_.nodes[static_cast<size_t>(p)];
      const bool bias = node.is("Add") && (before.is("MatMul") || before.is("Gemm"));
      const bool scale = node.is("Mul") && before.is("Div");
      const bool shift = node.is("Add") && before.is("Mul") && has_found(before);
      if (bias || scale || shift) found_.insert(id);
    }
  }

  bool has_found(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return found_.count(id) != 0; });
  }

  const Graph& graph_;
  GraphIndex index_;
  std::set<ValueId> found_;
};

Result<std::vector<ValueId>> matching(const Graph& graph, const std::string& pattern, const char* option) {
  std::vector<ValueId> ids;
  std::vector<std::string> names;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const Value& v = graph.value(static_cast<ValueId>(i));
    if (!v.constant || v.constant->dtype() != DType::kFloat32) continue;
    names.push_back(v.name);
    if (v.name == pattern || (is_glob(pattern) && glob_match(pattern, v.name)))
      ids.push_back(static_cast<ValueId>(i));
  }
  if (ids.empty())
    return not_found(std::string(option) + ": no float32 constant of the network is called '" + pattern + "'." +
                     did_you_mean(pattern, names));
  return ids;
}

}  // namespace

Result<std::set<ValueId>> learnable_constants(const Graph& graph, const TrainableOptions& options) {
  std::set<ValueId> found = Finder(graph).run();
  for (ValueId id : running_statistics(graph)) found.erase(id);
  for (const std::string& pattern : options.train) {
    OCTET_ASSIGN(const std::vector<ValueId> ids, matching(graph, pattern, "train"));
    found.insert(ids.begin(), ids.end());
  }
  for (const std::string& pattern : options.freeze) {
    OCTET_ASSIGN(const std::vector<ValueId> ids, matching(graph, pattern, "freeze"));
    for (ValueId id : ids) found.erase(id);
  }
  return found;
}

std::set<ValueId> running_statistics(const Graph& graph) {
  std::set<ValueId> ids;
  for (const Node& node : graph.nodes) {
    if (!node.is("BatchNormalization")) continue;
    for (size_t i : {size_t{3}, size_t{4}})
      if (node.has_input(i) && graph.is_constant(node.inputs[i]) &&
          graph.value(node.inputs[i]).constant->dtype() == DType::kFloat32)
        ids.insert(node.inputs[i]);
  }
  return ids;
}

}  // namespace octet::training
