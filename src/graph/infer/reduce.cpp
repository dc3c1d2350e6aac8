#include "graph/infer/reduce.h"

#include <algorithm>

#include "graph/infer/follow.h"

namespace octet {
namespace {

Shape reduced_shape(const Shape& x, const std::vector<size_t>& axes, bool keep) {
  Shape out;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!reduced) out.push_back(x[i]);
    else if (keep) out.push_back(Dim::of(1));
  }
  return out;
}

// Sum, product, largest or smallest of all followed elements.
MaybeInt reduce_all(const std::string& op_type, const std::vector<MaybeInt>& elements) {
  if (elements.empty()) return std::nullopt;
  MaybeInt total = elements[0];
  for (size_t i = 1; i < elements.size(); ++i) {
    const MaybeInt& e = elements[i];
    if (op_type == "ReduceSum") total = sym_add(total, e);
    else if (op_type == "ReduceProd") total = sym_mul(total, e);
    else if (const auto sign = sign_of_difference(e, total); op_type == "ReduceMax" && sign)
      total = *sign > 0 ? e : total;
    else if (op_type == "ReduceMin" && sign) total = *sign < 0 ? e : total;
    else return std::nullopt;
  }
  return total;
}

bool followable(const std::string& op_type) {
  return op_type == "ReduceSum" || op_type == "ReduceProd" || op_type == "ReduceMax" || op_type == "ReduceMin";
}

}  // namespace

// Axes come as attribute, or as input 1 (ReduceSum since opset 13, the others since 18). None means all, unless
// noop_with_empty_axes says otherwise.
Status infer_reduce(OpInference& op) {
  const bool keep = op.node.attr_int("keepdims", 1) != 0;
  const bool noop_when_empty = op.node.attr_int("noop_with_empty_axes", 0) != 0;
  const Shape* x = op.shape(0);
  MaybeShape out;
  if (x != nullptr) {
    const auto given = op.ints_from(1, "axes");
    if (given && !*given) {
      if (keep) out = unknown_shape(x->size());
    } else {
      OCTET_ASSIGN(std::vector<size_t> axes, normalize_axes(given ? **given : std::vector<int64_t>(), x->size()));
      if (axes.empty() && !noop_when_empty)
        for (size_t i = 0; i < x->size(); ++i) axes.push_back(i);
      out = reduced_shape(*x, axes, keep);
      const auto values = axes.size() == x->size() && followable(op.node.op_type) ? op.values(0) : std::nullopt;
      if (values) op.set_values(0, reshape_values(scalar_values(reduce_all(op.node.op_type, values->elements)), out));
    }
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_arg_extreme(OpInference& op) {
  MaybeShape out;
  if (const Shape* x = op.shape(0)) {
    OCTET_ASSIGN(const size_t axis, normalize_axis(op.node.attr_int("axis", 0), x->size()));
    out = reduced_shape(*x, {axis}, op.node.attr_int("keepdims", 1) != 0);
  }
  op.set(0, DType::kInt64, std::move(out));
  return Status::ok();
}

Status infer_cum_sum(OpInference& op) {
  const auto axis = op.ints(1);
  if (const Shape* x = op.shape(0); x != nullptr && axis && axis->size() == 1)
    OCTET_RETURN_IF_ERROR(normalize_axis((*axis)[0], x->size()).status());
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

}  // namespace octet
