#include <algorithm>

#include "graph/infer/shape_ops.h"

namespace octet {
namespace {

// The requested shape, entry by entry.
struct Target {
  Shape dims;
  std::vector<bool> copied;  // taken over from the input: 0 without allowzero
  int64_t rest = -1;         // index of the -1
  int64_t open = -1;         // index of the only entry that is not known, if there is just one
  bool many_open = false;
};

Result<Target> read_target(OpInference& op, const Shape* x, const std::vector<MaybeInt>& entries) {
  const bool allow_zero = op.node.attr_int("allowzero", 0) != 0;
  Target target;
  for (size_t i = 0; i < entries.size(); ++i) {
    const MaybeInt& e = entries[i];
    const bool constant = e && e->is_constant();
    target.copied.push_back(constant && e->constant() == 0 && !allow_zero);
    if (target.copied.back()) {
      if (x != nullptr && i >= x->size())
        return invalid_argument("the requested shape keeps dimension " + std::to_string(i) +
                                ", which the input does not have");
      target.dims.push_back(x != nullptr ? (*x)[i] : Dim::unknown());
      continue;
    }
    if (constant && e->constant() < -1)
      return invalid_argument("the requested shape has the entry " + std::to_string(e->constant()));
    if (constant && e->constant() == -1) {
      if (target.rest >= 0) return invalid_argument("the requested shape has more than one -1");
      target.rest = static_cast<int64_t>(i);
    }
    target.dims.push_back(op.symbols.to_dim(e));
    if (!target.dims.back().is_known() && target.rest != static_cast<int64_t>(i)) {
      target.many_open = target.open >= 0;
      target.open = static_cast<int64_t>(i);
    }
  }
  return target;
}

// Removes sizes that stand on both sides, so that products of unknown or large sizes cancel.
void cancel(Shape& left, Shape& right) {
  for (size_t i = 0; i < left.size();) {
    const auto same =
        left[i].is_known() && left[i] != Dim::of(0) ? std::find(right.begin(), right.end(), left[i]) : right.end();
    if (same == right.end()) {
      ++i;
      continue;
    }
    right.erase(same);
    left.erase(left.begin() + static_cast<int64_t>(i));
  }
}

Status mismatch(const Shape& x, const Target& target) {
  std::string wanted;
  for (size_t i = 0; i < target.dims.size(); ++i) {
    const std::string size = shape_to_string({target.dims[i]});
    wanted += (i == 0 ? "" : ", ") +
              (static_cast<int64_t>(i) == target.rest ? std::string("-1") : size.substr(1, size.size() - 2));
  }
  return invalid_argument("a tensor of shape " + shape_to_string(x) + " cannot take the shape [" + wanted +
                          "]: the numbers of elements differ");
}

// Fills in the -1 (or the single unknown entry) from the number of elements; checks the number if it is known.
Status solve(OpInference& op, const Shape& x, Target& target) {
  Shape left;
  Shape right;
  const int64_t wildcard = target.rest >= 0 ? target.rest : target.open;
  for (size_t i = 0; i < x.size(); ++i)
    if (i >= target.copied.size() || !target.copied[i]) left.push_back(x[i]);
  for (size_t i = 0; i < target.dims.size(); ++i)
    if (!target.copied[i] && static_cast<int64_t>(i) != wildcard) right.push_back(target.dims[i]);
  cancel(left, right);
  const MaybeInt have = numel_of(op.symbols, left);
  const MaybeInt want = numel_of(op.symbols, right);
  if (!have || !want) return Status::ok();
  const bool countable = have->is_constant() && want->is_constant();
  if (wildcard < 0) {
    if (countable && *have != *want) return mismatch(x, target);
    return Status::ok();
  }
  if (want->is_constant() && want->constant() == 0) {
    if (target.rest < 0) return Status::ok();
    return invalid_argument("the -1 in the requested shape has no unique value next to a dimension of 0");
  }
  MaybeInt size = sym_div_exact(have, want);
  if (!size && countable && target.rest >= 0) return mismatch(x, target);
  if (!size && want->is_constant() && !have->is_constant()) size = op.symbols.floor_div(have, want->constant());
  target.dims[static_cast<size_t>(wildcard)] = op.symbols.to_dim(size);
  return Status::ok();
}

}  // namespace

Status infer_reshape(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 1, 1, 1));
  const Shape* x = op.shape(0);
  const auto requested = op.values(1);
  if (!requested) {
    const Shape* rank = op.shape(1);
    const bool known = rank != nullptr && (*rank)[0].is_static() && (*rank)[0].coefficient <= kMaxRank;
    op.set(0, op.dtype(0),
           known ? MaybeShape(unknown_shape(static_cast<size_t>((*rank)[0].coefficient))) : std::nullopt);
    return Status::ok();
  }
  if (requested->elements.size() > kMaxRank) return unsupported("the requested shape has more than 64 dimensions");
  OCTET_ASSIGN(Target target, read_target(op, x, requested->elements));
  if (target.rest >= 0 && op.node.attr_int("allowzero", 0) != 0 &&
      std::find(target.dims.begin(), target.dims.end(), Dim::of(0)) != target.dims.end())
    return invalid_argument("the requested shape must not have 0 and -1 together when allowzero is set");
  const bool solvable = x != nullptr && !target.many_open && !(target.rest >= 0 && target.open >= 0);
  if (solvable) OCTET_RETURN_IF_ERROR(solve(op, *x, target));
  op.set_values(0, reshape_values(op.values(0), target.dims));
  op.set(0, op.dtype(0), std::move(target.dims));
  return Status::ok();
}

}  // namespace octet
