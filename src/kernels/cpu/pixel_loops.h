// The operators of pixel_ops.h once per instruction set; pixel_ops.cpp chooses. Included by files that are compiled
// for wider CPUs: no standard containers here.
#pragma once

#include <cstdint>

#include "kernels/cpu/pixel_ops.h"

namespace octet::cpu {

// Pixels of one row of a LayoutCall: long enough to amortise the call, short enough to give 16 threads work.
constexpr int64_t kLayoutRun = 512;

struct PixelLoops {
  void (*quantize_to_nhwc)(const LayoutCall&, int64_t begin, int64_t end);
  void (*dequantize_to_nchw)(const LayoutCall&, int64_t begin, int64_t end);
  void (*bytes_to_nhwc)(const LayoutCall&, uint8_t flip, int64_t begin, int64_t end);
  void (*bytes_to_nchw)(const LayoutCall&, uint8_t flip, int64_t begin, int64_t end);
  void (*apply_table)(const TableCall&, int64_t begin, int64_t end);
  void (*binary)(const BinaryCall&, int64_t begin, int64_t end);
  void (*pool)(const PoolCall&, int64_t begin, int64_t end);
  void (*resize_nearest)(const ResizeCall&, int64_t begin, int64_t end);
};

// The first is the definition: plain loops over arith/scalar.h.
extern const PixelLoops kPixelLoopsBase;
extern const PixelLoops kPixelLoopsAvx2;
extern const PixelLoops kPixelLoopsAvx512;
extern const PixelLoops kPixelLoopsVbmi;

// Where a row of a LayoutCall begins and how many pixels it has.
struct LayoutRow {
  int64_t image = 0, first = 0, count = 0;
};
OCTET_ALWAYS_INLINE LayoutRow layout_row(const LayoutCall& call, int64_t row) {
  const int64_t runs = (call.pixels + kLayoutRun - 1) / kLayoutRun;
  LayoutRow r;
  r.image = row / runs;
  r.first = row % runs * kLayoutRun;
  r.count = call.pixels - r.first < kLayoutRun ? call.pixels - r.first : kLayoutRun;
  return r;
}

// Taps of a window that lie inside the image, along one axis: [begin, end).
struct TapRange {
  int64_t begin = 0, end = 0;
};
OCTET_ALWAYS_INLINE TapRange taps_inside(int64_t origin, int64_t taps, int64_t dilation, int64_t size) {
  TapRange r;
  r.begin = origin >= 0 ? 0 : (-origin + dilation - 1) / dilation;
  r.end = origin >= size ? 0 : (size - 1 - origin) / dilation + 1;
  if (r.end > taps) r.end = taps;
  if (r.begin > r.end) r.begin = r.end;
  return r;
}

}  // namespace octet::cpu
