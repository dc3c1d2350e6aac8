#include "graph/infer/shape_ops.h"

#include <algorithm>

#include "graph/infer/follow.h"
#include "graph/onnx_dtype.h"

namespace octet {
namespace {

MaybeInt product_of(const OpInference& op, const Shape& shape, size_t from, size_t to) {
  const auto at = [&](size_t i) { return shape.begin() + static_cast<int64_t>(i); };
  return numel_of(op.symbols, Shape(at(from), at(to)));
}

// Axes of Squeeze and Unsqueeze: input 1 since opset 13.
std::optional<std::optional<std::vector<int64_t>>> axes_of(const OpInference& op) { return op.ints_from(1, "axes"); }

// How many axes a second input lists, when only its length is known.
std::optional<size_t> axes_count(const OpInference& op) {
  const Shape* s = op.shape(1);
  if (s == nullptr || s->size() != 1 || !(*s)[0].is_static() || (*s)[0].coefficient > kMaxRank) return std::nullopt;
  return static_cast<size_t>((*s)[0].coefficient);
}

Result<MaybeShape> squeeze_shape(const OpInference& op, const Shape& x) {
  const auto axes = axes_of(op);
  Shape out;
  if (!axes) {
    for (const Dim& d : x) {
      if (!d.is_static()) return MaybeShape();  // it may or may not be 1
      if (d != Dim::of(1)) out.push_back(d);
    }
    return MaybeShape(out);
  }
  if (!*axes) {
    const auto n = axes_count(op);
    return n && *n <= x.size() ? MaybeShape(unknown_shape(x.size() - *n)) : MaybeShape();
  }
  OCTET_ASSIGN(const std::vector<size_t> removed, normalize_axes(**axes, x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    const bool remove = std::find(removed.begin(), removed.end(), i) != removed.end();
    if (!remove) out.push_back(x[i]);
    else if (x[i].is_static() && x[i] != Dim::of(1))
      return invalid_argument("axis " + std::to_string(i) + " has size " + std::to_string(x[i].coefficient) +
                              " and cannot be removed");
  }
  return MaybeShape(out);
}

Result<MaybeShape> unsqueeze_shape(const OpInference& op, const Shape& x) {
  const auto axes = axes_of(op);
  if (!axes) return invalid_argument("the axes are missing");
  if (!*axes) {
    const auto n = axes_count(op);
    return n ? MaybeShape(unknown_shape(x.size() + *n)) : MaybeShape();
  }
  if (x.size() + (*axes)->size() > kMaxRank) return unsupported("the output would have more than 64 dimensions");
  OCTET_ASSIGN(const std::vector<size_t> added, normalize_axes(**axes, x.size() + (*axes)->size()));
  Shape out;
  size_t next = 0;
  for (size_t i = 0; i < x.size() + added.size(); ++i) {
    const bool is_new = std::find(added.begin(), added.end(), i) != added.end();
    out.push_back(is_new ? Dim::of(1) : x[next++]);
  }
  return MaybeShape(out);
}

// Elements of `x` repeated or stretched to `shape`.
std::optional<SymTensor> stretch_values(const OpInference& op, const MaybeShape& shape) {
  const auto values = op.values(0);
  if (!values || !shape || !is_static(*shape) || shape->size() < values->dims.size()) return std::nullopt;
  const Dims strides = strides_of(values->dims);
  const size_t shift = shape->size() - values->dims.size();
  return follow_gather(*values, to_dims(*shape), [&](const std::vector<int64_t>& index) {
    int64_t flat = 0;
    for (size_t i = 0; i < strides.size(); ++i)
      flat += index[i + shift] % std::max<int64_t>(values->dims[i], 1) * strides[i];
    return static_cast<size_t>(flat);
  });
}

// A tensor whose shape is given by the elements of input 0 or 1; unknown elements give unknown sizes.
Result<MaybeShape> shape_from_values(OpInference& op, size_t input) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, input, 1, 1));
  const auto values = op.values(input);
  if (!values) {
    const Shape* s = op.shape(input);
    const bool known = s != nullptr && (*s)[0].is_static() && (*s)[0].coefficient <= kMaxRank;
    return known ? MaybeShape(unknown_shape(static_cast<size_t>((*s)[0].coefficient))) : MaybeShape();
  }
  if (values->elements.size() > kMaxRank) return unsupported("the requested shape has more than 64 dimensions");
  Shape out;
  for (const MaybeInt& e : values->elements) {
    if (e && e->is_constant() && e->constant() < 0)
      return invalid_argument("the requested shape has the negative size " + std::to_string(e->constant()));
    out.push_back(op.symbols.to_dim(e));
  }
  return MaybeShape(out);
}

}  // namespace

Status infer_flatten(OpInference& op) {
  const Shape* x = op.shape(0);
  MaybeShape out = unknown_shape(2);
  if (x != nullptr) {
    const int64_t axis = op.node.attr_int("axis", 1);
    size_t at = x->size();  // the rank itself is a legal axis here
    if (axis != static_cast<int64_t>(x->size())) {
      OCTET_ASSIGN(at, normalize_axis(axis, x->size()));
    }
    out = Shape{op.symbols.to_dim(product_of(op, *x, 0, at)), op.symbols.to_dim(product_of(op, *x, at, x->size()))};
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_squeeze(OpInference& op) {
  MaybeShape out;
  if (const Shape* x = op.shape(0)) {
    OCTET_ASSIGN(out, squeeze_shape(op, *x));
  }
  op.set_values(0, reshape_values(op.values(0), out));
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_unsqueeze(OpInference& op) {
  MaybeShape out;
  if (const Shape* x = op.shape(0)) {
    OCTET_ASSIGN(out, unsqueeze_shape(op, *x));
  }
  op.set_values(0, reshape_values(op.values(0), out));
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_transpose(OpInference& op) {
  const Shape* x = op.shape(0);
  std::vector<int64_t> perm = op.node.attr_ints("perm");
  if (x == nullptr) {
    op.set(0, op.dtype(0), std::nullopt);
    return Status::ok();
  }
  if (perm.empty())
    for (size_t i = x->size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  if (perm.size() != x->size())
    return invalid_argument("attribute 'perm' " + dims_to_string(perm) + " has another length than the input's rank");
  OCTET_ASSIGN(const std::vector<size_t> order, normalize_axes(perm, x->size()));
  Shape out;
  for (size_t a : order) out.push_back((*x)[a]);
  const auto values = op.values(0);
  if (values && is_static(out) && values->dims.size() == order.size()) {
    const Dims strides = strides_of(values->dims);
    op.set_values(0, follow_gather(*values, to_dims(out), [&](const std::vector<int64_t>& index) {
                    int64_t flat = 0;
                    for (size_t i = 0; i < order.size(); ++i) flat += index[i] * strides[order[i]];
                    return static_cast<size_t>(flat);
                  }));
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_expand(OpInference& op) {
  OCTET_ASSIGN(const MaybeShape requested, shape_from_values(op, 1));
  MaybeShape out;
  if (const Shape* x = op.shape(0); x != nullptr && requested) {
    OCTET_ASSIGN(out, broadcast(*x, *requested));
  }
  op.set_values(0, stretch_values(op, out));
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_tile(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 1, 1, 1));
  const Shape* x = op.shape(0);
  MaybeShape out;
  if (x != nullptr) {
    out = unknown_shape(x->size());
    const auto repeats = op.values(1);
    if (repeats && repeats->elements.size() != x->size())
      return invalid_argument("there must be one repeat per dimension of the input");
    for (size_t i = 0; repeats && i < x->size(); ++i) {
      const MaybeInt& r = repeats->elements[i];
      if (r && r->is_constant() && r->constant() < 0) return invalid_argument("a repeat is negative");
      (*out)[i] = op.symbols.to_dim(sym_mul(op.symbols.from_dim((*x)[i]), r));
    }
  }
  op.set_values(0, stretch_values(op, out));
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

// `start` and `end` (opset 15) are clamped like a slice.
Status infer_shape(OpInference& op) {
  const Shape* x = op.shape(0);
  if (x == nullptr) {
    op.set(0, DType::kInt64, unknown_shape(1));
    return Status::ok();
  }
  const auto rank = static_cast<int64_t>(x->size());
  const auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const int64_t start = clamp(op.node.attr_int("start", 0));
  const int64_t end = clamp(op.node.attr_int("end", rank));
  std::vector<MaybeInt> sizes;
  for (int64_t i = start; i < end; ++i) sizes.push_back(op.symbols.from_dim((*x)[static_cast<size_t>(i)]));
  op.set(0, DType::kInt64, Shape{Dim::of(static_cast<int64_t>(sizes.size()))});
  op.set_values(0, vector_values(std::move(sizes)));
  return Status::ok();
}

Status infer_size(OpInference& op) {
  op.set(0, DType::kInt64, Shape{});
  if (const Shape* x = op.shape(0)) op.set_values(0, scalar_values(numel_of(op.symbols, *x)));
  return Status::ok();
}

Status infer_constant(OpInference& op) {
  const Attributes& attributes = op.node.attributes;
  const auto given = [&](const char* name) { return attributes.count(name) != 0; };
  const auto count = [](size_t n) { return Shape{Dim::of(static_cast<int64_t>(n))}; };
  if (const Tensor* t = op.node.attr_tensor("value")) {
    op.set(0, t->dtype(), static_shape(t->dims()));
    op.set_values(0, follow_constant(*t));
  } else if (given("value_int")) {
    op.set(0, DType::kInt64, Shape{});
    op.set_values(0, scalar_values(SymInt(op.node.attr_int("value_int", 0))));
  } else if (given("value_ints")) {
    const std::vector<int64_t> ints = op.node.attr_ints("value_ints");
    op.set(0, DType::kInt64, count(ints.size()));
    op.set_values(0, vector_values(std::vector<MaybeInt>(ints.begin(), ints.end())));
  } else if (given("value_float")) {
    op.set(0, DType::kFloat32, Shape{});
  } else if (given("value_floats")) {
    op.set(0, DType::kFloat32, count(op.node.attr_floats("value_floats").size()));
  } else {
    return unsupported(
        "only the attributes value, value_int, value_ints, value_float and value_floats are supported");
  }
  return Status::ok();
}

Status infer_constant_of_shape(OpInference& op) {
  const Tensor* fill = op.node.attr_tensor("value");
  if (fill != nullptr && fill->numel() != 1) return invalid_argument("attribute 'value' must hold one element");
  OCTET_ASSIGN(MaybeShape out, shape_from_values(op, 0));
  const auto element = fill != nullptr ? follow_constant(*fill) : scalar_values(SymInt(0));
  if (element && out && is_static(*out))
    op.set_values(0, follow_gather(*element, to_dims(*out), [](const std::vector<int64_t>&) { return size_t{0}; }));
  op.set(0, fill != nullptr ? fill->dtype() : DType::kFloat32, std::move(out));
  return Status::ok();
}

// Inputs: start, limit, delta. max(ceil((limit - start) / delta), 0) elements.
Status infer_range(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  MaybeInt in[3];
  for (size_t i = 0; i < 3; ++i) {
    const auto v = op.values(i);
    if (v && v->elements.size() == 1) in[i] = v->elements[0];
  }
  Dim size = Dim::unknown();
  if (in[2] && in[2]->is_constant()) {
    const int64_t delta = in[2]->constant();
    if (delta == 0) return invalid_argument("the step is 0");
    const MaybeInt way = delta > 0 ? sym_sub(in[1], in[0]) : sym_sub(in[0], in[1]);
    MaybeInt n = delta == INT64_MIN ? std::nullopt : op.symbols.ceil_div(way, delta > 0 ? delta : -delta);
    if (n && n->is_constant() && n->constant() < 0) n = SymInt(0);
    size = op.symbols.to_dim(n);
    if (size.is_static() && size.coefficient <= kMaxSymElements && in[0]) {
      std::vector<MaybeInt> elements;
      for (int64_t i = 0; i < size.coefficient; ++i)
        elements.push_back(sym_add(in[0], sym_mul(MaybeInt(SymInt(i)), in[2])));
      op.set_values(0, vector_values(std::move(elements)));
    }
  }
  op.set(0, dtype, Shape{size});
  return Status::ok();
}

Status infer_eye_like(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 2, 2));
  const int64_t wanted = op.node.attr_int("dtype", 0);
  const DType dtype = dtype_from_onnx(wanted);
  if (wanted != 0 && dtype == DType::kUndefined)
    return unsupported("attribute 'dtype' asks for ONNX type " + std::to_string(wanted));
  op.set(0, wanted != 0 ? dtype : op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

}  // namespace octet
