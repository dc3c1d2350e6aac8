#include "kernels/cpu/winograd.h"
#include "kernels/cpu/panel_block_inline.h"

namespace octet::cpu {
namespace {

OCTET_ALWAYS_INLINE __m256i load_words(const uint8_t* codes) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
}

// B' times a column of four.
OCTET_ALWAYS_INLINE void transform_source(__m256i& a, __m256i& b, __m256i& c, __m256i& d) {
  const __m256i first = _mm256_sub_epi16(a, c), last = _mm256_sub_epi16(b, d);
  const __m256i sum = _mm256_add_epi16(b, c), difference = _mm256_sub_epi16(c, b);
  a = first, b = sum, c = difference, d = last;
}

// A' times a column of four.
struct Two {
  __m256i first, second;
};
OCTET_ALWAYS_INLINE Two transform_products(__m256i a, __m256i b, __m256i c, __m256i d) {
  return {_mm256_add_epi32(_mm256_add_epi32(a, b), c), _mm256_sub_epi32(_mm256_sub_epi32(b, c), d)};
}

// Sums [2 rows][2 columns][16] of one tile from its products, 8 channels.
OCTET_ALWAYS_INLINE void finish_tile(const int32_t* products, int64_t point_stride, const int32_t* constants,
                                     int32_t* sums) {
  Two column[4];
  for (int x = 0; x < 4; ++x) {
    const int32_t* p = products + x * point_stride;
    column[x] = transform_products(load_native(p), load_native(p + 4 * point_stride),
                                   load_native(p + 8 * point_stride), load_native(p + 12 * point_stride));
  }
  const __m256i constant = load_native(constants);
  const auto finish = [&](__m256i four_times, int32_t * to) __attribute__((always_inline)) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm256_add_epi32(_mm256_srai_epi32(four_times, 2), constant));
  };
  const Two upper = transform_products(column[0].first, column[1].first, column[2].first, column[3].first);
  const Two lower = transform_products(column[0].second, column[1].second, column[2].second, column[3].second);
  finish(upper.first, sums);
  finish(upper.second, sums + 16);
  finish(lower.first, sums + 32);
  finish(lower.second, sums + 48);
}

PanelCall panel_call(const WinogradPanel& panel) {
  PanelCall call;
  call.store = panel.store;
  call.oc_begin = panel.oc_begin;
  call.channels = panel.oc_count;
  call.dst = panel.dst;
  call.dst_stride = panel.dst_stride;
  call.residual = panel.residual;
  call.residual_stride = panel.residual_stride;
  return call;
}

void multiply_points(const WinogradPanel& panel) {
  alignas(32) static constexpr int32_t kZeros[16] = {};
  const Run run{0, panel.channels / 2};
  PanelCall call;
  call.constants = kZeros;
  call.runs = &run;
  call.run_count = 1;
  for (int64_t point = 0; point < kWinogradPoints; ++point) {
    call.src = reinterpret_cast<const uint8_t*>(panel.source + point * panel.tiles * panel.channels);
    call.weights = reinterpret_cast<const uint8_t*>(panel.weights + point * panel.channels * 16);
    int32_t* products = panel.products + point * panel.tiles * 16;
    for_each_block(
        panel.tiles, kMaxRows, [&](int64_t begin, int64_t rows) __attribute__((always_inline)) {
          multiply_rows<WordProducts>(call, panel.offsets + begin, rows, products + begin * 16);
        });
  }
}

}  // namespace

void transform_winograd_tile_avx2(const uint8_t* const (&pixels)[kWinogradPoints], int64_t channels,
                                  int64_t point_stride, int16_t* to) {
  for (int64_t c = 0; c < channels; c += 16) {
    __m256i d[4][4];
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < 4; ++x) d[y][x] = load_words(pixels[4 * y + x] + c);
    for (int x = 0; x < 4; ++x) transform_source(d[0][x], d[1][x], d[2][x], d[3][x]);
    for (int y = 0; y < 4; ++y) {
      transform_source(d[y][0], d[y][1], d[y][2], d[y][3]);
      for (int x = 0; x < 4; ++x)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (4 * y + x) * point_stride + c), d[y][x]);
    }
  }
}

void multiply_winograd_panel_avx2(const WinogradPanel& panel) {
  multiply_points(panel);
  const PanelCall call = panel_call(panel);
  const PanelStore<1> store(call);
  const int64_t point_stride = panel.tiles * 16;
  alignas(64) int32_t sums[4 * 16];
  for (int64_t t = 0; t < panel.tiles; ++t) {
    for (int half = 0; half < 2; ++half)
      finish_tile(panel.products + t * 16 + 8 * half, point_stride, panel.constants + 8 * half, sums + 8 * half);
    const int64_t y = (panel.first_tile + t) / panel.tiles_a_row * 2,
                  x = (panel.first_tile + t) % panel.tiles_a_row * 2;
    const int64_t columns = panel.ow - x < 2 ? 1 : 2;
    store.store(sums, y * panel.ow + x, columns);
    if (y + 1 < panel.oh) store.store(sums + 32, (y + 1) * panel.ow + x, columns);
  }
}

}  // namespace octet::cpu
