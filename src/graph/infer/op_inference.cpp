#include "graph/infer/op_inference.h"

#include <algorithm>
#include <cmath>

namespace octet {
namespace {

// Whole numbers up to 2^24 are exact in float32, so shape arithmetic that some exporters do in floats stays exact.
constexpr double kLargestWholeFloat = 16777216.0;

template <class T>
std::vector<MaybeInt> whole_floats(const Tensor& tensor) {
  std::vector<MaybeInt> elements;
  const T* data = tensor.data<T>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const double v = static_cast<double>(data[i]);
    const bool whole = std::fabs(v) <= kLargestWholeFloat && v == std::floor(v);
    elements.push_back(whole ? MaybeInt(SymInt(static_cast<int64_t>(v))) : std::nullopt);
  }
  return elements;
}

}  // namespace

OpInference::OpInference(const Graph& graph, const Node& n, const std::vector<std::optional<SymTensor>>& followed,
                         SymbolTable& table)
    : node(n), opset(graph.opset), symbols(table), graph_(graph), followed_(followed), outputs_(n.outputs.size()) {}

DType OpInference::dtype(size_t i) const { return has(i) ? graph_.value(node.inputs[i]).dtype : DType::kUndefined; }

const Shape* OpInference::shape(size_t i) const {
  if (!has(i)) return nullptr;
  const MaybeShape& s = graph_.value(node.inputs[i]).shape;
  return s ? &*s : nullptr;
}

const Tensor* OpInference::constant(size_t i) const {
  if (!has(i)) return nullptr;
  const std::optional<Tensor>& c = graph_.value(node.inputs[i]).constant;
  return c ? &*c : nullptr;
}

std::optional<SymTensor> OpInference::values(size_t i) const {
  if (const Tensor* tensor = constant(i)) return follow_constant(*tensor);
  if (!has(i)) return std::nullopt;
  return followed_[static_cast<size_t>(node.inputs[i])];
}

std::optional<std::vector<int64_t>> OpInference::ints(size_t i) const {
  if (const Tensor* tensor = constant(i)) {
    if (tensor->numel() > kMaxSymElements || dtype_is_float(tensor->dtype())) return std::nullopt;
    auto all = to_int64s(*tensor);
    return all.is_ok() ? std::optional(std::move(all).value()) : std::nullopt;
  }
  const auto known = values(i);
  if (!known) return std::nullopt;
  std::vector<int64_t> out;
  for (const MaybeInt& e : known->elements) {
    if (!e || !e->is_constant()) return std::nullopt;
    out.push_back(e->constant());
  }
  return out;
}

std::optional<std::optional<std::vector<int64_t>>> OpInference::ints_from(size_t i,
                                                                          const std::string& attribute) const {
  if (has(i)) return ints(i);
  if (node.attributes.count(attribute) == 0) return std::nullopt;
  return std::optional(node.attr_ints(attribute));
}

void OpInference::set(size_t output, DType dtype, MaybeShape shape) {
  if (output >= outputs_.size()) return;
  outputs_[output].dtype = dtype;
  outputs_[output].shape = std::move(shape);
}

void OpInference::set_values(size_t output, std::optional<SymTensor> values) {
  if (output < outputs_.size()) outputs_[output].values = std::move(values);
}

MaybeShape shape_of(const OpInference& op, size_t input) {
  const Shape* s = op.shape(input);
  return s != nullptr ? MaybeShape(*s) : std::nullopt;
}

Shape unknown_shape(size_t rank) { return Shape(rank, Dim::unknown()); }

MaybeInt numel_of(const SymbolTable& symbols, const Shape& shape) {
  MaybeInt n = SymInt(1);
  for (const Dim& d : shape) {
    if (d == Dim::of(0)) return SymInt(0);
    n = sym_mul(n, symbols.from_dim(d));
  }
  return n;
}

Result<size_t> normalize_axis(int64_t axis, size_t rank) {
  const auto r = static_cast<int64_t>(rank);
  if (axis < -r || axis >= r)
    return invalid_argument("axis " + std::to_string(axis) + " does not exist in a tensor of rank " +
                            std::to_string(rank));
  return static_cast<size_t>(axis < 0 ? axis + r : axis);
}

Result<std::vector<size_t>> normalize_axes(const std::vector<int64_t>& axes, size_t rank) {
  std::vector<size_t> out;
  std::vector<bool> seen(rank, false);
  for (int64_t axis : axes) {
    OCTET_ASSIGN(const size_t a, normalize_axis(axis, rank));
    if (seen[a]) return invalid_argument("axis " + std::to_string(axis) + " is listed twice");
    seen[a] = true;
    out.push_back(a);
  }
  return out;
}

Result<Dim> unify(const Dim& a, const Dim& b) {
  if (a.is_static() && b.is_static() && a != b)
    return invalid_argument("the sizes " + std::to_string(a.coefficient) + " and " + std::to_string(b.coefficient) +
                            " must be equal");
  if (a.is_static() || !b.is_known()) return a;
  return b.is_static() || !a.is_known() ? b : a;
}

Result<Dim> broadcast_dim(const Dim& a, const Dim& b) {
  if (a == Dim::of(1)) return b;
  if (b == Dim::of(1) || a == b) return a;
  if (a.is_static() && b.is_static())
    return invalid_argument("the sizes " + std::to_string(a.coefficient) + " and " + std::to_string(b.coefficient) +
                            " do not broadcast");
  if (a.is_static()) return a;
  return b.is_static() ? b : Dim::unknown();
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const size_t shift = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    OCTET_ASSIGN(out[i + shift], broadcast_dim(longer[i + shift], shorter[i]));
  }
  return out;
}

Result<MaybeShape> broadcast_inputs(const OpInference& op, size_t from, size_t to) {
  MaybeShape out = Shape{};
  for (size_t i = from; i < to; ++i) {
    const Shape* s = op.shape(i);
    if (s == nullptr) return MaybeShape();
    OCTET_ASSIGN(out, broadcast(*out, *s));
  }
  return out;
}

Result<DType> common_dtype(const OpInference& op, size_t from, size_t to) {
  DType common = DType::kUndefined;
  for (size_t i = from; i < to; ++i) {
    const DType d = op.dtype(i);
    if (d == DType::kUndefined) continue;
    if (common != DType::kUndefined && d != common)
      return invalid_argument(std::string("the inputs must have one type, but ") + dtype_name(common) + " meets " +
                              dtype_name(d));
    common = d;
  }
  return common;
}

Status expect_rank(const OpInference& op, size_t input, size_t least, size_t most) {
  const Shape* s = op.shape(input);
  if (s == nullptr || (s->size() >= least && s->size() <= most)) return Status::ok();
  const std::string want = least == most              ? std::to_string(least)
                           : most == size_t{kMaxRank} ? std::to_string(least) + " or more"
                                                      : std::to_string(least) + " to " + std::to_string(most);
  return invalid_argument("input " + std::to_string(input) + " must have rank " + want + ", but it has rank " +
                          std::to_string(s->size()));
}

std::optional<SymTensor> follow_constant(const Tensor& tensor) {
  if (!tensor.defined() || tensor.numel() > kMaxSymElements) return std::nullopt;
  SymTensor out{tensor.dims(), {}};
  if (tensor.dtype() == DType::kFloat32) {
    out.elements = whole_floats<float>(tensor);
  } else if (tensor.dtype() == DType::kFloat64) {
    out.elements = whole_floats<double>(tensor);
  } else {
    const auto ints = to_int64s(tensor);
    if (!ints.is_ok()) return std::nullopt;
    for (int64_t v : ints.value()) out.elements.emplace_back(SymInt(v));
  }
  return out;
}

std::optional<SymTensor> scalar_values(MaybeInt value) { return SymTensor{{}, {std::move(value)}}; }

std::optional<SymTensor> vector_values(std::vector<MaybeInt> elements) {
  const auto n = static_cast<int64_t>(elements.size());
  if (n > kMaxSymElements) return std::nullopt;
  return SymTensor{{n}, std::move(elements)};
}

std::optional<SymTensor> reshape_values(std::optional<SymTensor> values, const MaybeShape& shape) {
  if (!values || !shape || !is_static(*shape)) return std::nullopt;
  const auto n = checked_numel(to_dims(*shape));
  if (!n.is_ok() || n.value() != static_cast<int64_t>(values->elements.size())) return std::nullopt;
  values->dims = to_dims(*shape);
  return values;
}

}  // namespace octet
