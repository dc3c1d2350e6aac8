#include "graph/infer/index_ops.h"

#include <algorithm>

#include "graph/infer/follow.h"

namespace octet {
namespace {

Status check_indices(const std::vector<int64_t>& indices, const Dim& dim) {
  if (!dim.is_static()) return Status::ok();
  for (int64_t i : indices)
    if (i < -dim.coefficient || i >= dim.coefficient)
      return invalid_argument("index " + std::to_string(i) + " is outside an axis of " +
                              std::to_string(dim.coefficient));
  return Status::ok();
}

std::optional<SymTensor> gathered_values(const OpInference& op, const std::vector<int64_t>& indices, size_t axis,
                                         size_t index_rank, const Shape& out) {
  const auto data = op.values(0);
  const Shape* index_shape = op.shape(1);
  if (!data || index_shape == nullptr || !is_static(out) || !is_static(*index_shape)) return std::nullopt;
  if (axis >= data->dims.size() || out.size() != data->dims.size() + index_rank - 1) return std::nullopt;
  const Dims strides = strides_of(data->dims);
  const Dims index_strides = strides_of(to_dims(*index_shape));
  return follow_gather(*data, to_dims(out), [&](const std::vector<int64_t>& at) {
    int64_t position = 0;
    for (size_t i = 0; i < index_rank; ++i) position += at[axis + i] * index_strides[i];
    int64_t pick = indices[static_cast<size_t>(position)];
    if (pick < 0) pick += data->dims[axis];
    int64_t flat = pick * strides[axis];
    for (size_t i = 0; i < axis; ++i) flat += at[i] * strides[i];
    for (size_t i = axis + 1; i < strides.size(); ++i) flat += at[i + index_rank - 1] * strides[i];
    return static_cast<size_t>(flat);
  });
}

std::optional<MaybeInt> scalar_of(const OpInference& op, size_t input) {
  const auto v = op.values(input);
  if (!v || v->elements.size() != 1) return std::nullopt;
  return v->elements[0];
}

}  // namespace

Status infer_gather(OpInference& op) {
  const Shape* x = op.shape(0);
  const Shape* indices = op.shape(1);
  if (x == nullptr || indices == nullptr) {
    op.set(0, op.dtype(0), std::nullopt);
    return Status::ok();
  }
  OCTET_ASSIGN(const size_t axis, normalize_axis(op.node.attr_int("axis", 0), x->size()));
  Shape out(x->begin(), x->begin() + static_cast<int64_t>(axis));
  out.insert(out.end(), indices->begin(), indices->end());
  out.insert(out.end(), x->begin() + static_cast<int64_t>(axis) + 1, x->end());
  if (const auto known = op.ints(1)) {
    OCTET_RETURN_IF_ERROR(check_indices(*known, (*x)[axis]));
    op.set_values(0, gathered_values(op, *known, axis, indices->size(), out));
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_gather_elements(OpInference& op) {
  const Shape* x = op.shape(0);
  const Shape* indices = op.shape(1);
  if (x != nullptr && indices != nullptr) {
    if (x->size() != indices->size()) return invalid_argument("data and indices must have the same rank");
    OCTET_RETURN_IF_ERROR(normalize_axis(op.node.attr_int("axis", 0), x->size()).status());
  }
  op.set(0, op.dtype(0), shape_of(op, 1));
  return Status::ok();
}

// indices[..., k] picks data[b..., i1, ..., ik]: indices.shape[:-1] + data.shape[b + k:].
Status infer_gather_nd(OpInference& op) {
  const Shape* x = op.shape(0);
  const Shape* indices = op.shape(1);
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 1));
  OCTET_RETURN_IF_ERROR(expect_rank(op, 1, 1));
  MaybeShape out;
  if (x != nullptr && indices != nullptr && indices->back().is_static()) {
    const int64_t batch = op.node.attr_int("batch_dims", 0);
    const auto rank = static_cast<int64_t>(x->size());
    const int64_t depth = indices->back().coefficient;
    if (batch < 0 || batch >= static_cast<int64_t>(indices->size()) || depth < 1 || depth > rank - batch)
      return invalid_argument("batch_dims " + std::to_string(batch) + " and index depth " + std::to_string(depth) +
                              " do not fit the data");
    out = Shape(indices->begin(), indices->end() - 1);
    out->insert(out->end(), x->begin() + batch + depth, x->end());
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_scatter_elements(OpInference& op) {
  const Shape* x = op.shape(0);
  for (size_t i = 1; i < 3; ++i)
    if (x != nullptr && op.shape(i) != nullptr && op.shape(i)->size() != x->size())
      return invalid_argument("data, indices and updates must have the same rank");
  if (x != nullptr) OCTET_RETURN_IF_ERROR(normalize_axis(op.node.attr_int("axis", 0), x->size()).status());
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

Status infer_scatter_nd(OpInference& op) {
  const Shape* x = op.shape(0);
  const Shape* indices = op.shape(1);
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 1));
  OCTET_RETURN_IF_ERROR(expect_rank(op, 1, 1));
  if (x != nullptr && indices != nullptr && indices->back().is_static() &&
      indices->back().coefficient > static_cast<int64_t>(x->size()))
    return invalid_argument("the indices have more entries than the data has dimensions");
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

// Inputs: indices, depth, [off, on].
Status infer_one_hot(OpInference& op) {
  MaybeShape out;
  if (const Shape* indices = op.shape(0)) {
    OCTET_ASSIGN(const size_t axis, normalize_axis(op.node.attr_int("axis", -1), indices->size() + 1));
    const auto depth = scalar_of(op, 1);
    if (depth && *depth && (*depth)->is_constant() && (*depth)->constant() < 0)
      return invalid_argument("the depth is negative");
    out = *indices;
    out->insert(out->begin() + static_cast<int64_t>(axis), depth ? op.symbols.to_dim(*depth) : Dim::unknown());
  }
  op.set(0, op.dtype(2), std::move(out));
  return Status::ok();
}

Status infer_top_k(OpInference& op) {
  MaybeShape out;
  if (const Shape* x = op.shape(0)) {
    OCTET_ASSIGN(const size_t axis, normalize_axis(op.node.attr_int("axis", -1), x->size()));
    MaybeInt k;
    if (op.has(1)) k = scalar_of(op, 1).value_or(std::nullopt);
    else if (op.node.attributes.count("k") != 0) k = SymInt(op.node.attr_int("k", 0));
    const bool constant = k && k->is_constant();
    if (constant && (k->constant() < 0 || ((*x)[axis].is_static() && k->constant() > (*x)[axis].coefficient)))
      return invalid_argument("k = " + std::to_string(k->constant()) + " does not fit an axis of size " +
                              shape_to_string({(*x)[axis]}));
    out = *x;
    (*out)[axis] = op.symbols.to_dim(k);
  }
  op.set(1, DType::kInt64, out);
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

// [rank, number of non-zero elements]; the number depends on the data. A scalar counts as a vector of one.
Status infer_non_zero(OpInference& op) {
  const Shape* x = op.shape(0);
  const auto rank = x != nullptr ? std::max<int64_t>(static_cast<int64_t>(x->size()), 1) : 0;
  op.set(0, DType::kInt64, Shape{x != nullptr ? Dim::of(rank) : Dim::unknown(), Dim::unknown()});
  return Status::ok();
}

// Inputs: boxes [batches, boxes, 4], scores [batches, classes, boxes], ... Output [selected, 3].
Status infer_non_max_suppression(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 3, 3));
  OCTET_RETURN_IF_ERROR(expect_rank(op, 1, 3, 3));
  const Shape* boxes = op.shape(0);
  const Shape* scores = op.shape(1);
  if (boxes != nullptr && !unify((*boxes)[2], Dim::of(4)).is_ok())
    return invalid_argument("a box must have four numbers");
  if (boxes != nullptr && scores != nullptr && !unify((*boxes)[1], (*scores)[2]).is_ok())
    return invalid_argument("boxes and scores disagree about the number of boxes");
  op.set(0, DType::kInt64, Shape{Dim::unknown(), Dim::of(3)});
  return Status::ok();
}

Status infer_trilu(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 2));
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

}  // namespace octet
