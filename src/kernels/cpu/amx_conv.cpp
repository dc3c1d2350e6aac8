// The AMX convolution kernel: geometry, packing and the split into tasks. The loops are in conv_amx.cpp.
#if defined(OCTET_X86_LEVELS)
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/conv_amx.h"
#include "kernels/cpu/conv_kernels_list.h"

namespace octet::cpu {
namespace {

constexpr int64_t kMaxCopyBytes = 256 << 10;  // a band and its weights stay in the second-level cache

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

bool reads_source(const ConvGeometry& g) {
  return g.kh == 1 && g.kw == 1 && g.stride_h == 1 && g.stride_w == 1 && g.pad_top == 0 && g.pad_left == 0 &&
         g.oh == g.ih && g.ow == g.iw;
}

// Tiles whose rows start off a cache line load slower by about this factor, measured with sums and weights in L1.
constexpr double kUnalignedCost = 1.35;
constexpr double kStepNanoseconds = 23;         // 32 positions x 64 codes x 32 channels
constexpr double kCopyBytesPerNanosecond = 40;  // of whole rows
constexpr double kCopyPixelNanoseconds = 0.7;   // when pixels are copied one by one

// How pixels of the copy hold codes: the layout with the cheapest steps.
void choose_layout(const ConvGeometry& g, AmxPlan* plan) {
  double best = INFINITY;
  const auto consider = [&](int64_t fold, int64_t pixel_bytes, int64_t taps) {
    const int64_t row_groups = divide_up(g.kh, fold);
    const int64_t chunks = divide_up((taps - 1) * pixel_bytes + fold * g.ic, kTileBytes);
    // Per position: steps for all channels, then the pixels that its share of the copy has.
    const double step = kStepNanoseconds / (2 * kTileRows) * (pixel_bytes % kTileBytes == 0 ? 1.0 : kUnalignedCost);
    const auto steps = static_cast<double>(row_groups * (g.kw / taps) * chunks * divide_up(g.oc, kPanelChannels));
    const auto pixels = static_cast<double>(fold * (g.kw == 1 ? 1 : g.stride_w) * (fold > 1 ? 1 : g.stride_h));
    const double codes = static_cast<double>(g.ic) / kCopyBytesPerNanosecond;
    const double pixel = pixel_bytes == g.ic ? codes : std::max(codes, kCopyPixelNanoseconds);
    const double cost = steps * step + pixels * pixel;
    if (cost >= best) return;
    best = cost;
    plan->fold = fold;
    plan->pixel_bytes = pixel_bytes;
    plan->taps = taps;
    plan->row_groups = row_groups;
    plan->column_groups = g.kw / taps;
    plan->chunks = chunks;
  };
  const int64_t taps = g.dilation_w == 1 ? g.kw : 1;
  consider(1, round_up(g.ic, kTileBytes), taps);
  if (g.ic % kTileBytes != 0) consider(1, g.ic, taps);
  if (g.dilation_h != 1) return;
  for (int64_t fold = g.stride_h; fold < g.kh + g.stride_h && fold * g.ic <= kTileBytes; fold += g.stride_h) {
    if (fold > 1) consider(fold, fold * g.ic, taps);
  }
}

AmxPlan plan_of(const ConvProblem& problem) {
  const ConvGeometry& g = problem.geometry;
  AmxPlan plan;
  plan.channel_tiles = divide_up(g.oc, kTileChannels);
  plan.panels = divide_up(g.oc, kPanelChannels);
  plan.direct = reads_source(g);
  if (plan.direct) {
    plan.pixel_bytes = g.ic;
    plan.chunks = divide_up(g.ic, kTileBytes);
    return plan;
  }
  choose_layout(g, &plan);
  plan.column_step = g.kw == 1 ? g.stride_w : 1;
  plan.stride_w = g.kw == 1 ? 1 : g.stride_w;
  const int64_t last_row = (plan.row_groups - 1) * plan.fold * g.dilation_h;
  plan.planes = plan.fold > 1 ? 1 : std::min(g.stride_h, last_row + 1);
  plan.more_rows = last_row / g.stride_h;
  // Right padding may be the next row's left padding.
  const int64_t needed = (g.ow - 1) * plan.stride_w + (g.kw - 1) * g.dilation_w + 1;
  const int64_t left = divide_up(g.pad_left, plan.column_step);
  const int64_t present = std::min(needed, divide_up(g.pad_left + g.iw, plan.column_step));
  plan.positions = std::max(divide_up(std::max(present, needed - left), plan.stride_w), g.ow);
  plan.pitch = plan.positions * plan.stride_w;
  plan.spill = std::max<int64_t>(0, needed - plan.pitch);
  const int64_t row_bytes = plan.planes * plan.pitch * plan.pixel_bytes;
  plan.band_rows = std::clamp<int64_t>(kMaxCopyBytes / row_bytes - plan.more_rows, 1, g.oh);
  return plan;
}

// Nanoseconds, roughly: what decides how a layer is split.
struct Split {
  int64_t parts_of_units = 1;
  int64_t parts_of_panels = 1;
  double cost = INFINITY;  // of the longest task
};

struct Work {
  AmxPlan plan;
  int64_t units = 1;  // output rows or positions
  int64_t positions_per_unit = 1;
  double copy_per_unit = 0;
  double copy_halo = 0;
};

Work work_of(const ConvProblem& problem, int64_t batch) {
  const ConvGeometry& g = problem.geometry;
  Work work;
  work.plan = plan_of(problem);
  work.units = batch * g.oh * (work.plan.direct ? g.ow : 1);
  if (work.plan.direct) return work;
  work.positions_per_unit = work.plan.positions;
  work.copy_per_unit =
      static_cast<double>(work.plan.planes * work.plan.pitch * work.plan.pixel_bytes) / kCopyBytesPerNanosecond;
  work.copy_halo = work.copy_per_unit * static_cast<double>(work.plan.more_rows);
  return work;
}

double task_cost(const Work& work, int64_t units, int64_t panels) {
  constexpr double kStoreBlock = 130, kWeightsBytesPerNanosecond = 30, kTask = 300;
  const int64_t blocks = divide_up(units * work.positions_per_unit, 2 * kTileRows);
  const auto steps = static_cast<double>(work.plan.steps());
  const double weights = steps * static_cast<double>(panels) * 2 * kBTileBytes / kWeightsBytesPerNanosecond;
  const double compute = static_cast<double>(blocks * panels) * (steps * kStepNanoseconds + kStoreBlock);
  return kTask + std::max(compute, weights) + static_cast<double>(units) * work.copy_per_unit + work.copy_halo;
}

// The cheapest way to make exactly `tasks` tasks.
Split split_into(const Work& work, int64_t tasks) {
  Split best;
  for (int64_t n = 1; n <= std::min(tasks, work.plan.panels); ++n) {
    if (tasks % n != 0 || tasks / n > work.units) continue;
    const int64_t m = tasks / n;
    const double cost = task_cost(work, divide_up(work.units, m), divide_up(work.plan.panels, n));
    if (cost < best.cost) best = {m, n, cost};
  }
  return best;
}

class AmxConv final : public ConvKernel {
 public:
  std::string_view name() const override { return "amx"; }
  uint32_t features() const override { return kAvx2 | kAvx512 | kAvx512Vnni | kAmxInt8; }

  std::string reject(const ConvProblem& problem, const int8_t*) const override {
    if (problem.geometry.groups != 1) return "several groups leave most of a tile empty";
    return {};
  }

  size_t packed_bytes(const ConvProblem& problem) const override {
    const AmxPlan plan = plan_of(problem);
    return static_cast<size_t>(amx_constants_bytes(plan) + plan.channel_tiles * plan.steps() * kBTileBytes);
  }

  void pack(const ConvProblem& problem, const int8_t* weights, const int32_t* bias, uint8_t* packed) const override {
    const ConvGeometry& g = problem.geometry;
    const AmxPlan plan = plan_of(problem);
    const int64_t size = g.ic * g.kh * g.kw;
    for (int64_t oc = 0; oc < g.oc; ++oc) {
      int64_t sum = 0;
      for (int64_t k = 0; k < size; ++k) sum += weights[oc * size + k];
      const auto constant = static_cast<uint32_t>((bias == nullptr ? 0 : bias[oc]) - problem.src_zero * sum);
      std::memcpy(packed + oc * 4, &constant, sizeof(constant));
      pack_channel(plan, g, weights + oc * size, oc, packed + amx_constants_bytes(plan));
    }
  }

  size_t scratch_bytes(const ConvProblem& problem) const override {
    const AmxPlan plan = plan_of(problem);
    int64_t bytes = kAmxSumsBytes + amx_offsets_bytes(plan);
    if (!plan.direct) bytes += plan.planes * plan.plane_bytes(plan.band_rows) + kAmxCopySlack;
    return static_cast<size_t>(round_up(bytes, 64));
  }

  int64_t tasks(const ConvProblem& problem, int64_t batch, int threads) const override {
    const Work work = work_of(problem, batch);
    if (threads <= 1) return 1;
    int64_t best = 1;
    double best_cost = INFINITY;
    for (int64_t tasks = 1; tasks <= 4 * threads; ++tasks) {
      const double cost = split_into(work, tasks).cost * static_cast<double>(divide_up(tasks, threads));
      if (cost < best_cost) {
        best_cost = cost;
        best = tasks;
      }
    }
    return best;
  }

  void run(const ConvCall& call, int64_t task, int64_t tasks, uint8_t* scratch) const override {
    const Work work = work_of(*call.problem, call.batch);
    const Split split = split_into(work, tasks);
    const int64_t m = task / split.parts_of_panels;
    const int64_t n = task % split.parts_of_panels;
    const auto part = [](int64_t all, int64_t parts, int64_t i) { return all * i / parts; };
    AmxTask part_of_task;
    part_of_task.begin = part(work.units, split.parts_of_units, m);
    part_of_task.end = part(work.units, split.parts_of_units, m + 1);
    part_of_task.panel_begin = part(work.plan.panels, split.parts_of_panels, n);
    part_of_task.panel_end = part(work.plan.panels, split.parts_of_panels, n + 1);
    run_amx_task(work.plan, call, part_of_task, scratch);
  }

 private:
  // Where the plan reads the code of kernel element (ky, kx, c), weights tiles have its weight.
  static void pack_channel(const AmxPlan& plan, const ConvGeometry& g, const int8_t* weights, int64_t oc,
                           uint8_t* tiles) {
    const int64_t panel = oc / kPanelChannels;
    const bool two = panel * 2 + 1 < plan.channel_tiles;
    const int64_t step_bytes = two ? 2 * kBTileBytes : kBTileBytes;
    uint8_t* base = tiles + panel * plan.steps() * 2 * kBTileBytes +
                    oc % kPanelChannels / kTileChannels * kBTileBytes + oc % kTileChannels * 4;
    for (int64_t c = 0; c < g.ic; ++c) {
      for (int64_t ky = 0; ky < g.kh; ++ky) {
        for (int64_t kx = 0; kx < g.kw; ++kx) {
          const int64_t group = ky / plan.fold * plan.column_groups + kx / plan.taps;
          const int64_t at = kx % plan.taps * plan.pixel_bytes + ky % plan.fold * g.ic + c;
          const int64_t step = group * plan.chunks + at / kTileBytes;
          const int64_t k = at % kTileBytes;
          base[step * step_bytes + k / 4 * 64 + k % 4] = static_cast<uint8_t>(*weights++);
        }
      }
    }
  }
};

}  // namespace

const ConvKernel* amx_conv_kernel() {
  static const AmxConv kernel;
  return &kernel;
}

}  // namespace octet::cpu
#endif
