// The way from the sums of a panel's register blocks to the store.
#pragma once

#include "kernels/cpu/conv_blocked.h"
#include "kernels/cpu/store_inline.h"

namespace octet::cpu {
namespace {

// Calls multiply(first pixel, rows) for blocks of at most max_rows pixels, as even as they can be.
template <class Multiply>
OCTET_ALWAYS_INLINE void for_each_block(int64_t pixels, int64_t max_rows, Multiply multiply) {
  const int64_t blocks = (pixels + max_rows - 1) / max_rows;
  const int64_t rows = pixels / blocks, larger = pixels % blocks;
  for (int64_t b = 0, begin = 0; b < blocks; ++b) {
    const int64_t count = rows + (b < larger ? 1 : 0);
    multiply(begin, count);
    begin += count;
  }
}

// For a panel of N vectors, made once for all its blocks of pixels.
template <int N>
class PanelStore {
 public:
  OCTET_ALWAYS_INLINE explicit PanelStore(const PanelCall& call)
      : call_(call),
        plan_(plan_store(*call.store, call.oc_begin, call.channels)),
        parameters_(load_parameters<N>(*call.store, nullptr, call.oc_begin, call.channels)),
        residual_only_(adds_residual_only(*call.store)) {}

  // Sums [rows][16 N] of the pixels from `pixel` on.
  OCTET_ALWAYS_INLINE void store(const int32_t* sums, int64_t pixel, int64_t rows) const {
    if (plan_.plain) {
      uint8_t* dst = static_cast<uint8_t*>(call_.dst) + pixel * call_.dst_stride;
      if (plan_.simple && call_.channels == 16 * N) store_plain<true>(sums, rows, dst, 16 * N);
      else store_plain<false>(sums, rows, dst, call_.channels);
    } else if (residual_only_) {
      if (plan_.store.residual == Residual::kAfterFirst) store_residual<true>(sums, pixel, rows);
      else store_residual<false>(sums, pixel, rows);
    } else {
      store_general(sums, pixel, rows);
    }
  }

 private:
  template <bool Simple>
  OCTET_ALWAYS_INLINE void store_plain(const int32_t* sums, int64_t rows, uint8_t* dst, int channels) const {
    const Grid grid = plan_.store.first;
    for (int64_t r = 0; r < rows; ++r, sums += 16 * N, dst += call_.dst_stride) {
      Ints v[N];
      for (int i = 0; i < N; ++i) v[i] = load_ints(sums + 16 * i);
      store_plain_row<N, Simple>(v, parameters_.multiplier, grid, dst, channels);
    }
  }

  template <bool AfterFirst>
  [[gnu::noinline]] void store_residual(const int32_t* sums, int64_t pixel, int64_t rows) const {
    const Store store = plan_.store;
    const StoreParameters<N> parameters = parameters_;
    uint8_t* dst = static_cast<uint8_t*>(call_.dst) + pixel * call_.dst_stride;
    const uint8_t* residual = call_.residual + pixel * call_.residual_stride;
    for (int64_t r = 0; r < rows; ++r, sums += 16 * N, dst += call_.dst_stride, residual += call_.residual_stride) {
      Ints v[N];
      for (int i = 0; i < N; ++i) v[i] = load_ints(sums + 16 * i);
      store_residual_row<N, AfterFirst>(store, v, parameters.multiplier, residual, dst, call_.channels);
    }
  }

  [[gnu::noinline]] void store_general(const int32_t* sums, int64_t pixel, int64_t rows) const {
    const Store& store = plan_.store;
    const int64_t element = store.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
    char* dst = static_cast<char*>(call_.dst) + pixel * call_.dst_stride * element;
    const uint8_t* residual = call_.residual == nullptr ? nullptr : call_.residual + pixel * call_.residual_stride;
    for (int64_t r = 0; r < rows; ++r) {
      store_general_row<N>(store, parameters_, sums + r * 16 * N,
                           residual == nullptr ? nullptr : residual + r * call_.residual_stride,
                           dst + r * call_.dst_stride * element, call_.channels);
    }
  }

  const PanelCall& call_;
  const StorePlan plan_;
  const StoreParameters<N> parameters_;
  const bool residual_only_;
};

}  // namespace
}  // namespace octet::cpu
