#include "graph/infer/conv.h"

#include "graph/infer/follow.h"
#include "graph/infer/window.h"

namespace octet {
namespace {

// The spatial part of a weight shape; empty when not known.
std::vector<int64_t> kernel_of(const Shape* weight) {
  std::vector<int64_t> kernel;
  for (size_t i = 2; weight != nullptr && i < weight->size(); ++i) {
    if (!(*weight)[i].is_static()) return {};
    kernel.push_back((*weight)[i].coefficient);
  }
  return kernel;
}

std::string text(const Dim& d) {
  const std::string bracketed = shape_to_string({d});
  return bracketed.substr(1, bracketed.size() - 2);
}

Result<int64_t> group_of(const Node& node) {
  const int64_t group = node.attr_int("group", 1);
  if (group < 1) return invalid_argument("attribute 'group' is " + std::to_string(group) + ", but must be 1 or more");
  return group;
}

// weight[1] * group channels are read; weight[0] must split into the groups.
Status check_conv_channels(const Shape& x, const Shape& w, int64_t group, const SymbolTable& symbols) {
  const MaybeInt wanted = sym_mul(symbols.from_dim(w[1]), MaybeInt(SymInt(group)));
  if (wanted && wanted->is_constant() && x[1].is_static() && wanted->constant() != x[1].coefficient)
    return invalid_argument("the weight and group " + std::to_string(group) + " ask for " + wanted->to_string() +
                            " input channels, but the input has " + text(x[1]));
  if (w[0].is_static() && w[0].coefficient % group != 0)
    return invalid_argument(text(w[0]) + " output channels do not split into " + std::to_string(group) + " groups");
  return Status::ok();
}

Status check_bias(const OpInference& op, size_t input, const Dim& channels) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, input, 1, 1));
  const Shape* bias = op.shape(input);
  if (bias == nullptr || unify((*bias)[0], channels).is_ok()) return Status::ok();
  return invalid_argument("the bias has " + text((*bias)[0]) + " entries for " + text(channels) + " output channels");
}

// [N, M, o1, ..., on] for data [N, C, d1, ..., dn] and weight [M, C/group, k1, ..., kn].
Result<MaybeShape> conv_shape(OpInference& op, size_t x_input, size_t w_input, size_t bias_input) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, x_input, 3));
  OCTET_RETURN_IF_ERROR(expect_rank(op, w_input, 3));
  OCTET_ASSIGN(const int64_t group, group_of(op.node));
  const Shape* x = op.shape(x_input);
  const Shape* w = op.shape(w_input);
  if (x == nullptr || w == nullptr) {
    const Shape* either = x != nullptr ? x : w;
    if (either == nullptr) return MaybeShape();
    Shape out = unknown_shape(either->size());
    if (x != nullptr) out[0] = (*x)[0];
    if (w != nullptr) out[1] = (*w)[0];
    return MaybeShape(out);
  }
  if (x->size() != w->size()) return invalid_argument("input and weight must have the same rank");
  OCTET_RETURN_IF_ERROR(check_conv_channels(*x, *w, group, op.symbols));
  OCTET_RETURN_IF_ERROR(check_bias(op, bias_input, (*w)[0]));
  Shape out{(*x)[0], (*w)[0]};
  const std::vector<int64_t> kernel = kernel_of(w);
  if (kernel.empty() && op.node.attr_ints("kernel_shape").empty()) {
    out.resize(x->size());
    return MaybeShape(out);
  }
  OCTET_ASSIGN(const Window window, read_window(op.node, x->size() - 2, kernel));
  for (size_t i = 0; i < window.axes(); ++i) {
    OCTET_ASSIGN(Dim size, window_output(window, i, (*x)[i + 2], op.symbols));
    out.push_back(std::move(size));
  }
  return MaybeShape(out);
}

// stride * (in - 1) + output_padding + extent - pads (ONNX ConvTranspose).
Dim transpose_output(const Window& w, size_t axis, const Dim& input, int64_t output_padding, SymbolTable& symbols) {
  const MaybeInt in = symbols.from_dim(input);
  const MaybeInt stride = SymInt(w.strides[axis]);
  if (w.auto_pad.starts_with("SAME")) return symbols.to_dim(sym_mul(in, stride));
  const int64_t rest = output_padding + w.extent(axis) - w.pads[axis] - w.pads[axis + w.axes()] - w.strides[axis];
  return symbols.to_dim(sym_add(sym_mul(in, stride), MaybeInt(SymInt(rest))));
}

Result<Shape> conv_transpose_spatial(OpInference& op, const Shape& x, const Shape& w) {
  const size_t axes = x.size() - 2;
  const std::vector<int64_t> kernel = kernel_of(&w);
  if (kernel.empty() && op.node.attr_ints("kernel_shape").empty()) return unknown_shape(axes);
  OCTET_ASSIGN(const Window window, read_window(op.node, axes, kernel));
  const std::vector<int64_t> fixed = op.node.attr_ints("output_shape");
  // Some exporters write output_shape with batch and channels in front.
  const size_t skip = fixed.size() == axes + 2 ? 2 : 0;
  if (!fixed.empty() && fixed.size() != axes + skip)
    return invalid_argument("attribute 'output_shape' must have one entry per spatial axis");
  std::vector<int64_t> extra = op.node.attr_ints("output_padding");
  if (extra.empty()) extra.assign(axes, 0);
  if (extra.size() != axes)
    return invalid_argument("attribute 'output_padding' must have one entry per spatial axis");
  Shape out;
  for (size_t i = 0; i < axes; ++i) {
    if (!fixed.empty() && fixed[i + skip] < 0)
      return invalid_argument("attribute 'output_shape' has a negative entry");
    if (extra[i] < 0 || extra[i] >= std::max(window.strides[i], window.dilations[i]))
      return invalid_argument("an entry of 'output_padding' must be at least 0 and below the stride or the dilation");
    out.push_back(fixed.empty() ? transpose_output(window, i, x[i + 2], extra[i], op.symbols)
                                : Dim::of(fixed[i + skip]));
    if (!out.back().is_known() && x[i + 2].is_static())
      return invalid_argument("the pads are larger than the output along spatial axis " + std::to_string(i));
  }
  return out;
}

}  // namespace

Status infer_conv(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  OCTET_ASSIGN(MaybeShape shape, conv_shape(op, 0, 1, 2));
  op.set(0, dtype, std::move(shape));
  return Status::ok();
}

Status infer_conv_integer(OpInference& op) {
  constexpr size_t kNoBias = SIZE_MAX;
  OCTET_ASSIGN(MaybeShape shape, conv_shape(op, 0, 1, kNoBias));
  op.set(0, DType::kInt32, std::move(shape));
  return Status::ok();
}

// Inputs: x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, bias.
Status infer_qlinear_conv(OpInference& op) {
  OCTET_ASSIGN(MaybeShape shape, conv_shape(op, 0, 3, 8));
  op.set(0, op.dtype(7), std::move(shape));
  return Status::ok();
}

// Weight [C, M/group, k1, ..., kn].
Status infer_conv_transpose(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 3));
  OCTET_RETURN_IF_ERROR(expect_rank(op, 1, 3));
  OCTET_ASSIGN(const int64_t group, group_of(op.node));
  const Shape* x = op.shape(0);
  const Shape* w = op.shape(1);
  if (x == nullptr || w == nullptr) {
    op.set(0, dtype, std::nullopt);
    return Status::ok();
  }
  if (x->size() != w->size()) return invalid_argument("input and weight must have the same rank");
  if (!unify((*x)[1], (*w)[0]).is_ok())
    return invalid_argument("the weight asks for " + text((*w)[0]) + " input channels, but the input has " +
                            text((*x)[1]));
  if ((*w)[0].is_static() && (*w)[0].coefficient % group != 0)
    return invalid_argument(text((*w)[0]) + " input channels do not split into " + std::to_string(group) + " groups");
  Shape out{(*x)[0], op.symbols.to_dim(sym_mul(op.symbols.from_dim((*w)[1]), MaybeInt(SymInt(group))))};
  OCTET_RETURN_IF_ERROR(check_bias(op, 2, out[1]));
  OCTET_ASSIGN(const Shape spatial, conv_transpose_spatial(op, *x, *w));
  out.insert(out.end(), spatial.begin(), spatial.end());
  op.set(0, dtype, std::move(out));
  return Status::ok();
}

}  // namespace octet
