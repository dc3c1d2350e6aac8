#include "passes/shape_values.h"

#include <algorithm>

#include "passes/constant_values.h"

namespace octet {
namespace {

constexpr int64_t kLongestShape = 64;

class Tracer {
 public:
  explicit Tracer(const Graph& graph) : graph_(graph), values_(graph.value_count()) {}

  std::vector<std::optional<ShapeValue>> trace() {
    for (const Node& node : graph_.nodes) {
      if (node.outputs.size() != 1 || node.outputs[0] == kNoValue || node.inputs.empty()) continue;
      values_[static_cast<size_t>(node.outputs[0])] = evaluate(node);
    }
    return std::move(values_);
  }

 private:
  std::optional<ShapeValue> evaluate(const Node& node) const {
    if (node.is("Shape")) return shape(node);
    if (node.is("Gather")) return gather(node);
    if (node.is("Slice")) return slice(node);
    if (node.is("Concat")) return concat(node);
    if (node.is("Identity")) return input(node, 0);
    if (node.is("Unsqueeze")) return reshape(node, true);
    if (node.is("Squeeze")) return reshape(node, false);
    return std::nullopt;
  }

  // Constants count when every element can be a dimension.
  std::optional<ShapeValue> input(const Node& node, size_t i) const {
    if (!node.has_input(i)) return std::nullopt;
    const Tensor* tensor = constant_input(graph_, node, i);
    if (tensor == nullptr) return values_[static_cast<size_t>(node.inputs[i])];
    if (tensor->dtype() != DType::kInt64 || tensor->rank() > 1 || tensor->numel() > kLongestShape)
      return std::nullopt;
    ShapeValue value{{}, tensor->rank() == 0};
    for (int64_t k = 0; k < tensor->numel(); ++k) {
      if (tensor->data<int64_t>()[k] < 0) return std::nullopt;
      value.dims.push_back(Dim::of(tensor->data<int64_t>()[k]));
    }
    return value;
  }

  std::optional<ShapeValue> shape(const Node& node) const {
    if (!node.has_input(0)) return std::nullopt;
    const std::optional<Shape>& whole = graph_.value(node.inputs[0]).shape;
    if (!whole || static_cast<int64_t>(whole->size()) > kLongestShape) return std::nullopt;
    const auto rank = static_cast<int64_t>(whole->size());
    auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
    const int64_t start = clamped(node.attr_int("start", 0));
    const int64_t end = clamped(node.attr_int("end", rank));
    if (start >= end) return ShapeValue{};
    return ShapeValue{{whole->begin() + start, whole->begin() + end}, false};
  }

  std::optional<ShapeValue> gather(const Node& node) const {
    const std::optional<ShapeValue> data = input(node, 0);
    const std::optional<std::vector<int64_t>> indices = integer_input(graph_, node, 1);
    const int64_t axis = node.attr_int("axis", 0);
    if (!data || data->is_scalar || !indices || (axis != 0 && axis != -1)) return std::nullopt;
    const Tensor& index_tensor = *constant_input(graph_, node, 1);
    if (index_tensor.rank() > 1 || index_tensor.numel() > kLongestShape) return std::nullopt;
    const auto length = static_cast<int64_t>(data->dims.size());
    ShapeValue picked{{}, index_tensor.rank() == 0};
    for (int64_t i : *indices) {
      if (i < -length || i >= length) return std::nullopt;
      picked.dims.push_back(data->dims[static_cast<size_t>(i < 0 ? i + length : i)]);
    }
    return picked;
  }

  // One bound of a one-dimensional Slice: from the attribute (opset < 10) or the input.
  std::optional<int64_t> bound(const Node& node, const std::string& attribute, size_t i) const {
    const std::vector<int64_t> listed = node.attr_ints(attribute);
    if (listed.size() == 1) return listed[0];
    const std::optional<std::vector<int64_t>> given = integer_input(graph_, node, i);
    if (!given || given->size() != 1) return std::nullopt;
    return given->front();
  }

  std::optional<ShapeValue> slice(const Node& node) const {
    const std::optional<ShapeValue> data = input(node, 0);
    const std::optional<int64_t> starts = bound(node, "starts", 1);
    const std::optional<int64_t> ends = bound(node, "ends", 2);
    if (!data || data->is_scalar || !starts || !ends) return std::nullopt;
    if (node.has_input(4)) {
      const std::optional<int64_t> step = bound(node, "", 4);
      if (!step || *step != 1) return std::nullopt;
    }
    const auto length = static_cast<int64_t>(data->dims.size());
    auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + length : at, 0, length); };
    const int64_t from = clamped(*starts);
    const int64_t to = clamped(*ends);
    if (from >= to) return ShapeValue{};
    return ShapeValue{{data->dims.begin() + from, data->dims.begin() + to}, false};
  }

  std::optional<ShapeValue> concat(const Node& node) const {
    ShapeValue joined;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const std::optional<ShapeValue> part = input(node, i);
      if (!part || part->is_scalar) return std::nullopt;
      joined.dims.insert(joined.dims.end(), part->dims.begin(), part->dims.end());
      if (static_cast<int64_t>(joined.dims.size()) > kLongestShape) return std::nullopt;
    }
    return joined;
  }

  // Between a scalar and a list of one; the only axis there is is 0 (or -1), whichever way the opset gives it.
  std::optional<ShapeValue> reshape(const Node& node, bool to_list) const {
    std::optional<ShapeValue> value = input(node, 0);
    if (!value || value->dims.size() != 1 || value->is_scalar != to_list) return std::nullopt;
    value->is_scalar = !to_list;
    return value;
  }

  const Graph& graph_;
  std::vector<std::optional<ShapeValue>> values_;
};

}  // namespace

std::vector<std::optional<ShapeValue>> trace_shape_values(const Graph& graph) { return Tracer(graph).trace(); }

}  // namespace octet
