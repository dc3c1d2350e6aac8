#include "graph/infer/resize.h"

#include <algorithm>
#include <cmath>

namespace octet {
namespace {

// A scale or its reciprocal as a whole number; 0 when it is not one.
int64_t whole(double v) { return v >= 1 && v <= 1e6 && v == std::floor(v) ? static_cast<int64_t>(v) : 0; }

// floor(size * extent * scale). The product is taken in float32, as ONNX's own inference and ONNX Runtime do: with
// scale 0.7 (0.69999999 in float32) ten become seven, not six.
Result<Dim> scaled(const Dim& size, float scale, float extent, SymbolTable& symbols) {
  if (!std::isfinite(scale) || scale <= 0) return invalid_argument("a scale must be finite and above 0");
  if (size.is_static()) {
    const float product = static_cast<float>(size.coefficient) * extent * scale;
    if (!(product >= 0 && product < 9e18F)) return invalid_argument("the scaled size is out of range");
    return Dim::of(static_cast<int64_t>(std::floor(product)));
  }
  if (extent != 1.0F) return Dim::unknown();
  const MaybeInt in = symbols.from_dim(size);
  if (const int64_t factor = whole(scale)) return symbols.to_dim(sym_mul(in, MaybeInt(SymInt(factor))));
  if (const int64_t divisor = whole(1.0 / static_cast<double>(scale)))
    return symbols.to_dim(symbols.floor_div(in, divisor));
  return Dim::unknown();
}

std::optional<std::vector<float>> floats(const Tensor* t) {
  if (t == nullptr || t->dtype() != DType::kFloat32 || t->numel() > kMaxRank * 2) return std::nullopt;
  return std::vector<float>(t->data<float>(), t->data<float>() + t->numel());
}

// The scales, if they are constant or at least followed as whole numbers.
std::optional<std::vector<float>> scales_of(const OpInference& op, size_t input) {
  if (op.constant(input) != nullptr) return floats(op.constant(input));
  const auto ints = op.ints(input);
  if (!ints) return std::nullopt;
  std::vector<float> out;
  for (int64_t v : *ints) out.push_back(static_cast<float>(v));
  return out;
}

Result<Shape> resize_by_scales(OpInference& op, const Shape& x, const std::vector<size_t>& axes) {
  Shape out = x;
  const auto scales = scales_of(op, 2);
  if (scales && scales->size() != axes.size()) return invalid_argument("there must be one scale per resized axis");
  const bool crops = op.node.attr_string("coordinate_transformation_mode", "") == "tf_crop_and_resize";
  const auto roi = crops ? floats(op.constant(1)) : std::nullopt;
  if (roi && roi->size() != 2 * axes.size())
    return invalid_argument("the roi must have two numbers per resized axis");
  for (size_t i = 0; i < axes.size(); ++i) {
    const float extent = roi ? (*roi)[i + axes.size()] - (*roi)[i] : 1.0F;
    if (!scales || (crops && !roi)) {
      out[axes[i]] = Dim::unknown();
      continue;
    }
    OCTET_ASSIGN(out[axes[i]], scaled(x[axes[i]], (*scales)[i], extent, op.symbols));
  }
  return out;
}

// keep_aspect_ratio_policy: one scale for all axes, the smallest ("not_larger") or the largest ("not_smaller").
void keep_aspect(Shape& out, const Shape& x, const std::vector<size_t>& axes, bool smallest) {
  double scale = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (!out[axes[i]].is_static() || !x[axes[i]].is_static() || x[axes[i]].coefficient == 0) {
      for (size_t a : axes) out[a] = Dim::unknown();
      return;
    }
    const double s = static_cast<double>(out[axes[i]].coefficient) / static_cast<double>(x[axes[i]].coefficient);
    scale = i == 0 ? s : smallest ? std::min(scale, s) : std::max(scale, s);
  }
  for (size_t a : axes) {
    const double size = std::floor(scale * static_cast<double>(x[a].coefficient) + 0.5);
    out[a] = size < 9e18 ? Dim::of(static_cast<int64_t>(size)) : Dim::unknown();
  }
}

Result<Shape> resize_by_sizes(OpInference& op, const Shape& x, const std::vector<size_t>& axes) {
  Shape out = x;
  const auto sizes = op.values(3);
  if (sizes && sizes->elements.size() != axes.size())
    return invalid_argument("there must be one size per resized axis");
  for (size_t i = 0; i < axes.size(); ++i) {
    const MaybeInt size = sizes ? sizes->elements[i] : std::nullopt;
    if (size && size->is_constant() && size->constant() < 0) return invalid_argument("a size is negative");
    out[axes[i]] = op.symbols.to_dim(size);
  }
  const std::string policy = op.node.attr_string("keep_aspect_ratio_policy", "stretch");
  if (policy == "not_larger" || policy == "not_smaller") keep_aspect(out, x, axes, policy == "not_larger");
  else if (policy != "stretch") return invalid_argument("keep_aspect_ratio_policy '" + policy + "' does not exist");
  return out;
}

Result<int64_t> block_of(const OpInference& op) {
  const int64_t b = op.node.attr_int("blocksize", 0);
  if (b < 1 || b > 65536)
    return invalid_argument("attribute 'blocksize' is " + std::to_string(b) + ", but must be 1 or more");
  return b;
}

Result<Dim> divided(OpInference& op, const Dim& size, int64_t by, const char* what) {
  const MaybeInt v = op.symbols.from_dim(size);
  if (size.is_static() && size.coefficient % by != 0)
    return invalid_argument(std::string(what) + " of " + std::to_string(size.coefficient) + " does not divide by " +
                            std::to_string(by));
  return op.symbols.to_dim(op.symbols.floor_div(v, by));
}

Dim multiplied(OpInference& op, const Dim& size, int64_t by) {
  return op.symbols.to_dim(sym_mul(op.symbols.from_dim(size), MaybeInt(SymInt(by))));
}

bool is_given(const OpInference& op, size_t input) {
  if (!op.has(input)) return false;
  const Shape* s = op.shape(input);  // an empty tensor counts as absent
  return s == nullptr || s->size() != 1 || (*s)[0] != Dim::of(0);
}

}  // namespace

// Inputs: x, roi, scales, sizes; exactly one of the last two counts.
Status infer_resize(OpInference& op) {
  const Shape* x = op.shape(0);
  if (is_given(op, 2) && is_given(op, 3)) return invalid_argument("it has both scales and sizes");
  if (!is_given(op, 2) && !is_given(op, 3)) return invalid_argument("it has neither scales nor sizes");
  MaybeShape out;
  if (x != nullptr) {
    std::vector<int64_t> listed = op.node.attr_ints("axes");
    if (listed.empty())
      for (size_t i = 0; i < x->size(); ++i) listed.push_back(static_cast<int64_t>(i));
    OCTET_ASSIGN(const std::vector<size_t> axes, normalize_axes(listed, x->size()));
    OCTET_ASSIGN(out, is_given(op, 3) ? resize_by_sizes(op, *x, axes) : resize_by_scales(op, *x, axes));
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

// Upsample 9 has its scales as input 1, Upsample 7 as an attribute.
Status infer_upsample(OpInference& op) {
  MaybeShape out;
  if (const Shape* x = op.shape(0)) {
    out = unknown_shape(x->size());
    const auto scales = op.has(1) ? scales_of(op, 1) : std::optional(op.node.attr_floats("scales"));
    if (scales && scales->size() != x->size()) return invalid_argument("there must be one scale per dimension");
    for (size_t i = 0; scales && i < x->size(); ++i) {
      OCTET_ASSIGN((*out)[i], scaled((*x)[i], (*scales)[i], 1.0F, op.symbols));
    }
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_depth_to_space(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 4, 4));
  OCTET_ASSIGN(const int64_t b, block_of(op));
  MaybeShape out = shape_of(op, 0);
  if (out) {
    OCTET_ASSIGN((*out)[1], divided(op, (*out)[1], b * b, "a depth"));
    for (size_t i = 2; i < 4; ++i) (*out)[i] = multiplied(op, (*out)[i], b);
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

Status infer_space_to_depth(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 4, 4));
  OCTET_ASSIGN(const int64_t b, block_of(op));
  MaybeShape out = shape_of(op, 0);
  if (out) {
    (*out)[1] = multiplied(op, (*out)[1], b * b);
    for (size_t i = 2; i < 4; ++i) {
      OCTET_ASSIGN((*out)[i], divided(op, (*out)[i], b, "a spatial axis"));
    }
  }
  op.set(0, op.dtype(0), std::move(out));
  return Status::ok();
}

}  // namespace octet
