#include <algorithm>
#include <cmath>

#include "engine/verify_context.h"

namespace octet::engine {
namespace {

Status expect(bool condition, const char* sentence) { return condition ? Status::ok() : data_corrupt(sentence); }

bool is_codes(const TensorInfo& t) { return t.dtype == DType::kUint8; }
bool is_image(const TensorInfo& t) { return t.layout == Layout::kNhwc; }

// The same elements in the same order: equal images, or equal numbers of bytes without gaps.
bool same_elements(const TensorInfo& a, const TensorInfo& b) {
  if (is_image(a) && is_image(b)) return a.dims == b.dims;
  return is_dense(a) && is_dense(b) && element_count(a) == element_count(b);
}

// A row-major tensor and its N,H,W,C or equally row-major counterpart.
Status check_border(const TensorInfo& plain, const TensorInfo& codes) {
  OCTET_RETURN_IF_ERROR(expect(plain.layout == Layout::kPlain, "its row-major side is not row-major"));
  if (is_image(codes)) return expect(plain.dims == codes.dims, "its shapes differ");
  return expect(element_count(plain) == element_count(codes), "its shapes differ");
}

// Kernels that write whole pixels fill the gap after the last channel, which in a view belongs to somebody else.
Status check_owns_gaps(const VerifyContext& context, TensorId id) {
  const TensorInfo& t = context.tensor(id);
  return expect(is_dense(t) || context.is_root(id), "it would write into the channels beside its slice");
}

Status check_finite(std::initializer_list<float> values) {
  const bool finite = std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
  return expect(finite, "one of its scales is not a finite number");
}

Status verify_one(const VerifyContext& c, const ConvOp& op) { return verify_conv(c, op); }
Status verify_one(const VerifyContext& c, const IslandOp& op) { return verify_island(c, op); }

Status verify_one(const VerifyContext& c, const SoftmaxOp& op) { return verify_softmax(c, op); }
Status verify_one(const VerifyContext& c, const LayerNormOp& op) { return verify_layer_norm(c, op); }
Status verify_one(const VerifyContext& c, const TransposeOp& op) { return verify_transpose(c, op); }
Status verify_one(const VerifyContext& c, const MatMulOp& op) { return verify_matmul(c, op); }

Status verify_one(const VerifyContext& c, const QuantizeOp& op) {
  const TensorInfo& src = c.tensor(op.src);
  const TensorInfo& dst = c.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(expect(src.dtype == DType::kFloat32 && is_codes(dst), "it has the wrong types"));
  OCTET_RETURN_IF_ERROR(check_border(src, dst));
  OCTET_RETURN_IF_ERROR(check_owns_gaps(c, op.dst));
  OCTET_RETURN_IF_ERROR(verify_grid(op.grid));
  return c.check_overlap(op.src, op.dst, false);
}

Status verify_one(const VerifyContext& c, const DequantizeOp& op) {
  const TensorInfo& src = c.tensor(op.src);
  const TensorInfo& dst = c.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(expect(is_codes(src) && dst.dtype == DType::kFloat32, "it has the wrong types"));
  OCTET_RETURN_IF_ERROR(check_border(dst, src));
  return c.check_overlap(op.src, op.dst, false);
}

Status verify_one(const VerifyContext& c, const FloatLayoutOp& op) {
  const TensorInfo& src = c.tensor(op.src);
  const TensorInfo& dst = c.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(
      expect(src.dtype == DType::kFloat32 && dst.dtype == DType::kFloat32, "it has the wrong types"));
  OCTET_RETURN_IF_ERROR(expect(is_image(src), "its source does not lie in N,H,W,C"));
  OCTET_RETURN_IF_ERROR(check_border(dst, src));
  return c.check_overlap(op.src, op.dst, false);
}

Status verify_one(const VerifyContext& c, const BytesOp& op) {
  const auto is_byte = [](const TensorInfo& t) { return t.dtype == DType::kUint8 || t.dtype == DType::kInt8; };
  const TensorInfo& src = c.tensor(op.src);
  const TensorInfo& dst = c.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(expect(is_byte(src) && is_byte(dst), "it has the wrong types"));
  OCTET_RETURN_IF_ERROR(is_image(src) ? check_border(dst, src) : check_border(src, dst));
  OCTET_RETURN_IF_ERROR(check_owns_gaps(c, op.dst));
  return c.check_overlap(op.src, op.dst, false);
}

Status verify_one(const VerifyContext& c, const TableOp& op) {
  const TensorInfo& src = c.tensor(op.src);
  const TensorInfo& dst = c.tensor(op.dst);
  const bool copies = op.copy && is_dense(src) && is_dense(dst) && src.dtype == dst.dtype;
  OCTET_RETURN_IF_ERROR(expect(copies || (is_codes(src) && is_codes(dst)), "it has the wrong types"));
  OCTET_RETURN_IF_ERROR(expect(same_elements(src, dst), "its shapes differ"));
  return c.check_overlap(op.src, op.dst, true);
}

// With a constant row in place of the second input.
Status verify_row(const VerifyContext& c, const BinaryOp& op) {
  const TensorInfo& a = c.tensor(op.a);
  const TensorInfo& dst = c.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(expect(is_codes(a) && is_codes(dst), "it has the wrong types"));
  OCTET_RETURN_IF_ERROR(expect(a.layout == dst.layout && a.dims == dst.dims, "its shapes differ"));
  const bool rows = a.dims.size() >= 2 && op.b == kNoTensor && !op.b_per_image;
  const bool fits = rows && static_cast<int64_t>(op.row.size()) == (is_image(a) ? a.dims[1] : a.dims.back());
  OCTET_RETURN_IF_ERROR(expect(fits, "its constant row does not fit its first input"));
  OCTET_RETURN_IF_ERROR(expect(op.row_zero >= 0 && op.row_zero <= 255, "its constant row's zero point is no code"));
  OCTET_RETURN_IF_ERROR(verify_grid(op.grid));
  OCTET_RETURN_IF_ERROR(check_finite({op.a_scale, op.b_scale}));
  return c.check_overlap(op.a, op.dst, true);
}

Status verify_one(const VerifyContext& c, const BinaryOp& op) {
  if (!op.row.empty()) return verify_row(c, op);
  const TensorInfo& a = c.tensor(op.a);
  const TensorInfo& b = c.tensor(op.b);
  const TensorInfo& dst = c.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(expect(is_codes(a) && is_codes(b) && is_codes(dst), "it has the wrong types"));
  OCTET_RETURN_IF_ERROR(expect(same_elements(a, dst), "its shapes differ"));
  if (op.b_per_image) {
    const bool fits = is_image(a) && is_image(dst) && element_count(b) == a.dims[0] * a.dims[1] &&
                      (is_dense(b) || (b.dims[0] == a.dims[0] && b.dims[1] == a.dims[1]));
    OCTET_RETURN_IF_ERROR(expect(fits, "its second input is not one row for each image"));
  } else {
    OCTET_RETURN_IF_ERROR(expect(same_elements(b, dst), "its shapes differ"));
  }
  OCTET_RETURN_IF_ERROR(verify_grid(op.grid));
  OCTET_RETURN_IF_ERROR(check_finite({op.a_scale, op.b_scale}));
  OCTET_RETURN_IF_ERROR(c.check_overlap(op.a, op.dst, true));
  return c.check_overlap(op.b, op.dst, !op.b_per_image);
}

// Every window has a pixel inside the image: there is no greatest of none. (The average of none is the zero code.)
Status check_windows(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  for (int64_t o = 0; o < out; ++o) {
    const int64_t begin = o * stride - pad;
    const int64_t skipped = begin < 0 ? (-begin + dilation - 1) / dilation : 0;
    if (skipped >= kernel || begin + skipped * dilation >= in) return data_corrupt("a window lies in the padding");
  }
  return Status::ok();
}

Status verify_one(const VerifyContext& c, const PoolOp& op) {
  const TensorInfo& src = c.tensor(op.src);
  const TensorInfo& dst = c.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(expect(is_codes(src) && is_codes(dst), "it has the wrong types"));
  const bool fits = is_image(src) && is_image(dst) && src.dims[0] == dst.dims[0] && src.dims[1] == dst.dims[1];
  OCTET_RETURN_IF_ERROR(expect(fits, "its shapes do not fit"));
  OCTET_RETURN_IF_ERROR(verify_axis(src.dims[2], dst.dims[2], op.kh, op.stride_h, op.dilation_h, op.pad_top));
  OCTET_RETURN_IF_ERROR(verify_axis(src.dims[3], dst.dims[3], op.kw, op.stride_w, op.dilation_w, op.pad_left));
  if (!op.average) {
    OCTET_RETURN_IF_ERROR(check_windows(src.dims[2], dst.dims[2], op.kh, op.stride_h, op.dilation_h, op.pad_top));
    OCTET_RETURN_IF_ERROR(check_windows(src.dims[3], dst.dims[3], op.kw, op.stride_w, op.dilation_w, op.pad_left));
  }
  OCTET_RETURN_IF_ERROR(expect(op.kh * op.kw <= (1 << 23), "its window is too large for a sum of 32 bits"));
  OCTET_RETURN_IF_ERROR(verify_grid(op.grid));
  OCTET_RETURN_IF_ERROR(check_finite({op.scale}));
  return c.check_overlap(op.src, op.dst, false);
}

Status verify_one(const VerifyContext& c, const ResizeOp& op) {
  const TensorInfo& src = c.tensor(op.src);
  const TensorInfo& dst = c.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(expect(is_codes(src) && is_codes(dst), "it has the wrong types"));
  const bool fits = is_image(src) && is_image(dst) && src.dims[0] == dst.dims[0] && src.dims[1] == dst.dims[1];
  OCTET_RETURN_IF_ERROR(expect(fits, "its shapes do not fit"));
  const auto picks = [](const std::vector<int32_t>& of, int64_t out, int64_t in) {
    return static_cast<int64_t>(of.size()) == out &&
           std::all_of(of.begin(), of.end(), [in](int32_t i) { return i >= 0 && i < in; });
  };
  OCTET_RETURN_IF_ERROR(
      expect(picks(op.row_of, dst.dims[2], src.dims[2]) && picks(op.column_of, dst.dims[3], src.dims[3]),
             "it picks rows or columns that do not exist"));
  return c.check_overlap(op.src, op.dst, false);
}

Status verify_one(const VerifyContext& c, const FillOp& op) {
  return expect(is_codes(c.tensor(op.dst)), "it has the wrong type");
}

// Required tensors are there; for_each_tensor has passed over those that are not.
bool is_complete(const Operation& operation) {
  return std::visit(
      [](const auto& op) {
        bool complete = true;
        if constexpr (requires { op.src; }) complete = complete && op.src != kNoTensor;
        if constexpr (requires { op.dst; }) complete = complete && op.dst != kNoTensor;
        if constexpr (requires { op.a; }) complete = complete && op.a != kNoTensor;
        if constexpr (requires { op.row; }) complete = complete && (op.b != kNoTensor || !op.row.empty());
        else if constexpr (requires { op.b; }) complete = complete && op.b != kNoTensor;
        return complete;
      },
      operation);
}

}  // namespace

Status verify_axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  const auto within = [](int64_t v, int64_t lo) { return v >= lo && v <= kMostWindow; };
  if (in < 1 || in > kMostBytes || out < 1 || out > kMostBytes) return data_corrupt("a size is out of range");
  if (!within(kernel, 1) || !within(stride, 1) || !within(dilation, 1) || !within(pad, 0))
    return data_corrupt("its kernel size, stride, dilation or padding is out of range");
  const int64_t end_pad = (out - 1) * stride + (kernel - 1) * dilation + 1 - in - pad;
  if (end_pad <= -stride || end_pad > kMostWindow)
    return data_corrupt("its output size does not follow from its input, kernel, stride and padding");
  return Status::ok();
}

Status verify_grid(const cpu::Grid& grid) {
  const auto is_code = [](int32_t v) { return v >= 0 && v <= 255; };
  const bool fine = is_code(grid.zero) && is_code(grid.lo) && is_code(grid.hi) && grid.lo <= grid.hi;
  return expect(fine, "one of its grids has codes outside of 0..255");
}

Status verify_operation(const VerifyContext& context, const Operation& operation) {
  OCTET_RETURN_IF_ERROR(expect(is_complete(operation), "one of its tensors is missing"));
  return std::visit([&](const auto& op) { return verify_one(context, op); }, operation);
}

}  // namespace octet::engine
