#include "graph/infer/normalize.h"

namespace octet {
namespace {

// Inputs [from, to) are vectors with one entry per channel (axis 1 of input 0).
Status check_channel_vectors(const OpInference& op, size_t from, size_t to) {
  const Shape* x = op.shape(0);
  const Dim channels = x == nullptr ? Dim::unknown() : x->size() < 2 ? Dim::of(1) : (*x)[1];
  for (size_t i = from; i < to; ++i) {
    OCTET_RETURN_IF_ERROR(expect_rank(op, i, 1, 1));
    const Shape* p = op.shape(i);
    if (p != nullptr && !unify((*p)[0], channels).is_ok())
      return invalid_argument("input " + std::to_string(i) + " has " + shape_to_string(*p) + " entries for " +
                              shape_to_string({channels}) + " channels");
  }
  return Status::ok();
}

}  // namespace

// Training mode also returns the running mean and variance, [C] each.
Status infer_batch_norm(OpInference& op) {
  OCTET_RETURN_IF_ERROR(check_channel_vectors(op, 1, 5));
  for (size_t out = 1; out < op.outputs().size(); ++out) op.set(out, op.dtype(3), shape_of(op, 3));
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

// GroupNormalization 18 has scale and bias per group, 21 per channel.
Status infer_channel_norm(OpInference& op) {
  const bool per_group = op.node.op_type == "GroupNormalization" && op.opset < 21;
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 2));
  if (!per_group) OCTET_RETURN_IF_ERROR(check_channel_vectors(op, 1, 3));
  if (op.node.op_type == "GroupNormalization") {
    const int64_t groups = op.node.attr_int("num_groups", 0);
    const Shape* x = op.shape(0);
    if (groups < 1) return invalid_argument("attribute 'num_groups' must be 1 or more");
    if (x != nullptr && (*x)[1].is_static() && (*x)[1].coefficient % groups != 0)
      return invalid_argument(shape_to_string({(*x)[1]}) + " channels do not split into " + std::to_string(groups) +
                              " groups");
  }
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

// Outputs: y, and mean and 1/standard deviation with size 1 from `axis` on (float32 unless stash_type says
// otherwise).
Status infer_layer_norm(OpInference& op) {
  op.set(0, op.dtype(0), shape_of(op, 0));
  const Shape* x = op.shape(0);
  MaybeShape statistics;
  if (x != nullptr) {
    OCTET_ASSIGN(const size_t axis, normalize_axis(op.node.attr_int("axis", -1), x->size()));
    for (size_t i = 1; i < 3; ++i) {
      if (op.shape(i) == nullptr) continue;
      const Shape tail(x->begin() + static_cast<int64_t>(axis), x->end());
      OCTET_ASSIGN(const Shape both, broadcast(tail, *op.shape(i)));
      if (both.size() > x->size()) return invalid_argument("scale or bias has a higher rank than the input");
    }
    statistics = *x;
    for (size_t i = axis; i < x->size(); ++i) (*statistics)[i] = Dim::of(1);
  }
  const int64_t stash = op.node.attr_int("stash_type", 1);
  const DType dtype = stash == 16 ? DType::kBFloat16 : DType::kFloat32;
  op.set(1, dtype, statistics);
  op.set(2, dtype, statistics);
  return Status::ok();
}

Status infer_along_axis(OpInference& op) {
  const Shape* x = op.shape(0);
  if (x != nullptr) OCTET_RETURN_IF_ERROR(normalize_axis(op.node.attr_int("axis", -1), x->size()).status());
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

Status infer_lrn(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 2));
  if (op.node.attr_int("size", 0) < 1) return invalid_argument("attribute 'size' must be 1 or more");
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

}  // namespace octet
