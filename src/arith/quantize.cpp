#include "arith/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "arith/float_formats.h"
#include "arith/spans.h"

namespace octet {
namespace {

// Calls uniform(first, n, scale index) or varying(first, n, first scale index) over the longest contiguous runs.
template <class Uniform, class Varying>
void for_each_run(const QuantLayout& l, Uniform uniform, Varying varying) {
  if (l.per_tensor) return uniform(int64_t{0}, l.outer * l.axis_dim * l.inner, int64_t{0});
  for (int64_t o = 0; o < l.outer; ++o) {
    const int64_t plane = o * l.axis_dim * l.inner;
    if (l.block_size == 0 && l.inner == 1) {
      varying(plane, l.axis_dim, int64_t{0});
    } else if (l.block_size == 0) {
      for (int64_t a = 0; a < l.axis_dim; ++a) uniform(plane + a * l.inner, l.inner, a);
    } else if (l.inner == 1) {
      for (int64_t b = 0; b < l.blocks; ++b) {
        const int64_t a = b * l.block_size;
        uniform(plane + a, std::min(l.block_size, l.axis_dim - a), o * l.blocks + b);
      }
    } else {
      for (int64_t a = 0; a < l.axis_dim; ++a)
        varying(plane + a * l.inner, l.inner, (o * l.blocks + a / l.block_size) * l.inner);
    }
  }
}

template <class Q>
void quantize_runs(const float* src, Q* dst, const QuantLayout& layout, const QuantParams& p) {
  const CodeRange r = code_range(p.dtype, p.narrow_range);
  for_each_run(
      layout,
      [&](int64_t first, int64_t n, int64_t s) {
        const auto i = static_cast<size_t>(s);
        quantize_span(src + first, dst + first, n, p.scale[i], p.zero_point_at(i), r.lo, r.hi);
      },
      [&](int64_t first, int64_t n, int64_t s) {
        for (int64_t k = 0; k < n; ++k) {
          const auto i = static_cast<size_t>(s + k);
          dst[first + k] = static_cast<Q>(quantize_value(src[first + k], p.scale[i], p.zero_point_at(i), r.lo, r.hi));
        }
      });
}

template <class Q>
void dequantize_runs(const Q* src, float* dst, const QuantLayout& layout, const QuantParams& p) {
  for_each_run(
      layout,
      [&](int64_t first, int64_t n, int64_t s) {
        const auto i = static_cast<size_t>(s);
        dequantize_span(src + first, dst + first, n, p.scale[i], p.zero_point_at(i));
      },
      [&](int64_t first, int64_t n, int64_t s) {
        for (int64_t k = 0; k < n; ++k) {
          const auto i = static_cast<size_t>(s + k);
          dst[first + k] = dequantize_value(src[first + k], p.scale[i], p.zero_point_at(i));
        }
      });
}

// Applies f(element, scale) elementwise: the FP8 types have no vector loops.
template <class Src, class Dst, class F>
void map_scaled(const Src* src, Dst* dst, const QuantLayout& layout, const QuantParams& p, F f) {
  for_each_run(
      layout,
      [&](int64_t first, int64_t n, int64_t s) {
        const float scale = p.scale[static_cast<size_t>(s)];
        for (int64_t k = first; k < first + n; ++k) dst[k] = f(src[k], scale);
      },
      [&](int64_t first, int64_t n, int64_t s) {
        for (int64_t k = 0; k < n; ++k) dst[first + k] = f(src[first + k], p.scale[static_cast<size_t>(s + k)]);
      });
}

void fake_quantize_runs(const float* src, float* dst, const QuantLayout& layout, const QuantParams& p) {
  const CodeRange r = code_range(p.dtype, p.narrow_range);
  std::vector<int32_t> zeros;
  if (p.zero_point.empty()) zeros.resize(p.scale.size());
  const int32_t* zp = p.zero_point.empty() ? zeros.data() : p.zero_point.data();
  for_each_run(
      layout,
      [&](int64_t first, int64_t n, int64_t s) {
        fake_quantize_span(src + first, dst + first, n, p.scale[static_cast<size_t>(s)], zp[s], r.lo, r.hi);
      },
      [&](int64_t first, int64_t n, int64_t s) {
        fake_quantize_each(src + first, dst + first, n, p.scale.data() + s, zp + s, r.lo, r.hi);
      });
}

bool is_fp8(DType dtype) { return dtype == DType::kFloat8E4M3 || dtype == DType::kFloat8E5M2; }

float decode_fp8(uint8_t code, DType dtype) {
  return dtype == DType::kFloat8E4M3 ? e4m3_to_float(code) : e5m2_to_float(code);
}

Status expect_dtype(const Tensor& t, DType dtype, const char* what) {
  if (t.dtype() == dtype) return Status::ok();
  return invalid_argument(std::string(what) + " expects a " + dtype_name(dtype) + " tensor, got " +
                          dtype_name(t.dtype()));
}

std::string entry(const char* name, size_t i, size_t count) {
  return count == 1 ? name : std::string(name) + "[" + std::to_string(i) + "]";
}

}  // namespace

CodeRange code_range(DType dtype, bool narrow_range) {
  const int32_t skip = narrow_range ? 1 : 0;
  switch (dtype) {
    case DType::kInt4: return {-8 + skip, 7};
    case DType::kUint4: return {0, 15};
    case DType::kInt8: return {-128 + skip, 127};
    case DType::kUint8: return {0, 255};
    case DType::kInt16: return {-32768 + skip, 32767};
    case DType::kUint16: return {0, 65535};
    default: return {0, 0};
  }
}

bool is_quantized_dtype(DType dtype) { return is_fp8(dtype) || code_range(dtype).hi > 0; }

int64_t QuantLayout::scale_index(int64_t element) const {
  if (per_tensor) return 0;
  const int64_t a = element / inner % axis_dim;
  if (block_size == 0) return a;
  return (element / (inner * axis_dim) * blocks + a / block_size) * inner + element % inner;
}

Result<QuantLayout> quant_layout(const Dims& dims, int axis, int64_t block_size) {
  OCTET_ASSIGN(const int64_t numel, checked_numel(dims));
  QuantLayout l;
  if (block_size < 0) return invalid_argument("block size " + std::to_string(block_size) + " is negative");
  if (axis < 0) {
    if (block_size != 0) return invalid_argument("a block size needs a quantization axis; give axis >= 0");
    l.inner = numel;
    return l;
  }
  if (axis >= static_cast<int>(dims.size()))
    return invalid_argument("quantization axis " + std::to_string(axis) + " is outside the shape " +
                            dims_to_string(dims));
  l.per_tensor = false;
  l.axis_dim = dims[static_cast<size_t>(axis)];
  if (numel == 0) {
    for (size_t i = 0; i < dims.size(); ++i)
      if (dims[i] == 0) (static_cast<int>(i) < axis ? l.outer : l.inner) = 0;
  } else {
    for (int i = 0; i < axis; ++i) l.outer *= dims[static_cast<size_t>(i)];
    l.inner = numel / l.outer / l.axis_dim;
  }
  l.block_size = block_size;
  l.blocks = block_size == 0 ? 1 : l.axis_dim / block_size + (l.axis_dim % block_size != 0 ? 1 : 0);
  l.scale_count = block_size == 0 ? l.axis_dim : l.outer * l.blocks * l.inner;
  return l;
}

Status validate_quant_params(const QuantParams& p, const Dims& dims) {
  if (!is_quantized_dtype(p.dtype))
    return invalid_argument(std::string(dtype_name(p.dtype)) +
                            " is not a type to quantize to; use int8, uint8, int16, "
                            "uint16, int4, uint4, float8e4m3 or float8e5m2");
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(dims, p.axis, p.block_size));
  const size_t count = p.scale.size();
  if (static_cast<int64_t>(count) != layout.scale_count)
    return invalid_argument("a tensor of shape " + dims_to_string(dims) + " quantized along axis " +
                            std::to_string(p.axis) + " with block size " + std::to_string(p.block_size) + " needs " +
                            std::to_string(layout.scale_count) + " scales, got " + std::to_string(count));
  if (!p.zero_point.empty() && p.zero_point.size() != count)
    return invalid_argument("there are " + std::to_string(count) + " scales but " +
                            std::to_string(p.zero_point.size()) + " zero points; give as many, or none");
  const CodeRange r = code_range(p.dtype, p.narrow_range);  // {0, 0} for FP8, whose zero point must be 0
  for (size_t i = 0; i < count; ++i) {
    if (!std::isfinite(p.scale[i]) || !(p.scale[i] > 0))
      return invalid_argument(entry("scale", i, count) + " is " + std::to_string(p.scale[i]) +
                              "; it must be finite and above 0");
    const int32_t zp = p.zero_point_at(i);
    if (zp < r.lo || zp > r.hi)
      return invalid_argument(entry("zero point", i, count) + " is " + std::to_string(zp) + ", outside the codes " +
                              std::to_string(r.lo) + ".." + std::to_string(r.hi) + " of " + dtype_name(p.dtype));
  }
  return Status::ok();
}

Result<Tensor> quantize(const Tensor& x, const QuantParams& p) {
  OCTET_RETURN_IF_ERROR(expect_dtype(x, DType::kFloat32, "quantize"));
  OCTET_RETURN_IF_ERROR(validate_quant_params(p, x.dims()));
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(x.dims(), p.axis, p.block_size));
  OCTET_ASSIGN(Tensor q, Tensor::create(p.dtype, x.dims()));
  const float* src = x.data<float>();
  switch (p.dtype) {
    case DType::kInt4:
    case DType::kInt8: quantize_runs(src, q.data<int8_t>(), layout, p); break;
    case DType::kUint4:
    case DType::kUint8: quantize_runs(src, q.data<uint8_t>(), layout, p); break;
    case DType::kInt16: quantize_runs(src, q.data<int16_t>(), layout, p); break;
    case DType::kUint16: quantize_runs(src, q.data<uint16_t>(), layout, p); break;
    default:
      map_scaled(src, q.data<uint8_t>(), layout, p,
                 [&](float v, float scale) { return quantize_value_fp8(v, scale, p.dtype); });
  }
  return q;
}

Result<Tensor> dequantize(const Tensor& q, const QuantParams& p) {
  OCTET_RETURN_IF_ERROR(expect_dtype(q, p.dtype, "dequantize"));
  OCTET_RETURN_IF_ERROR(validate_quant_params(p, q.dims()));
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(q.dims(), p.axis, p.block_size));
  OCTET_ASSIGN(Tensor x, Tensor::create(DType::kFloat32, q.dims()));
  float* dst = x.data<float>();
  switch (p.dtype) {
    case DType::kInt4:
    case DType::kInt8: dequantize_runs(q.data<int8_t>(), dst, layout, p); break;
    case DType::kUint4:
    case DType::kUint8: dequantize_runs(q.data<uint8_t>(), dst, layout, p); break;
    case DType::kInt16: dequantize_runs(q.data<int16_t>(), dst, layout, p); break;
    case DType::kUint16: dequantize_runs(q.data<uint16_t>(), dst, layout, p); break;
    default:
      map_scaled(q.data<uint8_t>(), dst, layout, p,
                 [&](uint8_t code, float scale) { return decode_fp8(code, p.dtype) * scale; });
  }
  return x;
}

Result<Tensor> fake_quantize(const Tensor& x, const QuantParams& p) {
  OCTET_RETURN_IF_ERROR(expect_dtype(x, DType::kFloat32, "fake_quantize"));
  OCTET_RETURN_IF_ERROR(validate_quant_params(p, x.dims()));
  OCTET_ASSIGN(const QuantLayout layout, quant_layout(x.dims(), p.axis, p.block_size));
  OCTET_ASSIGN(Tensor y, Tensor::create(DType::kFloat32, x.dims()));
  if (is_fp8(p.dtype))
    map_scaled(x.data<float>(), y.data<float>(), layout, p,
               [&](float v, float scale) { return fake_quantize_value_fp8(v, scale, p.dtype); });
  else fake_quantize_runs(x.data<float>(), y.data<float>(), layout, p);
  return y;
}

uint8_t quantize_value_fp8(float x, float scale, DType dtype) {
  return dtype == DType::kFloat8E4M3 ? float_to_e4m3(x / scale, true) : float_to_e5m2(x / scale, true);
}

float fake_quantize_value_fp8(float x, float scale, DType dtype) {
  return decode_fp8(quantize_value_fp8(x, scale, dtype), dtype) * scale;
}

int32_t quantize_bias_value(float bias, float scale) {
  const double q = std::nearbyint(static_cast<double>(bias) / static_cast<double>(scale));
  if (std::isnan(q)) return 0;
  return static_cast<int32_t>(std::clamp(q, static_cast<double>(std::numeric_limits<int32_t>::min()),
                                         static_cast<double>(std::numeric_limits<int32_t>::max())));
}

}  // namespace octet
