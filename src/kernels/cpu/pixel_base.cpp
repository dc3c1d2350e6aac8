// The definition of the operators of pixel_ops.h, one element at a time, and what CPUs without AVX2 run.
#include <cstring>

#include "arith/scalar.h"
#include "kernels/cpu/pixel_loops.h"

namespace octet::cpu {
namespace pixel_base {
namespace {

// Calls move(pixel's place in NCHW for channel 0, pixel's place in NHWC) for the pixels of rows [begin, end).
template <class Move>
void for_pixels(const LayoutCall& call, int64_t begin, int64_t end, Move move) {
  for (int64_t row = begin; row < end; ++row) {
    const LayoutRow r = layout_row(call, row);
    for (int64_t p = r.first; p < r.first + r.count; ++p)
      move(r.image * call.channels * call.pixels + p, (r.image * call.pixels + p) * call.pixel_stride);
  }
}

void quantize_to_nhwc(const LayoutCall& call, int64_t begin, int64_t end) {
  const auto* src = static_cast<const float*>(call.src);
  auto* dst = static_cast<uint8_t*>(call.dst);
  const Grid& g = call.grid;
  for_pixels(call, begin, end, [&](int64_t plane, int64_t pixel) {
    for (int64_t c = 0; c < call.channels; ++c)
      dst[pixel + c] =
          static_cast<uint8_t>(quantize_value(src[plane + c * call.pixels], call.scale, g.zero, g.lo, g.hi));
    for (int64_t c = call.channels; c < call.pixel_stride; ++c) dst[pixel + c] = static_cast<uint8_t>(g.zero);
  });
}

void dequantize_to_nchw(const LayoutCall& call, int64_t begin, int64_t end) {
  const auto* src = static_cast<const uint8_t*>(call.src);
  auto* dst = static_cast<float*>(call.dst);
  for_pixels(call, begin, end, [&](int64_t plane, int64_t pixel) {
    for (int64_t c = 0; c < call.channels; ++c)
      dst[plane + c * call.pixels] = dequantize_value(src[pixel + c], call.scale, call.grid.zero);
  });
}

void bytes_to_nhwc(const LayoutCall& call, uint8_t flip, int64_t begin, int64_t end) {
  const auto* src = static_cast<const uint8_t*>(call.src);
  auto* dst = static_cast<uint8_t*>(call.dst);
  for_pixels(call, begin, end, [&](int64_t plane, int64_t pixel) {
    for (int64_t c = 0; c < call.channels; ++c) dst[pixel + c] = src[plane + c * call.pixels] ^ flip;
    for (int64_t c = call.channels; c < call.pixel_stride; ++c) dst[pixel + c] = static_cast<uint8_t>(call.grid.zero);
  });
}

void bytes_to_nchw(const LayoutCall& call, uint8_t flip, int64_t begin, int64_t end) {
  const auto* src = static_cast<const uint8_t*>(call.src);
  auto* dst = static_cast<uint8_t*>(call.dst);
  for_pixels(call, begin, end, [&](int64_t plane, int64_t pixel) {
    for (int64_t c = 0; c < call.channels; ++c) dst[plane + c * call.pixels] = src[pixel + c] ^ flip;
  });
}

void apply_table(const TableCall& call, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* src = call.src + row * call.src_stride;
    uint8_t* dst = call.dst + row * call.dst_stride;
    for (int64_t c = 0; c < call.channels; ++c) dst[c] = call.table != nullptr ? call.table[src[c]] : src[c];
  }
}

uint8_t binary_code(const BinaryCall& call, int32_t a, int32_t b) {
  a -= call.a_zero;
  b -= call.b_zero;
  float v = 0;
  if (call.multiply) {
    v = static_cast<float>(a * b) * call.a_scale;
  } else {
    v = static_cast<float>(a) * call.a_scale + static_cast<float>(b) * call.b_scale;
  }
  const auto code = static_cast<uint8_t>(to_grid(v, call.grid));
  return call.table != nullptr ? call.table[code] : code;
}

void binary(const BinaryCall& call, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* a = call.a + row * call.a_stride;
    const uint8_t* b = call.b + (call.b_per_image ? row / call.pixels : row) * call.b_stride;
    uint8_t* dst = call.dst + row * call.dst_stride;
    for (int64_t c = 0; c < call.channels; ++c) dst[c] = binary_code(call, a[c], b[c]);
  }
}

void pool_pixel(const PoolCall& call, const uint8_t* image, int64_t y0, int64_t x0, uint8_t* dst) {
  const TapRange ty = taps_inside(y0, call.kh, call.dilation_h, call.ih);
  const TapRange tx = taps_inside(x0, call.kw, call.dilation_w, call.iw);
  const int64_t inside = (ty.end - ty.begin) * (tx.end - tx.begin);
  const int64_t counted = call.count_pad ? call.kh * call.kw : inside;
  const float multiplier = call.scale / static_cast<float>(counted > 0 ? counted : 1);
  for (int64_t c = 0; c < call.channels; ++c) {
    int32_t sum = 0;
    uint8_t most = 0;
    for (int64_t ky = ty.begin; ky < ty.end; ++ky) {
      for (int64_t kx = tx.begin; kx < tx.end; ++kx) {
        const int64_t y = y0 + ky * call.dilation_h, x = x0 + kx * call.dilation_w;
        const uint8_t code = image[(y * call.iw + x) * call.src_stride + c];
        sum += code - call.src_zero;
        most = code > most ? code : most;
      }
    }
    dst[c] = call.average ? static_cast<uint8_t>(to_grid(static_cast<float>(sum) * multiplier, call.grid)) : most;
  }
}

void pool(const PoolCall& call, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* image = call.src + row / call.oh * call.ih * call.iw * call.src_stride;
    uint8_t* dst = call.dst + row * call.ow * call.dst_stride;
    for (int64_t x = 0; x < call.ow; ++x)
      pool_pixel(call, image, row % call.oh * call.stride_h - call.pad_top, x * call.stride_w - call.pad_left,
                 dst + x * call.dst_stride);
  }
}

void resize_nearest(const ResizeCall& call, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* src =
        call.src + (row / call.oh * call.ih + call.row_of[row % call.oh]) * call.iw * call.src_stride;
    uint8_t* dst = call.dst + row * call.ow * call.dst_stride;
    for (int64_t x = 0; x < call.ow; ++x)
      std::memcpy(dst + x * call.dst_stride, src + call.column_of[x] * call.src_stride,
                  static_cast<size_t>(call.channels));
  }
}

}  // namespace
}  // namespace pixel_base

const PixelLoops kPixelLoopsBase = {pixel_base::quantize_to_nhwc,
                                    pixel_base::dequantize_to_nchw,
                                    pixel_base::bytes_to_nhwc,
                                    pixel_base::bytes_to_nchw,
                                    pixel_base::apply_table,
                                    pixel_base::binary,
                                    pixel_base::pool,
                                    pixel_base::resize_nearest};

}  // namespace octet::cpu
