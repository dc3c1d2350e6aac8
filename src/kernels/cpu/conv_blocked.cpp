#include "kernels/cpu/conv_blocked.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/cpu/conv_kernels_list.h"
#include "kernels/cpu/conv_split.h"

namespace octet::cpu {
namespace {

constexpr int64_t kStepBytes = 4;
constexpr int64_t kAlignment = 64;
constexpr int64_t kMaxBandPixels = 4096;
// Of the input that one pass over the panels works on: stays in the second-level cache beside a panel of weights.
constexpr int64_t kBandBytes = 256 * 1024;

// Panels of one vector write a quarter of a cache line: the lines of a pass should wait in the first-level cache for
// the other three. Not fewer pixels than make it worth to read the weights again.
constexpr int64_t kNarrowPassBytes = 16 * 1024, kFewestPassPixels = 32;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// What becomes of sums that 16 bits cannot hold.
enum class Narrow {
  kNever,     // all sums have 32 bits
  kRefused,   // two products a sum: problems that could leave 16 bits are refused
  kRepaired,  // four products a sum: the kernel mends those that did
};

struct BlockedTraits {
  const char* name;
  uint32_t features;
  PanelFunction multiply;
  int max_rows;           // pixels of a register block
  int panel_vectors;      // of a full panel
  int64_t element_bytes;  // of a source code as multiplied: 1, or 2 when widened to s16
  Narrow narrow = Narrow::kNever;
};

// What follows from the problem alone. Cheap: every task computes it again.
struct Layout {
  int64_t ic = 0, oc = 0;  // of one group
  bool direct = false;     // reads src itself; else a padded copy of the rows that a band needs
  bool flat = false;       // 1x1 on whole images: all pixels of the batch are one row
  int64_t run_count = 0, run_steps = 0;
  int64_t steps = 0;                  // of all runs
  int64_t run_chunks = 0, marks = 0;  // of a run; words of marks for a pixel or panel
  int64_t panels = 0;                 // of one group; only the last may have fewer vectors
  int64_t reach_h = 0, reach_w = 0;   // of the filter, in source pixels
  int64_t copy_width = 0, copy_row_bytes = 0;
  int64_t pass_pixels = 0;  // output pixels that should go through all panels together, at most
  int64_t band_rows = 0;    // output rows of one band
};

int64_t panel_width(const BlockedTraits& traits) { return int64_t{traits.panel_vectors} * kPanelLanes; }

int panel_vectors(const BlockedTraits& traits, const Layout& layout, int64_t panel) {
  const int64_t left = layout.oc - panel * panel_width(traits);
  return static_cast<int>(std::min<int64_t>(traits.panel_vectors, ceil_div(left, kPanelLanes)));
}

int64_t padded_oc(const Layout& layout) { return round_up(layout.oc, kPanelLanes); }
int64_t constants_bytes(const ConvGeometry& g, const Layout& layout) {
  return round_up(g.groups * padded_oc(layout) * 4, kAlignment);
}
int64_t group_weight_bytes(const Layout& layout) { return layout.steps * kStepBytes * padded_oc(layout); }
int64_t weights_bytes(const ConvGeometry& g, const Layout& layout) {
  return round_up(g.groups * group_weight_bytes(layout), kAlignment);
}
// Behind the weights: PanelCall::fragile of every panel of every group.
int64_t fragile_bytes(const BlockedTraits& traits, const ConvGeometry& g, const Layout& layout) {
  return traits.narrow == Narrow::kRepaired ? round_up(g.groups * layout.panels * layout.marks * 4, kAlignment) : 0;
}

// Codes read and written by a pass over the panels.
int64_t pass_bytes(const BlockedTraits& traits, const ConvGeometry& g) {
  const bool narrow = traits.panel_vectors == 1 && g.oc / g.groups > kPanelLanes;
  return narrow ? kNarrowPassBytes : std::numeric_limits<int64_t>::max();
}

Layout make_layout(const BlockedTraits& traits, const ConvGeometry& g) {
  Layout l;
  l.ic = g.ic / g.groups;
  l.oc = g.oc / g.groups;
  l.panels = ceil_div(l.oc, panel_width(traits));
  l.reach_h = (g.kh - 1) * g.dilation_h + 1;
  l.reach_w = (g.kw - 1) * g.dilation_w + 1;
  const bool padded = g.pad_top > 0 || g.pad_left > 0 || (g.oh - 1) * g.stride_h + l.reach_h > g.ih ||
                      (g.ow - 1) * g.stride_w + l.reach_w > g.iw;
  l.direct = traits.element_bytes == 1 && !padded && (g.kh * g.kw == 1 || l.ic % kStepBytes == 0);
  l.flat = l.direct && g.kh * g.kw == 1 && g.stride_h == 1 && g.stride_w == 1 && g.oh == g.ih && g.ow == g.iw;
  // In the copy the taps of one filter row touch, unless they are dilated.
  const bool rows_touch = !l.direct && g.dilation_w == 1;
  l.run_count = rows_touch ? g.kh : g.kh * g.kw;
  l.run_steps = ceil_div((rows_touch ? g.kw : 1) * l.ic * traits.element_bytes, kStepBytes);
  l.steps = l.run_count * l.run_steps;
  l.run_chunks = ceil_div(l.run_steps, kChunkSteps);
  l.marks = l.run_count * l.run_chunks * kNarrowLevels;
  l.copy_width = (g.ow - 1) * g.stride_w + l.reach_w;
  l.copy_row_bytes = l.copy_width * l.ic * traits.element_bytes;
  const int64_t row_bytes = l.direct ? g.iw * g.ic : l.copy_row_bytes;
  l.band_rows = (kBandBytes / row_bytes - l.reach_h) / g.stride_h + 1;
  l.pass_pixels = std::min(kMaxBandPixels, std::max(kFewestPassPixels, pass_bytes(traits, g) / (l.ic + l.oc)));
  l.band_rows = std::min({l.band_rows, l.pass_pixels / g.ow, g.oh});
  l.band_rows = std::max<int64_t>(l.band_rows, 1);
  return l;
}

int64_t copy_bytes(const ConvGeometry& g, const Layout& l) {
  if (l.direct) return 0;
  return round_up(((l.band_rows - 1) * g.stride_h + l.reach_h) * l.copy_row_bytes + kReadSlack, kAlignment);
}
int64_t runs_bytes(const Layout& l) { return round_up(l.run_count * static_cast<int64_t>(sizeof(Run)), kAlignment); }
int64_t band_pixels(const ConvGeometry& g, const Layout& l) {
  return l.flat ? std::min(l.pass_pixels, std::max<int64_t>(64, kBandBytes / g.ic)) : l.band_rows * g.ow;
}

int64_t offsets_bytes(const ConvGeometry& g, const Layout& l) {
  return round_up(band_pixels(g, l) * static_cast<int64_t>(sizeof(int64_t)), kAlignment);
}
int64_t large_bytes(const BlockedTraits& traits, const ConvGeometry& g, const Layout& l) {
  return traits.narrow == Narrow::kRepaired ? round_up(band_pixels(g, l) * l.marks * 4, kAlignment) : 0;
}

SplitShape split_shape(const BlockedTraits& traits, const ConvGeometry& g, const Layout& l, int64_t pixels) {
  SplitShape shape;
  shape.pixel_blocks = ceil_div(pixels, traits.max_rows);
  shape.panels = l.panels * g.groups;
  shape.block_cost = static_cast<double>((l.steps + 4) * traits.max_rows * traits.panel_vectors) / 2;
  if (!l.direct) {
    const double row_cost = static_cast<double>(l.copy_row_bytes * g.groups) / 16;
    shape.pixel_cost = row_cost * static_cast<double>(g.stride_h * traits.max_rows) / static_cast<double>(g.ow);
    shape.part_cost = row_cost * static_cast<double>(l.reach_h);
  }
  return shape;
}

// Copies rows of one group's channels with the padding written out, as u8 or s16.
class PaddedCopy {
 public:
  PaddedCopy(const ConvCall& call, const BlockedTraits& traits, const Layout& layout)
      : call_(call), g_(call.problem->geometry), layout_(layout), wide_(traits.element_bytes == 2) {}

  // Source rows [first, first + rows) of an image, of which some may lie outside.
  void copy(int64_t image, int64_t group, int64_t first, int64_t rows, uint8_t* to) const {
    for (int64_t y = first; y < first + rows; ++y, to += layout_.copy_row_bytes) {
      if (y < 0 || y >= g_.ih) fill(to, layout_.copy_width);
      else copy_row(call_.src + (image * g_.ih + y) * g_.iw * call_.src_pixel_stride + group * layout_.ic, to);
    }
  }

 private:
  void copy_row(const uint8_t* src, uint8_t* to) const {
    const int64_t pixel_bytes = layout_.ic * (wide_ ? 2 : 1);
    const int64_t left = std::min(g_.pad_left, layout_.copy_width);
    const int64_t inside = std::max<int64_t>(0, std::min(g_.iw, layout_.copy_width - left));
    fill(to, left);
    to += left * pixel_bytes;
    if (call_.src_pixel_stride == layout_.ic) {
      copy_codes(src, inside * layout_.ic, to);
    } else {
      for (int64_t x = 0; x < inside; ++x)
        copy_codes(src + x * call_.src_pixel_stride, layout_.ic, to + x * pixel_bytes);
    }
    fill(to + inside * pixel_bytes, layout_.copy_width - left - inside);
  }

  void copy_codes(const uint8_t* src, int64_t count, uint8_t* to) const {
    if (wide_) widen_codes_avx2(src, static_cast<size_t>(count), reinterpret_cast<int16_t*>(to));
    else std::memcpy(to, src, static_cast<size_t>(count));
  }

  void fill(uint8_t* to, int64_t pixels) const {
    const int32_t zero = call_.problem->src_zero;
    const int64_t count = pixels * layout_.ic;
    if (wide_) std::fill_n(reinterpret_cast<int16_t*>(to), count, static_cast<int16_t>(zero));
    else std::memset(to, zero, static_cast<size_t>(count));
  }

  const ConvCall& call_;
  const ConvGeometry& g_;
  const Layout& layout_;
  const bool wide_;
};

// One task: some pixels of one image times some panels, band after band.
class Task {
 public:
  Task(const ConvCall& call, const BlockedTraits& traits, const Layout& layout, uint8_t* scratch)
      : call_(call), g_(call.problem->geometry), traits_(traits), l_(layout) {
    copy_ = scratch;
    runs_ = reinterpret_cast<Run*>(scratch + copy_bytes(g_, l_));
    offsets_ = reinterpret_cast<int64_t*>(scratch + copy_bytes(g_, l_) + runs_bytes(l_));
    large_ = reinterpret_cast<uint32_t*>(scratch + copy_bytes(g_, l_) + runs_bytes(l_) + offsets_bytes(g_, l_));
  }

  // Pixels count from the beginning of the image, of the batch when flat; panels through all groups.
  void run(int64_t image, Range pixels, Range panels) const {
    make_runs();
    const int64_t most = band_pixels(g_, l_);
    for (int64_t begin = pixels.begin; begin < pixels.end;) {
      const int64_t limit = l_.flat ? begin + most : begin / g_.ow * g_.ow + most;
      const Range band{begin, std::min(pixels.end, limit)};
      make_offsets(band);
      for (int64_t panel = panels.begin; panel < panels.end;) {
        const int64_t group = panel / l_.panels;
        const Range in_group{panel - group * l_.panels, std::min(panels.end - group * l_.panels, l_.panels)};
        run_band(image, group, band, in_group);
        panel = group * l_.panels + in_group.end;
      }
      begin = band.end;
    }
  }

 private:
  int64_t source_pixel_bytes() const { return l_.direct ? call_.src_pixel_stride : l_.ic * traits_.element_bytes; }
  int64_t source_row_bytes() const { return l_.direct ? g_.iw * call_.src_pixel_stride : l_.copy_row_bytes; }

  void make_runs() const {
    const int64_t per_row = l_.run_count / g_.kh;
    for (int64_t i = 0; i < l_.run_count; ++i) {
      runs_[i].offset =
          i / per_row * g_.dilation_h * source_row_bytes() + i % per_row * g_.dilation_w * source_pixel_bytes();
      runs_[i].steps = l_.run_steps;
    }
  }

  // From the source place of the first output pixel of the band's first row.
  void make_offsets(Range band) const {
    const int64_t pixel_step = g_.stride_w * source_pixel_bytes();
    if (l_.flat) {
      for (int64_t i = 0; i < band.end - band.begin; ++i) offsets_[i] = i * pixel_step;
      return;
    }
    const int64_t row_step = g_.stride_h * source_row_bytes();
    int64_t x = band.begin % g_.ow, row = 0;
    for (int64_t i = 0; i < band.end - band.begin; ++i) {
      offsets_[i] = row + x * pixel_step;
      if (++x == g_.ow) {
        x = 0;
        row += row_step;
      }
    }
  }

  const uint8_t* source(int64_t image, int64_t group, Range band) const {
    const uint8_t* src = call_.src + group * l_.ic;
    if (l_.flat) return src + band.begin * call_.src_pixel_stride;
    const int64_t first = band.begin / g_.ow, last = (band.end - 1) / g_.ow;
    if (l_.direct) return src + (image * g_.ih + first * g_.stride_h) * source_row_bytes();
    const PaddedCopy padded(call_, traits_, l_);
    padded.copy(image, group, first * g_.stride_h - g_.pad_top, (last - first) * g_.stride_h + l_.reach_h, copy_);
    return copy_;
  }

  void run_band(int64_t image, int64_t group, Range band, Range panels) const {
    PanelCall call;
    call.src = source(image, group, band);
    call.offsets = offsets_;
    call.pixels = band.end - band.begin;
    call.runs = runs_;
    call.run_count = l_.run_count;
    call.run_chunks = l_.run_chunks;
    call.store = &call_.store;
    call.dst_stride = call_.dst_pixel_stride;
    call.residual_stride = call_.residual_pixel_stride;
    const int64_t pixel = image * g_.oh * g_.ow + band.begin;
    const uint8_t* weights = call_.packed + constants_bytes(g_, l_) + group * group_weight_bytes(l_);
    const auto* constants = reinterpret_cast<const int32_t*>(call_.packed) + group * padded_oc(l_);
    for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
      const int64_t first = panel * panel_width(traits_);
      call.vectors = panel_vectors(traits_, l_, panel);
      call.weights = weights + first * l_.steps * kStepBytes;
      call.constants = constants + first;
      call.oc_begin = group * l_.oc + first;
      call.channels = static_cast<int>(std::min<int64_t>(l_.oc - first, panel_width(traits_)));
      if (traits_.narrow == Narrow::kRepaired) mark_narrow_sums(group, panel, call);
      const int64_t at = pixel * call_.dst_pixel_stride + call.oc_begin;
      call.dst = static_cast<uint8_t*>(call_.dst) + at * (call_.store.to_float ? 4 : 1);
      call.residual =
          call_.residual == nullptr ? nullptr : call_.residual + pixel * call_.residual_pixel_stride + call.oc_begin;
      traits_.multiply(call);
    }
  }

  // The codes are looked at when the first panel of the band needs it.
  void mark_narrow_sums(int64_t group, int64_t panel, PanelCall& call) const {
    const uint8_t* all = call_.packed + constants_bytes(g_, l_) + weights_bytes(g_, l_);
    const auto* fragile = reinterpret_cast<const uint32_t*>(all) + (group * l_.panels + panel) * l_.marks;
    uint32_t any = 0;
    for (int64_t i = 0; i < l_.marks; ++i) any |= fragile[i];
    call.fragile = any == 0 ? nullptr : fragile;
    if (any == 0 || call.large != nullptr) return;
    mark_large_codes_avx2(call, large_);
    call.large = large_;
  }

  const ConvCall& call_;
  const ConvGeometry& g_;
  const BlockedTraits& traits_;
  const Layout& l_;
  uint8_t* copy_;
  Run* runs_;
  int64_t* offsets_;
  uint32_t* large_;
};

class BlockedConv final : public ConvKernel {
 public:
  explicit BlockedConv(const BlockedTraits& traits) : traits_(traits) {}

  std::string_view name() const override { return traits_.name; }
  uint32_t features() const override { return traits_.features; }

  std::string reject(const ConvProblem& problem, const int8_t* weights) const override {
    const ConvGeometry& g = problem.geometry;
    if (g.groups > 1 && g.ic / g.groups < kStepBytes)
      return "fewer than " + std::to_string(kStepBytes) + " input channels in a group";
    if (traits_.narrow != Narrow::kRefused || weights == nullptr) return {};
    const int64_t offending = pairs_that_saturate(problem, weights);
    if (offending == 0) return {};
    return std::to_string(offending) + " pairs of weights could exceed 16 bits with source codes up to " +
           std::to_string(std::max(problem.src_hi, problem.src_zero));
  }

  size_t packed_bytes(const ConvProblem& problem) const override {
    const ConvGeometry& g = problem.geometry;
    const Layout layout = make_layout(traits_, g);
    return static_cast<size_t>(constants_bytes(g, layout) + weights_bytes(g, layout) +
                               fragile_bytes(traits_, g, layout));
  }

  void pack(const ConvProblem& problem, const int8_t* weights, const int32_t* bias, uint8_t* packed) const override {
    const ConvGeometry& g = problem.geometry;
    const Layout layout = make_layout(traits_, g);
    const int64_t size = layout.ic * g.kh * g.kw;
    for (int64_t oc = 0; oc < g.oc; ++oc) {
      const int64_t group = oc / layout.oc;
      const int8_t* filter = weights + oc * size;
      int64_t sum = 0;
      for (int64_t i = 0; i < size; ++i) sum += filter[i];
      const uint32_t constant = static_cast<uint32_t>(bias == nullptr ? 0 : bias[oc]) -
                                static_cast<uint32_t>(problem.src_zero) * static_cast<uint32_t>(sum);
      std::memcpy(packed + (group * padded_oc(layout) + oc % layout.oc) * 4, &constant, sizeof(constant));
      pack_filter(g, layout, filter, oc % layout.oc,
                  packed + constants_bytes(g, layout) + group * group_weight_bytes(layout));
    }
    if (traits_.narrow == Narrow::kRepaired) pack_fragile(problem, layout, packed + constants_bytes(g, layout));
  }

  size_t scratch_bytes(const ConvProblem& problem) const override {
    const ConvGeometry& g = problem.geometry;
    const Layout l = make_layout(traits_, g);
    return static_cast<size_t>(copy_bytes(g, l) + runs_bytes(l) + offsets_bytes(g, l) + large_bytes(traits_, g, l));
  }

  int64_t tasks(const ConvProblem& problem, int64_t batch, int threads) const override {
    const ConvGeometry& g = problem.geometry;
    const Layout l = make_layout(traits_, g);
    const int64_t images = l.flat ? 1 : batch;
    return images * choose_parts(split_shape(traits_, g, l, pixels(g, l, batch)), images, threads);
  }

  void run(const ConvCall& call, int64_t task, int64_t tasks, uint8_t* scratch) const override {
    const ConvGeometry& g = call.problem->geometry;
    const Layout l = make_layout(traits_, g);
    const int64_t parts = tasks / (l.flat ? 1 : call.batch);
    const SplitShape shape = split_shape(traits_, g, l, pixels(g, l, call.batch));
    const Split split = split_into(shape, parts);
    const int64_t part = task % parts;
    const Range panels = part_of(shape.panels, split.panel_parts, part % split.panel_parts);
    const Range blocks = part_of(shape.pixel_blocks, split.pixel_parts, part / split.panel_parts);
    const Range range{blocks.begin * traits_.max_rows,
                      std::min(blocks.end * traits_.max_rows, pixels(g, l, call.batch))};
    Task(call, traits_, l, scratch).run(task / parts, range, panels);
  }

 private:
  static int64_t pixels(const ConvGeometry& g, const Layout& l, int64_t batch) {
    return g.oh * g.ow * (l.flat ? batch : 1);
  }

  void pack_filter(const ConvGeometry& g, const Layout& l, const int8_t* filter, int64_t oc, uint8_t* group) const {
    const int64_t panel = oc / panel_width(traits_);
    const int64_t lane = oc % panel_width(traits_);
    const int64_t step_bytes = int64_t{panel_vectors(traits_, l, panel)} * kPanelLanes * kStepBytes;
    uint8_t* to = group + panel * panel_width(traits_) * l.steps * kStepBytes + lane * kStepBytes;
    const int64_t taps = g.kh * g.kw, taps_a_run = taps / l.run_count;
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < l.ic; ++c) {
        const int64_t byte = (tap % taps_a_run * l.ic + c) * traits_.element_bytes;
        const int64_t step = tap / taps_a_run * l.run_steps + byte / kStepBytes;
        const int16_t weight = filter[c * taps + tap];
        std::memcpy(to + step * step_bytes + byte % kStepBytes, &weight, static_cast<size_t>(traits_.element_bytes));
      }
    }
  }

  // Kernels with narrow sums have panels of one vector, so that a step of every panel has as many bytes.
  static constexpr int64_t kNarrowStepBytes = kPanelLanes * kStepBytes;

  // Marks the sums of four products that the highest code can bring out of 16 bits, each at one level.
  void pack_fragile(const ConvProblem& problem, const Layout& l, uint8_t* weights) const {
    const ConvGeometry& g = problem.geometry;
    const int32_t highest = std::max(problem.src_hi, problem.src_zero);
    auto* fragile = reinterpret_cast<uint32_t*>(weights + weights_bytes(g, l));
    for (int64_t run = 0; run < g.groups * l.panels * l.run_count; ++run) {
      const uint8_t* from = weights + run * l.run_steps * kNarrowStepBytes;
      for (int64_t at = 0; at < l.run_steps; at += kChunkSteps, fragile += kNarrowLevels) {
        for (int bit = 0; bit < 32; ++bit) {
          const QuadPlace place = quad_place(bit);
          const int64_t steps = std::min<int64_t>(2, l.run_steps - at - place.step);
          if (steps <= 0) continue;
          const uint8_t* first = from + (at + place.step) * kNarrowStepBytes + 2 * place.half;
          const int level = fragile_level(first, steps, highest);
          if (level >= 0) fragile[level] |= uint32_t{1} << bit;
        }
      }
    }
  }

  // Of two weights of each of `steps` words in any of the 16 channels; -1 when no codes can leave 16 bits.
  static int fragile_level(const uint8_t* weights, int64_t steps, int32_t highest) {
    bool fragile = false;
    int32_t largest = 0;
    for (int lane = 0; lane < kPanelLanes; ++lane) {
      int32_t most = 0, least = 0;
      for (int64_t i = 0; i < 2 * steps; ++i) {
        const int32_t w = static_cast<int8_t>(weights[i / 2 * kNarrowStepBytes + lane * kStepBytes + i % 2]);
        most += highest * std::max(w, 0);
        least += highest * std::min(w, 0);
        largest = std::max(largest, std::abs(w));
      }
      fragile = fragile || most > 32767 || least < -32768;
    }
    if (!fragile) return -1;
    int level = 0;
    while (level + 1 < kNarrowLevels && largest <= kLargestWeight[level + 1]) ++level;
    return level;
  }

  int64_t pairs_that_saturate(const ConvProblem& problem, const int8_t* weights) const {
    const int32_t highest = std::max(problem.src_hi, problem.src_zero);
    std::vector<uint8_t> packed(packed_bytes(problem));
    pack(problem, weights, nullptr, packed.data());
    const int64_t begin = constants_bytes(problem.geometry, make_layout(traits_, problem.geometry));
    int64_t offending = 0;
    for (size_t i = static_cast<size_t>(begin); i + 1 < packed.size(); i += 2) {
      const int32_t a = static_cast<int8_t>(packed[i]), b = static_cast<int8_t>(packed[i + 1]);
      offending +=
          highest * (std::max(a, 0) + std::max(b, 0)) > 32767 || highest * (std::min(a, 0) + std::min(b, 0)) < -32768;
    }
    return offending;
  }

  const BlockedTraits traits_;
};

}  // namespace

#if defined(OCTET_X86_LEVELS)
const ConvKernel* vnni_conv_kernel() {
  static const BlockedConv kernel({"vnni", kAvx512 | kAvx512Vnni, multiply_panel_vnni, 14, 2, 1});
  return &kernel;
}

const ConvKernel* avx2_quads_conv_kernel() {
  static const BlockedConv kernel({"avx2-quads", kAvx2, multiply_panel_quads_avx2, 4, 1, 1, Narrow::kRepaired});
  return &kernel;
}

const ConvKernel* avx2_pairs_conv_kernel() {
  static const BlockedConv kernel({"avx2-pairs", kAvx2, multiply_panel_pairs_avx2, 4, 1, 1, Narrow::kRefused});
  return &kernel;
}

const ConvKernel* avx2_words_conv_kernel() {
  static const BlockedConv kernel({"avx2-words", kAvx2, multiply_panel_words_avx2, 4, 1, 2});
  return &kernel;
}
#endif

}  // namespace octet::cpu
