// INT8 operators without weights, on u8 codes in NHWC. Every function computes rows [begin, end) of the work it
// names, so that the runtime can share it between threads; each dispatches to the widest instruction set the CPU has
// and gives the same codes on all of them. No allocation.
#pragma once

#include <cstdint>

#include "kernels/cpu/store.h"

namespace octet::cpu {

// float32 or uint8 in ONNX's row-major N,C,H,W <-> codes in N,H,W,C. `pixels` counts H*W of one image.
// Row = one (image, run of pixels): rows() of them.
struct LayoutCall {
  int64_t batch = 1, channels = 1, pixels = 1;
  int64_t pixel_stride = 1;  // of the NHWC side, >= channels; channels beyond get code `zero`
  float scale = 1;
  Grid grid;
  const void* src = nullptr;
  void* dst = nullptr;
};
int64_t layout_rows(const LayoutCall& call);
// ONNX QuantizeLinear (true division) of float32 NCHW to codes NHWC.
void quantize_to_nhwc(const LayoutCall& call, int64_t begin, int64_t end);
// ONNX DequantizeLinear of codes NHWC to float32 NCHW.
void dequantize_to_nchw(const LayoutCall& call, int64_t begin, int64_t end);
// float32 NHWC to float32 NCHW, values as they are.
void floats_to_nchw(const LayoutCall& call, int64_t begin, int64_t end);
// Codes NCHW <-> NHWC, xor-ed with `flip` (0x80 turns INT8 into the engine's UINT8 and back).
void bytes_to_nhwc(const LayoutCall& call, uint8_t flip, int64_t begin, int64_t end);
void bytes_to_nchw(const LayoutCall& call, uint8_t flip, int64_t begin, int64_t end);

// dst = table[src] over rows of `channels` bytes.
struct TableCall {
  int64_t rows = 1, channels = 1;
  int64_t src_stride = 1, dst_stride = 1;
  const uint8_t* table = nullptr;  // [256]; null copies
  const uint8_t* src = nullptr;
  uint8_t* dst = nullptr;
};
void apply_table(const TableCall& call, int64_t begin, int64_t end);

// Add:  dst = grid(float(a - a_zero) * a_scale + float(b - b_zero) * b_scale), the scales divided by dst's.
// Mul:  dst = grid(float((a - a_zero) * (b - b_zero)) * a_scale), a_scale = sa * sb / sd. Then the table, if any.
// b may be one row for each image (b_per_image): squeeze-and-excite.
struct BinaryCall {
  bool multiply = false;
  int64_t batch = 1, pixels = 1, channels = 1;  // rows = batch * pixels
  int64_t a_stride = 1, b_stride = 1, dst_stride = 1;
  bool b_per_image = false;
  int32_t a_zero = 0, b_zero = 0;
  float a_scale = 1, b_scale = 1;
  Grid grid;
  const uint8_t* table = nullptr;
  const uint8_t* a = nullptr;
  const uint8_t* b = nullptr;
  uint8_t* dst = nullptr;
};
void binary(const BinaryCall& call, int64_t begin, int64_t end);

// MaxPool (codes stay codes), AveragePool and GlobalAveragePool. Rows are output rows: batch * oh.
// Average: dst = grid(float(sum of (src - src_zero)) * multiplier[count]), multiplier = src scale / dst scale /
// count, as a float division in that order; count is the number of pixels inside the image, or kh * kw with
// count_pad.
struct PoolCall {
  bool average = false;
  bool count_pad = false;
  int64_t batch = 1, channels = 1, ih = 1, iw = 1, oh = 1, ow = 1, kh = 1, kw = 1;
  int64_t stride_h = 1, stride_w = 1, pad_top = 0, pad_left = 0, dilation_h = 1, dilation_w = 1;
  int64_t src_stride = 1, dst_stride = 1;  // per pixel
  int32_t src_zero = 0;
  float scale = 1;  // src scale / dst scale
  Grid grid;
  const uint8_t* src = nullptr;
  uint8_t* dst = nullptr;
};
void pool(const PoolCall& call, int64_t begin, int64_t end);

// ONNX Resize, nearest with precomputed source rows and columns (for every ONNX coordinate mode). Rows: batch * oh.
struct ResizeCall {
  int64_t batch = 1, channels = 1, ih = 1, iw = 1, oh = 1, ow = 1;
  int64_t src_stride = 1, dst_stride = 1;
  const int32_t* row_of = nullptr;     // [oh]
  const int32_t* column_of = nullptr;  // [ow]
  const uint8_t* src = nullptr;
  uint8_t* dst = nullptr;
};
void resize_nearest(const ResizeCall& call, int64_t begin, int64_t end);

}  // namespace octet::cpu
