#include "kernels/cpu/depthwise.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/conv_kernels_list.h"

#if defined(OCTET_X86_LEVELS)
namespace octet::cpu {
namespace {

// Output pixels that one pass of the multiply-add loop may run past the end of a chunk.
constexpr int64_t kSlack = 16;
// Less work than this is not worth waking a thread.
constexpr int64_t kProductsPerTask = 32768;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Level {
  std::string_view name;
  uint32_t features;
  int64_t vector;
  int64_t lane_rows;
  int64_t cache_bytes;  // of the nearest cache, for interleaved rows
  DepthwiseFunction run;
};

DepthwisePlan make_plan(const Level& level, const ConvGeometry& g) {
  DepthwisePlan p;
  p.vector = level.vector;
  p.lane_rows = level.lane_rows;
  p.row_sets = divide_up(g.kh, level.lane_rows);
  // Rows that are there anyway serve further output rows.
  p.out_rows = g.dilation_h == 1 ? (p.row_sets * level.lane_rows - g.kh) / g.stride_h + 1 : 1;
  p.row_groups = divide_up(g.oh, p.out_rows);
  p.blocks = divide_up(g.oc, level.vector);
  p.taps = g.kw * p.row_sets;
  p.block_bytes = 4 * level.vector * (1 + p.out_rows * p.taps);
  const int64_t pixel_bytes = 4 * level.vector * p.row_sets * g.stride_w;
  const int64_t parts = divide_up(g.ow * pixel_bytes, level.cache_bytes);
  p.chunk = std::min(g.ow, divide_up(divide_up(g.ow, parts), 8) * 8);
  p.slots = p.chunk + (g.kw - 1) * g.dilation_w / g.stride_w + 1 + kSlack;
  p.plane_bytes = g.stride_w * p.slots * level.vector;
  return p;
}

class Depthwise final : public ConvKernel {
 public:
  explicit Depthwise(const Level& level) : level_(level) {}

  std::string_view name() const override { return level_.name; }
  uint32_t features() const override { return level_.features; }

  std::string reject(const ConvProblem& problem, const int8_t*) const override {
    const ConvGeometry& g = problem.geometry;
    if (g.groups != g.ic || g.ic != g.oc) return "not one filter for each channel";
    if (g.kw * divide_up(g.kh, level_.lane_rows) > kDepthwiseMaxTaps) return "the kernel is too large";
    if (g.stride_w > 8 || g.dilation_w > 64) return "the stride or dilation is too large";
    return {};
  }

  size_t packed_bytes(const ConvProblem& problem) const override {
    const DepthwisePlan p = make_plan(level_, problem.geometry);
    return static_cast<size_t>(p.blocks * p.block_bytes);
  }

  void pack(const ConvProblem& problem, const int8_t* weights, const int32_t* bias, uint8_t* packed) const override {
    const DepthwisePlan p = make_plan(level_, problem.geometry);
    for (int64_t b = 0; b < p.blocks; ++b) pack_block(p, problem, weights, bias, b, packed + b * p.block_bytes);
  }

  // Padding, interleaved rows, and sums for stores that are not done in registers.
  size_t scratch_bytes(const ConvProblem& problem) const override {
    const DepthwisePlan p = make_plan(level_, problem.geometry);
    return static_cast<size_t>(p.vector + 4 * p.row_sets * p.plane_bytes + 4 * p.vector * (p.chunk + kSlack));
  }

  int64_t tasks(const ConvProblem& problem, int64_t batch, int threads) const override {
    const ConvGeometry& g = problem.geometry;
    const DepthwisePlan p = make_plan(level_, g);
    if (threads <= 1) return 1;
    const int64_t products = batch * g.oh * g.ow * g.oc * g.kh * g.kw;
    const int64_t most = std::min<int64_t>(batch * p.row_groups * p.blocks, 4 * threads);
    return std::clamp<int64_t>(products / kProductsPerTask, 1, most);
  }

  void run(const ConvCall& call, int64_t task, int64_t tasks, uint8_t* scratch) const override {
    const DepthwisePlan p = make_plan(level_, call.problem->geometry);
    const int64_t units = call.batch * p.row_groups * p.blocks;
    level_.run(p, call, units * task / tasks, units * (task + 1) / tasks, scratch);
  }

 private:
  void pack_block(const DepthwisePlan& p, const ConvProblem& problem, const int8_t* weights, const int32_t* bias,
                  int64_t block, uint8_t* packed) const {
    const ConvGeometry& g = problem.geometry;
    const DepthwiseBlock b = depthwise_block(p, g.oc, block);
    const int64_t lanes = p.vector / 4;
    for (int64_t q = 0; q < 4; ++q) {
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const int64_t local = depthwise_lane_channel(q, lane) % b.width;
        if (local >= b.channels) continue;
        const int64_t channel = b.begin + local;
        const int8_t* filter = weights + channel * g.kh * g.kw;
        const uint32_t constant = constant_of(problem, filter, bias == nullptr ? 0 : bias[channel]);
        std::memcpy(packed + (q * lanes + lane) * 4, &constant, 4);
        for (int64_t i = 0; i < p.out_rows * p.taps; ++i) {
          const int64_t row = i / p.taps, kx = i % p.taps / p.row_sets, set = i % p.row_sets;
          uint8_t* at = packed + ((1 + i) * p.vector + q * lanes + lane) * 4;
          pack_lane(p, g, filter, set * p.lane_rows - row * g.stride_h, kx, at);
        }
      }
    }
  }

  // The weights of one 32-bit lane: rows first_row and onwards of column kx, 0 where the kernel has no such row.
  static void pack_lane(const DepthwisePlan& p, const ConvGeometry& g, const int8_t* filter, int64_t first_row,
                        int64_t kx, uint8_t* to) {
    for (int64_t k = 0; k < p.lane_rows; ++k) {
      const int64_t ky = first_row + k;
      const int8_t weight = ky >= 0 && ky < g.kh ? filter[ky * g.kw + kx] : int8_t{0};
      const auto word = static_cast<int16_t>(weight);
      if (p.lane_rows == 4) std::memcpy(to + k, &weight, 1);
      else std::memcpy(to + 2 * k, &word, 2);
    }
  }

  // Wraps as the sums do.
  static uint32_t constant_of(const ConvProblem& problem, const int8_t* filter, int32_t bias) {
    int64_t sum = 0;
    for (int64_t k = 0; k < problem.geometry.kh * problem.geometry.kw; ++k) sum += filter[k];
    return static_cast<uint32_t>(bias) - static_cast<uint32_t>(problem.src_zero) * static_cast<uint32_t>(sum);
  }

  Level level_;
};

}  // namespace

const ConvKernel* depthwise_vnni_conv_kernel() {
  static const Depthwise kernel({"depthwise-vnni", kAvx2 | kAvx512 | kAvx512Vnni, 64, 4, 28 * 1024, depthwise_vnni});
  return &kernel;
}

const ConvKernel* depthwise_avx2_conv_kernel() {
  static const Depthwise kernel({"depthwise-avx2", kAvx2, 32, 2, 20 * 1024, depthwise_avx2});
  return &kernel;
}

}  // namespace octet::cpu
#endif
