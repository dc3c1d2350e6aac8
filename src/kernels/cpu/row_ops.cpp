#include "kernels/cpu/row_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "arith/scalar.h"

namespace octet::cpu {
namespace {

uint8_t quantized(double value, float scale, const Grid& g) {
  return static_cast<uint8_t>(quantize_value(static_cast<float>(value), scale, g.zero, g.lo, g.hi));
}

// Rows that are summed up side by side: each sum waits for the addition before it, several do not wait for each
// other.
constexpr int64_t kRowsAtOnce = 8;

struct Moments {
  double mean[kRowsAtOnce] = {};
  double factor[kRowsAtOnce] = {};  // 1 / standard deviation
};

// kRows: a constant, so that the sums stay in registers.
template <int64_t kRows>
Moments moments(const LayerNormCall& call, const uint8_t* src) {
  double real[256];
  for (int i = 0; i < 256; ++i) real[i] = static_cast<double>(call.real[i]);
  Moments m;
  double variance[kRows] = {};
  for (int64_t i = 0; i < call.length; ++i)
    for (int64_t r = 0; r < kRows; ++r) m.mean[r] += real[src[r * call.length + i]];
  for (int64_t r = 0; r < kRows; ++r) m.mean[r] /= static_cast<double>(call.length);
  for (int64_t i = 0; i < call.length; ++i)
    for (int64_t r = 0; r < kRows; ++r) {
      const double d = real[src[r * call.length + i]] - m.mean[r];
      variance[r] += d * d;
    }
  for (int64_t r = 0; r < kRows; ++r)
    m.factor[r] = 1 / std::sqrt(variance[r] / static_cast<double>(call.length) + static_cast<double>(call.epsilon));
  return m;
}

void normalize_row(const LayerNormCall& call, const uint8_t* src, double mean, double factor, uint8_t* dst) {
  double normal[256];
  for (int i = 0; i < 256; ++i) normal[i] = (static_cast<double>(call.real[i]) - mean) * factor;
  for (int64_t i = 0; i < call.length; ++i) {
    double y = normal[src[i]] * static_cast<double>(call.weight[i]);
    if (call.bias != nullptr) y += static_cast<double>(call.bias[i]);
    dst[i] = quantized(y, call.scale, call.grid);
  }
}

// What follows the sum of a row whose greatest code has the table entries `power`.
void softmax_row(const SoftmaxCall& call, const double* power, int64_t most, double sum, const uint8_t* src,
                 uint8_t* dst) {
  if (2 * call.length <= most) {
    for (int64_t i = 0; i < call.length; ++i) dst[i] = quantized(power[src[i]] / sum, call.scale, call.grid);
    return;
  }
  uint8_t code[256];  // equal codes have equal results
  for (int64_t q = 0; q <= most; ++q) code[q] = quantized(power[q] / sum, call.scale, call.grid);
  for (int64_t i = 0; i < call.length; ++i) dst[i] = code[src[i]];
}

template <int64_t kRows>
void softmax_rows(const SoftmaxCall& call, const uint8_t* src, uint8_t* dst) {
  const double* power[kRows];
  int64_t most[kRows];
  double sum[kRows] = {};
  for (int64_t r = 0; r < kRows; ++r) {
    uint8_t greatest = 0;
    for (int64_t i = 0; i < call.length; ++i) greatest = std::max(greatest, src[r * call.length + i]);
    most[r] = greatest;
    power[r] = call.table + most[r] * (most[r] + 1) / 2;
  }
  for (int64_t i = 0; i < call.length; ++i)
    for (int64_t r = 0; r < kRows; ++r) sum[r] += power[r][src[r * call.length + i]];
  for (int64_t r = 0; r < kRows; ++r)
    softmax_row(call, power[r], most[r], sum[r], src + r * call.length, dst + r * call.length);
}

}  // namespace

void fill_softmax_table(const float* real, double* table) {
  for (int64_t m = 0; m < 256; ++m)
    for (int64_t q = 0; q <= m; ++q) *table++ = std::exp(static_cast<double>(real[q]) - static_cast<double>(real[m]));
}

void softmax(const SoftmaxCall& call, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end;) {
    const bool several = end - row >= kRowsAtOnce;
    (several ? softmax_rows<kRowsAtOnce> : softmax_rows<1>)(call, call.src + row * call.length,
                                                            call.dst + row * call.length);
    row += several ? kRowsAtOnce : 1;
  }
}

void layer_norm(const LayerNormCall& call, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end;) {
    const uint8_t* src = call.src + row * call.length;
    uint8_t* dst = call.dst + row * call.length;
    const int64_t count = end - row >= kRowsAtOnce ? kRowsAtOnce : 1;
    const Moments m = count == 1 ? moments<1>(call, src) : moments<kRowsAtOnce>(call, src);
    for (int64_t r = 0; r < count; ++r)
      normalize_row(call, src + r * call.length, m.mean[r], m.factor[r], dst + r * call.length);
    row += count;
  }
}

int64_t transpose_rows(const TransposeCall& call) {
  int64_t rows = 1;
  for (int d = 0; d + 1 < kMostAxes; ++d) rows *= call.size[static_cast<size_t>(d)];
  return rows;
}

void transpose(const TransposeCall& call, int64_t begin, int64_t end) {
  const int64_t length = call.size.back(), step = call.src_stride.back();
  for (int64_t row = begin; row < end; ++row) {
    int64_t rest = row, offset = 0;
    for (size_t d = kMostAxes - 1; d-- > 0;) {
      offset += rest % call.size[d] * call.src_stride[d];
      rest /= call.size[d];
    }
    const uint8_t* src = call.src + offset;
    uint8_t* dst = call.dst + row * length;
    if (step == 1) {
      std::memcpy(dst, src, static_cast<size_t>(length));
    } else {
      for (int64_t i = 0; i < length; ++i) dst[i] = src[i * step];
    }
  }
}

}  // namespace octet::cpu
