#include "kernels/cpu/winograd.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/conv_kernels_list.h"
#include "kernels/cpu/conv_split.h"

namespace octet::cpu {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kLanes = 16;
constexpr int64_t kMaxBandTiles = 64;
constexpr int64_t kBandBytes = 256 * 1024;  // of transformed source: for the second-level cache
constexpr int64_t kTilesOfBlock = 4;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

struct Layout {
  int64_t channels, panels;
  int64_t tiles_a_row, tiles;
  int64_t band_tiles;
};

Layout make_layout(const ConvGeometry& g) {
  Layout l;
  l.channels = round_up(g.ic, kLanes);
  l.panels = ceil_div(g.oc, kLanes);
  l.tiles_a_row = ceil_div(g.ow, 2);
  l.tiles = l.tiles_a_row * ceil_div(g.oh, 2);
  const int64_t fitting = kBandBytes / (kWinogradPoints * l.channels * 2) / kTilesOfBlock * kTilesOfBlock;
  l.band_tiles = std::clamp(fitting, 2 * kTilesOfBlock, kMaxBandTiles);
  return l;
}

int64_t constants_bytes(const Layout& l) { return round_up(l.panels * kLanes * 4, kAlignment); }
int64_t panel_words(const Layout& l) { return kWinogradPoints * l.channels * kLanes; }
int64_t source_bytes(const Layout& l) { return kWinogradPoints * l.band_tiles * l.channels * 2; }
int64_t products_bytes(const Layout& l) { return kWinogradPoints * l.band_tiles * kLanes * 4; }
int64_t offsets_bytes(const Layout& l) { return round_up(l.band_tiles * 8, kAlignment); }

SplitShape split_shape(const Layout& l) {
  SplitShape shape;
  shape.pixel_blocks = ceil_div(l.tiles, kTilesOfBlock);
  shape.panels = l.panels;
  shape.block_cost = static_cast<double>(kWinogradPoints * l.channels * kTilesOfBlock) / 2;
  shape.pixel_cost = static_cast<double>(l.channels * 3 * kTilesOfBlock);
  return shape;
}

// (2G) g (2G)' of one 3x3 filter.
void transform_filter(const int8_t* g, int16_t (&to)[kWinogradPoints]) {
  const auto twice_g = [](int a, int b, int c, int(&out)[4]) {
    out[0] = 2 * a, out[1] = a + b + c, out[2] = a - b + c, out[3] = 2 * c;
  };
  int columns[3][4];
  for (int x = 0; x < 3; ++x) twice_g(g[x], g[3 + x], g[6 + x], columns[x]);
  for (int y = 0; y < 4; ++y) {
    int row[4];
    twice_g(columns[0][y], columns[1][y], columns[2][y], row);
    for (int x = 0; x < 4; ++x) to[4 * y + x] = static_cast<int16_t>(row[x]);
  }
}

class Task {
 public:
  Task(const ConvCall& call, const Layout& layout, uint8_t* scratch)
      : call_(call), g_(call.problem->geometry), l_(layout) {
    source_ = reinterpret_cast<int16_t*>(scratch);
    products_ = reinterpret_cast<int32_t*>(scratch + source_bytes(l_));
    offsets_ = reinterpret_cast<int64_t*>(scratch + source_bytes(l_) + products_bytes(l_));
    padding_ = scratch + source_bytes(l_) + products_bytes(l_) + offsets_bytes(l_);
    std::memset(padding_, call.problem->src_zero, static_cast<size_t>(l_.channels));
    for (int64_t t = 0; t < l_.band_tiles; ++t) offsets_[t] = t * l_.channels * 2;
  }

  void run(int64_t image, Range tiles, Range panels) const {
    for (int64_t begin = tiles.begin; begin < tiles.end; begin += l_.band_tiles) {
      const int64_t count = std::min(l_.band_tiles, tiles.end - begin);
      for (int64_t t = 0; t < count; ++t) transform_tile(image, begin + t, count, source_ + t * l_.channels);
      for (int64_t panel = panels.begin; panel < panels.end; ++panel) multiply(image, {begin, begin + count}, panel);
    }
  }

 private:
  void transform_tile(int64_t image, int64_t tile, int64_t tiles, int16_t* to) const {
    const int64_t top = tile / l_.tiles_a_row * 2 - g_.pad_top, left = tile % l_.tiles_a_row * 2 - g_.pad_left;
    const uint8_t* pixels[kWinogradPoints];
    for (int64_t i = 0; i < kWinogradPoints; ++i) {
      const int64_t y = top + i / 4, x = left + i % 4;
      const bool inside = y >= 0 && y < g_.ih && x >= 0 && x < g_.iw;
      pixels[i] = inside ? call_.src + ((image * g_.ih + y) * g_.iw + x) * call_.src_pixel_stride : padding_;
    }
    transform_winograd_tile_avx2(pixels, l_.channels, tiles * l_.channels, to);
  }

  void multiply(int64_t image, Range tiles, int64_t index) const {
    WinogradPanel panel;
    panel.source = source_;
    panel.offsets = offsets_;
    panel.tiles = tiles.end - tiles.begin;
    panel.channels = l_.channels;
    panel.weights = reinterpret_cast<const int16_t*>(call_.packed + constants_bytes(l_)) + index * panel_words(l_);
    panel.constants = reinterpret_cast<const int32_t*>(call_.packed) + index * kLanes;
    panel.products = products_;
    panel.store = &call_.store;
    panel.oc_begin = index * kLanes;
    panel.oc_count = static_cast<int>(std::min(kLanes, g_.oc - panel.oc_begin));
    panel.first_tile = tiles.begin;
    panel.tiles_a_row = l_.tiles_a_row;
    panel.oh = g_.oh;
    panel.ow = g_.ow;
    const int64_t pixel = image * g_.oh * g_.ow;
    const int64_t element = call_.store.to_float ? 4 : 1;
    panel.dst = static_cast<uint8_t*>(call_.dst) + (pixel * call_.dst_pixel_stride + panel.oc_begin) * element;
    panel.dst_stride = call_.dst_pixel_stride;
    panel.residual =
        call_.residual == nullptr ? nullptr : call_.residual + pixel * call_.residual_pixel_stride + panel.oc_begin;
    panel.residual_stride = call_.residual_pixel_stride;
    multiply_winograd_panel_avx2(panel);
  }

  const ConvCall& call_;
  const ConvGeometry& g_;
  const Layout& l_;
  int16_t* source_;
  int32_t* products_;
  int64_t* offsets_;
  uint8_t* padding_;
};

class WinogradConv final : public ConvKernel {
 public:
  std::string_view name() const override { return "avx2-winograd"; }
  uint32_t features() const override { return kAvx2; }

  std::string reject(const ConvProblem& problem, const int8_t* weights) const override {
    const ConvGeometry& g = problem.geometry;
    if (g.kh != 3 || g.kw != 3 || g.stride_h != 1 || g.stride_w != 1 || g.dilation_h != 1 || g.dilation_w != 1)
      return "not 3x3 with stride 1";
    if (g.groups != 1) return "grouped";
    if (g.ic < kLanes) return "fewer than " + std::to_string(kLanes) + " input channels";
    if (weights == nullptr) return {};
    const int64_t highest = std::max(problem.src_hi, problem.src_zero);
    for (int64_t oc = 0; oc < g.oc; ++oc) {
      int64_t positive = 0, negative = 0;
      for (int64_t i = 0; i < g.ic * 9; ++i) {
        const int64_t w = weights[oc * g.ic * 9 + i];
        (w > 0 ? positive : negative) += w;
      }
      if (4 * highest * std::max(positive, -negative) > INT32_MAX)
        return "four times the sum of channel " + std::to_string(oc) + " could exceed 32 bits";
    }
    return {};
  }

  size_t packed_bytes(const ConvProblem& problem) const override {
    const Layout l = make_layout(problem.geometry);
    return static_cast<size_t>(constants_bytes(l) + l.panels * panel_words(l) * 2);
  }

  void pack(const ConvProblem& problem, const int8_t* weights, const int32_t* bias, uint8_t* packed) const override {
    const ConvGeometry& g = problem.geometry;
    const Layout l = make_layout(g);
    auto* constants = reinterpret_cast<int32_t*>(packed);
    auto* words = reinterpret_cast<int16_t*>(packed + constants_bytes(l));
    for (int64_t oc = 0; oc < g.oc; ++oc) {
      int64_t sum = 0;
      int16_t* panel = words + oc / kLanes * panel_words(l);
      for (int64_t c = 0; c < g.ic; ++c) {
        const int8_t* filter = weights + (oc * g.ic + c) * 9;
        for (int i = 0; i < 9; ++i) sum += filter[i];
        int16_t points[kWinogradPoints];
        transform_filter(filter, points);
        for (int64_t p = 0; p < kWinogradPoints; ++p)
          panel[p * l.channels * kLanes + (c / 2 * kLanes + oc % kLanes) * 2 + c % 2] = points[p];
      }
      constants[oc] = static_cast<int32_t>(static_cast<uint32_t>(bias == nullptr ? 0 : bias[oc]) -
                                           static_cast<uint32_t>(problem.src_zero) * static_cast<uint32_t>(sum));
    }
  }

  size_t scratch_bytes(const ConvProblem& problem) const override {
    const Layout l = make_layout(problem.geometry);
    return static_cast<size_t>(source_bytes(l) + products_bytes(l) + offsets_bytes(l) +
                               round_up(l.channels, kAlignment));
  }

  int64_t tasks(const ConvProblem& problem, int64_t batch, int threads) const override {
    return batch * choose_parts(split_shape(make_layout(problem.geometry)), batch, threads);
  }

  void run(const ConvCall& call, int64_t task, int64_t tasks, uint8_t* scratch) const override {
    const Layout l = make_layout(call.problem->geometry);
    const int64_t parts = tasks / call.batch;
    const SplitShape shape = split_shape(l);
    const Split split = split_into(shape, parts);
    const int64_t part = task % parts;
    const Range panels = part_of(shape.panels, split.panel_parts, part % split.panel_parts);
    const Range blocks = part_of(shape.pixel_blocks, split.pixel_parts, part / split.panel_parts);
    Task(call, l, scratch)
        .run(task / parts, {blocks.begin * kTilesOfBlock, std::min(blocks.end * kTilesOfBlock, l.tiles)}, panels);
  }
};

}  // namespace

#if defined(OCTET_X86_LEVELS)
const ConvKernel* avx2_winograd_conv_kernel() {
  static const WinogradConv kernel;
  return &kernel;
}
#endif

}  // namespace octet::cpu
