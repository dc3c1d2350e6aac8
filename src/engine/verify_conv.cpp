#include <cmath>

#include "engine/verify_context.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/features.h"

namespace octet::engine {
namespace {

Status expect(bool condition, const char* sentence) { return condition ? Status::ok() : data_corrupt(sentence); }

bool inside(const Program& program, const Blob& blob) {
  return blob.offset % 64 == 0 && blob.offset <= program.constants.size() &&
         blob.size <= program.constants.size() - blob.offset;
}

Status check_floats(const Program& program, const Blob& blob, int64_t oc, const char* sentence) {
  const int64_t rounded = (oc + 15) / 16 * 16;
  if (!inside(program, blob) || blob.size != static_cast<uint64_t>(rounded) * 4) return data_corrupt(sentence);
  const auto* values = reinterpret_cast<const float*>(program.constants.data() + blob.offset);
  for (int64_t i = 0; i < rounded; ++i)
    if (!std::isfinite(values[i])) return data_corrupt(sentence);
  return Status::ok();
}

Status check_geometry(const cpu::ConvProblem& problem) {
  const cpu::ConvGeometry& g = problem.geometry;
  const auto channels = [](int64_t n) { return n >= 1 && n <= kMostSide; };
  OCTET_RETURN_IF_ERROR(verify_axis(g.ih, g.oh, g.kh, g.stride_h, g.dilation_h, g.pad_top));
  OCTET_RETURN_IF_ERROR(verify_axis(g.iw, g.ow, g.kw, g.stride_w, g.dilation_w, g.pad_left));
  OCTET_RETURN_IF_ERROR(
      expect(channels(g.ic) && channels(g.oc) && g.groups >= 1 && g.ic % g.groups == 0 && g.oc % g.groups == 0,
             "its channels and groups do not fit"));
  OCTET_RETURN_IF_ERROR(expect(g.kh * g.kw * (g.ic / g.groups) <= kMostProducts, "its sums do not fit in 32 bits"));
  const auto is_code = [](int32_t v) { return v >= 0 && v <= 255; };
  return expect(is_code(problem.src_zero) && is_code(problem.src_lo) && is_code(problem.src_hi),
                "its source's codes lie outside of 0..255");
}

// The number of h x w planes of c channels in the tensor, or an error. `more`: c may count gap elements as well.
Result<int64_t> planes(const VerifyContext& context, TensorId id, int64_t h, int64_t w, int64_t c, bool more) {
  const TensorInfo& t = context.tensor(id);
  const Status mismatch = data_corrupt(context.quoted(id) + " does not have the shape of its geometry");
  if (t.layout == Layout::kPlain) {
    const int64_t plane = h * w * c;  // at most 2^40 * 2^40: checked below
    int64_t checked = 0;
    if (__builtin_mul_overflow(h, w, &checked) || __builtin_mul_overflow(checked, c, &checked)) return mismatch;
    if (element_count(t) % plane != 0) return mismatch;
    return element_count(t) / plane;
  }
  if (t.dims[2] != h || t.dims[3] != w || t.dims[1] > c || (!more && t.dims[1] != c)) return mismatch;
  const int64_t first = context.place(id).offset / static_cast<int64_t>(dtype_size(t.dtype));
  if (t.dims[1] != c && first + c > t.pixel_stride) return mismatch;
  return t.dims[0];
}

Status check_shapes(const VerifyContext& context, const ConvOp& op) {
  const cpu::ConvGeometry& g = op.problem.geometry;
  const TensorInfo& src = context.tensor(op.src);
  const TensorInfo& dst = context.tensor(op.dst);
  const DType result = op.store.store.to_float ? DType::kFloat32 : DType::kUint8;
  OCTET_RETURN_IF_ERROR(expect(src.dtype == DType::kUint8 && dst.dtype == result, "it has the wrong types"));
  OCTET_ASSIGN(const int64_t in, planes(context, op.src, g.ih, g.iw, g.ic, true));
  OCTET_ASSIGN(const int64_t out, planes(context, op.dst, g.oh, g.ow, g.oc, false));
  OCTET_RETURN_IF_ERROR(expect(in == out, "its source and result have different numbers of images"));
  OCTET_RETURN_IF_ERROR(context.check_overlap(op.src, op.dst, false));
  if (op.residual == kNoTensor) return Status::ok();
  OCTET_RETURN_IF_ERROR(
      expect(context.tensor(op.residual).dtype == DType::kUint8, "its residual has the wrong type"));
  OCTET_ASSIGN(const int64_t added, planes(context, op.residual, g.oh, g.ow, g.oc, false));
  OCTET_RETURN_IF_ERROR(expect(added == out, "its residual has another shape"));
  return context.check_overlap(op.residual, op.dst, true);
}

Status check_store(const VerifyContext& context, const ConvOp& op) {
  const cpu::Store& s = op.store.store;
  const Program& program = context.program();
  const int64_t oc = op.problem.geometry.oc;
  OCTET_RETURN_IF_ERROR(check_floats(program, op.store.multiplier, oc, "its multipliers are damaged"));
  if (op.store.addend.size != 0)
    OCTET_RETURN_IF_ERROR(check_floats(program, op.store.addend, oc, "its addends are damaged"));
  const Blob& table = op.store.table;
  if (table.size != 0)
    OCTET_RETURN_IF_ERROR(expect(table.size == 256 && inside(program, table), "its table is damaged"));
  OCTET_RETURN_IF_ERROR(verify_grid(s.first));
  OCTET_RETURN_IF_ERROR(verify_grid(s.second));
  const auto is_code = [](int32_t v) { return v >= 0 && v <= 255; };
  OCTET_RETURN_IF_ERROR(expect(is_code(s.residual_zero) && is_code(s.table_zero), "a zero point is out of range"));
  const bool finite = std::isfinite(s.residual_scale) && std::isfinite(s.self_scale) && !std::isnan(s.alpha) &&
                      !std::isnan(s.beta) && std::isfinite(s.first_divisor) && s.first_divisor > 0;
  OCTET_RETURN_IF_ERROR(expect(finite, "one of its scales is not a finite number"));
  OCTET_RETURN_IF_ERROR(expect((s.residual == cpu::Residual::kNone) == (op.residual == kNoTensor),
                               "its residual tensor and its store disagree"));
  const bool codes_only = table.size != 0 || s.residual == cpu::Residual::kAfterFirst;
  return expect(!(s.to_float && codes_only), "it stores floats by a step that needs codes");
}

Status check_kernel(const VerifyContext& context, const ConvOp& op) {
  const cpu::ConvKernel* kernel = cpu::find_conv_kernel(op.kernel);
  if (kernel == nullptr)
    return unsupported("it needs the kernel '" + op.kernel +
                       "', which this Octet does not have: compile the network again");
  if (const uint32_t missing = kernel->features() & ~context.features(); missing != 0)
    return unsupported("its kernel '" + op.kernel + "' needs " + cpu::features_to_string(missing) +
                       ", which this CPU lacks: compile the network again on this machine");
  OCTET_RETURN_IF_ERROR(expect((kernel->features() & ~context.program().features) == 0,
                               "its kernel needs more of the CPU than the file says"));
  if (const std::string reason = kernel->reject(op.problem, nullptr); !reason.empty())
    return data_corrupt("its kernel '" + op.kernel + "' cannot run it: " + reason);
  const bool fits = inside(context.program(), op.packed) && op.packed.size == kernel->packed_bytes(op.problem);
  return expect(fits, "its weights do not have the size that its kernel expects");
}

}  // namespace

Status verify_conv(const VerifyContext& context, const ConvOp& op) {
  OCTET_RETURN_IF_ERROR(check_geometry(op.problem));
  OCTET_RETURN_IF_ERROR(check_shapes(context, op));
  OCTET_RETURN_IF_ERROR(check_store(context, op));
  return check_kernel(context, op);
}

}  // namespace octet::engine
