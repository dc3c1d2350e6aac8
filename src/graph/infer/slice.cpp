#include <algorithm>

#include "graph/infer/follow.h"
#include "graph/infer/index_ops.h"

namespace octet {
namespace {

// Exporters write "to the end" as INT32_MAX or INT64_MAX (or their negatives for a step downwards).
constexpr int64_t kToTheEnd = INT32_MAX;

struct Range {
  MaybeInt start, end;
  std::optional<int64_t> step = 1;
};

struct ExactRange {
  int64_t start, step, count;
};

// All numbers known: ONNX clamps start and end to the dimension, depending on the direction.
ExactRange exact_range(int64_t size, int64_t start, int64_t end, int64_t step) {
  if (start < 0) start = start < -size ? -1 : start + size;  // -1 also stands for "before the first"
  if (end < 0) end = end < -size ? -1 : end + size;
  if (step > 0) {
    start = std::clamp<int64_t>(start, 0, size);
    end = std::clamp<int64_t>(end, 0, size);
    return {start, step, end > start ? (end - start - 1) / step + 1 : 0};
  }
  start = std::clamp<int64_t>(start, std::min<int64_t>(0, size - 1), size - 1);
  end = std::clamp<int64_t>(end, -1, size - 1);
  const int64_t down = step == INT64_MIN ? INT64_MAX : -step;
  return {start, step, start > end ? (start - end - 1) / down + 1 : 0};
}

// An end point counted from the front. Symbolic sizes are taken to be large enough for the slice to make sense; only
// where a fixed count is cut from a symbolic size is the result left open.
MaybeInt from_front(const MaybeInt& at, const MaybeInt& size) {
  if (!at || !at->is_constant()) return at;
  if (at->constant() >= kToTheEnd) return size;
  return at->constant() < 0 ? sym_add(at, size) : at;
}

MaybeInt symbolic_count(const Range& r, const MaybeInt& size, SymbolTable& symbols) {
  if (!r.step || !r.start || !r.end || *r.step == INT64_MIN) return std::nullopt;
  if (*r.step > 0) {
    const bool cuts = r.end->is_constant() && r.end->constant() > 1 && r.end->constant() < kToTheEnd;
    if (cuts && !(size && size->is_constant())) return std::nullopt;  // min(size, end)
    return symbols.ceil_div(sym_sub(from_front(r.end, size), from_front(r.start, size)), *r.step);
  }
  const bool whole = r.end->is_constant() && r.end->constant() <= -kToTheEnd;
  const bool from_last = r.start->is_constant() && (r.start->constant() >= kToTheEnd || r.start->constant() == -1);
  const MaybeInt first = from_last ? sym_sub(size, MaybeInt(SymInt(1))) : from_front(r.start, size);
  const MaybeInt end = whole ? MaybeInt(SymInt(-1)) : from_front(r.end, size);
  return symbols.ceil_div(sym_sub(first, end), -*r.step);
}

Dim sliced_size(const Range& r, const Dim& dim, SymbolTable& symbols, std::optional<ExactRange>* exact) {
  const MaybeInt size = symbols.from_dim(dim);
  const bool constant = r.step && r.start && r.end && r.start->is_constant() && r.end->is_constant();
  if (constant && dim.is_static()) {
    *exact = exact_range(dim.coefficient, r.start->constant(), r.end->constant(), *r.step);
    return Dim::of((*exact)->count);
  }
  // x[0:N] of a fixed dimension: the symbol is taken to fit.
  const MaybeInt count = symbolic_count(r, size, symbols);
  if (count && count->is_constant() && count->constant() < 0) return Dim::of(0);
  return symbols.to_dim(count);
}

// Input `i` (starts, ends, axes, steps) or the attribute of old opsets.
std::optional<std::vector<MaybeInt>> list_of(const OpInference& op, size_t i, const char* attribute) {
  if (op.has(i)) {
    const auto v = op.values(i);
    return v ? std::optional(v->elements) : std::nullopt;
  }
  const std::vector<int64_t> ints = op.node.attr_ints(attribute);
  return std::vector<MaybeInt>(ints.begin(), ints.end());
}

std::optional<SymTensor> sliced_values(const OpInference& op, const Shape& out,
                                       const std::vector<ExactRange>& ranges) {
  const auto values = op.values(0);
  if (!values || !is_static(out) || values->dims.size() != out.size()) return std::nullopt;
  const Dims strides = strides_of(values->dims);
  return follow_gather(*values, to_dims(out), [&](const std::vector<int64_t>& index) {
    int64_t flat = 0;
    for (size_t i = 0; i < index.size(); ++i)
      flat += (ranges[i].start + (index[i] == 0 ? 0 : index[i] * ranges[i].step)) * strides[i];
    return static_cast<size_t>(flat);
  });
}

}  // namespace

Status infer_slice(OpInference& op) {
  const Shape* x = op.shape(0);
  if (x == nullptr) {
    op.set(0, op.dtype(0), std::nullopt);
    return Status::ok();
  }
  const auto starts = list_of(op, 1, "starts");
  const auto ends = list_of(op, 2, "ends");
  const auto steps = list_of(op, 4, "steps");
  const auto given_axes = op.ints_from(3, "axes");
  const bool open_axes = given_axes && !*given_axes;
  if (!starts || open_axes) {
    op.set(0, op.dtype(0), unknown_shape(x->size()));
    return Status::ok();
  }
  const size_t n = starts->size();
  std::vector<int64_t> axes = given_axes ? **given_axes : std::vector<int64_t>();
  for (size_t i = 0; !given_axes && i < n; ++i) axes.push_back(static_cast<int64_t>(i));
  if ((ends && ends->size() != n) || axes.size() != n || (steps && !steps->empty() && steps->size() != n))
    return invalid_argument("starts, ends, axes and steps must have the same length");
  OCTET_ASSIGN(const std::vector<size_t> at, normalize_axes(axes, x->size()));
  Shape out = *x;
  std::vector<ExactRange> ranges(x->size(), ExactRange{0, 1, 0});
  bool all_exact = true;
  for (size_t i = 0; i < n; ++i) {
    Range r{(*starts)[i], ends ? (*ends)[i] : std::nullopt, 1};
    const MaybeInt step = !op.has(4) ? MaybeInt(SymInt(1)) : steps && i < steps->size() ? (*steps)[i] : std::nullopt;
    r.step = step && step->is_constant() ? std::optional(step->constant()) : std::nullopt;
    if (r.step == 0) return invalid_argument("a step is 0");
    std::optional<ExactRange> exact;
    out[at[i]] = sliced_size(r, (*x)[at[i]], op.symbols, &exact);
    all_exact = all_exact && exact.has_value();
    if (exact) ranges[at[i]] = *exact;
  }
  if (all_exact) op.set_values(0, sliced_values(op, out, ranges));
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

}  // namespace octet
