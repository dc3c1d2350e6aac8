#include <algorithm>

#include "graph/infer/index_ops.h"

namespace octet {
namespace {

// The elements of a vector; those of a tensor that is not followed are unknown, but counted.
std::optional<std::vector<MaybeInt>> elements_of(const OpInference& op, size_t input) {
  if (auto v = op.values(input)) return std::move(v->elements);
  const Shape* s = op.shape(input);
  if (s == nullptr || !(*s)[0].is_static() || (*s)[0].coefficient > kMaxSymElements) return std::nullopt;
  return std::vector<MaybeInt>(static_cast<size_t>((*s)[0].coefficient));
}

std::optional<SymTensor> joined_values(const OpInference& op, size_t rank) {
  if (rank != 1) return std::nullopt;
  std::vector<MaybeInt> all;
  for (size_t i = 0; i < op.input_count(); ++i) {
    const auto part = elements_of(op, i);
    if (!part || all.size() + part->size() > kMaxSymElements) return std::nullopt;
    all.insert(all.end(), part->begin(), part->end());
  }
  return vector_values(std::move(all));
}

// One size per output of Split; an error when they do not add up.
Result<std::vector<MaybeInt>> split_sizes(OpInference& op, const Dim& dim, size_t parts) {
  const auto given = op.ints_from(1, "split");
  if (given && !*given) return std::vector<MaybeInt>(parts);
  if (given) {
    const std::vector<int64_t>& sizes = **given;
    if (sizes.size() != parts)
      return invalid_argument("it lists " + std::to_string(sizes.size()) + " sizes for " + std::to_string(parts) +
                              " outputs");
    int64_t total = 0;
    for (int64_t s : sizes)
      if (s < 0 || __builtin_add_overflow(total, s, &total))
        return invalid_argument("a size of the split is negative");
    if (dim.is_static() && total != dim.coefficient)
      return invalid_argument("the sizes add up to " + std::to_string(total) + ", but the axis has " +
                              std::to_string(dim.coefficient));
    return std::vector<MaybeInt>(sizes.begin(), sizes.end());
  }
  const auto n = static_cast<int64_t>(parts);
  if (op.node.attr_int("num_outputs", n) != n)
    return invalid_argument("attribute 'num_outputs' differs from the number of outputs");
  const MaybeInt size = op.symbols.from_dim(dim);
  const MaybeInt even = sym_div_exact(size, MaybeInt(SymInt(n)));
  if (even || !dim.is_static()) return std::vector<MaybeInt>(parts, even);
  const int64_t chunk = (dim.coefficient - 1) / n + 1;
  const int64_t last = dim.coefficient - chunk * (n - 1);
  if (op.opset < 18 || last < 0)
    return invalid_argument("an axis of " + std::to_string(dim.coefficient) + " does not split into " +
                            std::to_string(parts) + " parts");
  std::vector<MaybeInt> sizes(parts, MaybeInt(SymInt(chunk)));  // opset 18: the last part is smaller
  sizes.back() = SymInt(last);
  return sizes;
}

}  // namespace

Status infer_concat(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  MaybeShape out;
  std::optional<size_t> axis;
  MaybeInt total = SymInt(0);
  if (op.node.attributes.count("axis") == 0) return invalid_argument("attribute 'axis' is missing");
  for (size_t i = 0; i < op.input_count(); ++i) {
    const Shape* x = op.shape(i);
    if (x == nullptr) {
      total.reset();
      continue;
    }
    if (!out) {
      out = *x;
      OCTET_ASSIGN(axis, normalize_axis(op.node.attr_int("axis", 0), x->size()));
    }
    if (x->size() != out->size()) return invalid_argument("the inputs must have the same rank");
    for (size_t d = 0; d < x->size(); ++d) {
      if (d == *axis) continue;
      OCTET_ASSIGN((*out)[d], unify((*out)[d], (*x)[d]).at("axis " + std::to_string(d)));
    }
    total = sym_add(total, op.symbols.from_dim((*x)[*axis]));
  }
  if (out) {
    (*out)[*axis] = op.symbols.to_dim(total);
    op.set_values(0, joined_values(op, out->size()));
  }
  op.set(0, dtype, std::move(out));
  return Status::ok();
}

Status infer_split(OpInference& op) {
  const Shape* x = op.shape(0);
  const size_t parts = op.outputs().size();
  if (x == nullptr) {
    for (size_t i = 0; i < parts; ++i) op.set(i, op.dtype(0), std::nullopt);
    return Status::ok();
  }
  OCTET_ASSIGN(const size_t axis, normalize_axis(op.node.attr_int("axis", 0), x->size()));
  OCTET_ASSIGN(const std::vector<MaybeInt> sizes, split_sizes(op, (*x)[axis], parts));
  const auto values = x->size() == 1 ? op.values(0) : std::nullopt;
  size_t begin = 0;
  bool followed = values.has_value();
  for (size_t i = 0; i < parts; ++i) {
    Shape out = *x;
    out[axis] = op.symbols.to_dim(sizes[i]);
    followed = followed && out[axis].is_static() &&
               begin + static_cast<size_t>(out[axis].coefficient) <= values->elements.size();
    if (followed) {
      const auto first = values->elements.begin() + static_cast<int64_t>(begin);
      begin += static_cast<size_t>(out[axis].coefficient);
      op.set_values(i, vector_values({first, values->elements.begin() + static_cast<int64_t>(begin)}));
    }
    op.set(i, op.dtype(0), std::move(out));
  }
  return Status::ok();
}

// Pads: begins then ends, for all axes or for those of input 3 (opset 18).
Status infer_pad(OpInference& op) {
  const Shape* x = op.shape(0);
  MaybeShape out;
  if (x != nullptr) {
    out = unknown_shape(x->size());
    std::optional<std::vector<MaybeInt>> pads;
    if (op.has(1)) {
      if (const auto v = op.values(1)) pads = v->elements;
    } else {
      const std::vector<int64_t> ints = op.node.attr_ints("pads");
      pads = std::vector<MaybeInt>(ints.begin(), ints.end());
    }
    std::optional<std::vector<int64_t>> axes;
    if (op.has(3)) {
      axes = op.ints(3);
    } else {
      axes.emplace();
      for (size_t i = 0; i < x->size(); ++i) axes->push_back(static_cast<int64_t>(i));
    }
    if (pads && axes) {
      if (pads->size() != 2 * axes->size()) return invalid_argument("there must be two pads per padded axis");
      OCTET_ASSIGN(const std::vector<size_t> at, normalize_axes(*axes, x->size()));
      out = *x;
      for (size_t i = 0; i < at.size(); ++i) {
        const MaybeInt both = sym_add((*pads)[i], (*pads)[i + at.size()]);
        const MaybeInt size = sym_add(op.symbols.from_dim((*x)[at[i]]), both);
        if (size && size->is_constant() && size->constant() < 0)
          return invalid_argument("negative pads remove more than axis " + std::to_string(at[i]) + " has");
        (*out)[at[i]] = op.symbols.to_dim(size);
      }
    }
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

}  // namespace octet
