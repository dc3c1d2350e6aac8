// Random convolutions for the tests of the INT8 kernels: geometry, weights, source and store, with all their buffers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/conv.h"

namespace octet::cpu {

using Rng = std::mt19937_64;

inline int64_t pick(Rng& rng, int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(rng); }

enum class Values {
  kRandom,   // all codes
  kExtreme,  // 0/255 and -128/127
  kSmall,    // few, so that proofs succeed
  kLimits,   // whose products of two and of four lie around the ends of 16 bits
};

struct ConvCase {
  ConvProblem problem;
  int64_t batch = 1;
  std::vector<int8_t> weights;
  std::vector<int32_t> bias;
  std::vector<uint8_t> src;
  int64_t src_stride = 0, dst_stride = 0, residual_stride = 0;
  Store store;
  std::vector<float> multiplier, addend;
  std::vector<uint8_t> table;
  std::vector<uint8_t> residual;

  int64_t dst_pixels() const { return batch * problem.geometry.oh * problem.geometry.ow; }
};

inline int64_t out_size(int64_t in, int64_t pads, int64_t kernel, int64_t stride, int64_t dilation) {
  return (in + pads - ((kernel - 1) * dilation + 1)) / stride + 1;
}

// Sets oh and ow; false when the filter does not fit.
inline bool finish_geometry(ConvGeometry& g, int64_t pad_bottom, int64_t pad_right) {
  if (g.ih + g.pad_top + pad_bottom < (g.kh - 1) * g.dilation_h + 1) return false;
  if (g.iw + g.pad_left + pad_right < (g.kw - 1) * g.dilation_w + 1) return false;
  g.oh = out_size(g.ih, g.pad_top + pad_bottom, g.kh, g.stride_h, g.dilation_h);
  g.ow = out_size(g.iw, g.pad_left + pad_right, g.kw, g.stride_w, g.dilation_w);
  return true;
}

inline ConvGeometry random_geometry(Rng& rng) {
  for (;;) {
    ConvGeometry g;
    g.groups = pick(rng, 0, 3) == 0 ? pick(rng, 2, 4) : 1;
    const bool depthwise = pick(rng, 0, 5) == 0;
    if (depthwise) {
      g.groups = g.ic = g.oc = pick(rng, 1, 70);
    } else {
      g.ic = g.groups * pick(rng, 1, pick(rng, 0, 1) == 0 ? 9 : 70);
      g.oc = g.groups * pick(rng, 1, pick(rng, 0, 2) == 0 ? 9 : 100);
    }
    g.ih = pick(rng, 1, 17);
    g.iw = pick(rng, 1, 19);
    const bool pointwise = pick(rng, 0, 3) == 0;
    g.kh = pointwise ? 1 : pick(rng, 1, 5);
    g.kw = pointwise ? 1 : pick(rng, 1, 5);
    if (pick(rng, 0, 2) == 0) g.stride_h = pick(rng, 1, 3), g.stride_w = pick(rng, 1, 3);
    if (pick(rng, 0, 4) == 0) g.dilation_h = pick(rng, 1, 3), g.dilation_w = pick(rng, 1, 3);
    int64_t bottom = 0, right = 0;
    if (pick(rng, 0, 2) != 0) {
      g.pad_top = pick(rng, 0, g.kh), g.pad_left = pick(rng, 0, g.kw);
      bottom = pick(rng, 0, g.kh), right = pick(rng, 0, g.kw);
    }
    if (finish_geometry(g, bottom, right)) return g;
  }
}

inline Grid random_grid(Rng& rng) {
  Grid grid;
  grid.lo = pick(rng, 0, 1) == 0 ? 0 : static_cast<int32_t>(pick(rng, 0, 100));
  grid.hi = pick(rng, 0, 1) == 0 ? 255 : static_cast<int32_t>(pick(rng, 120, 255));
  grid.zero = static_cast<int32_t>(pick(rng, grid.lo, grid.hi));
  return grid;
}

// Multipliers spread the sums over the grid and beyond. Buffers that the store points into live in the case.
inline void random_store(Rng& rng, ConvCase& c) {
  const ConvGeometry& g = c.problem.geometry;
  const auto channels = static_cast<size_t>((g.oc + 15) / 16 * 16);
  std::uniform_real_distribution<float> factor(0.2f, 3.0f), shift(-40.0f, 40.0f);
  const double size = static_cast<double>(g.ic / g.groups * g.kh * g.kw);
  const float typical = static_cast<float>(100.0 / (std::sqrt(size) * 128 * 64));
  const bool huge = pick(rng, 0, 9) == 0;  // products beyond int32
  c.multiplier.assign(channels, 0.0f);
  for (int64_t i = 0; i < g.oc; ++i)
    c.multiplier[static_cast<size_t>(i)] = huge ? 1e6f * factor(rng) : typical * factor(rng);
  Store& s = c.store;
  s.multiplier = c.multiplier.data();
  s.first = random_grid(rng);
  s.second = random_grid(rng);
  if (pick(rng, 0, 2) == 0) {
    c.addend.assign(channels, 0.0f);
    for (int64_t i = 0; i < g.oc; ++i) c.addend[static_cast<size_t>(i)] = shift(rng);
    s.addend = c.addend.data();
  }
  s.to_float = pick(rng, 0, 5) == 0;
  if (pick(rng, 0, 1) == 0) {
    s.curve = static_cast<Curve>(pick(rng, 0, 9));
    s.alpha = s.curve == Curve::kClip ? -20.0f : 0.2f;
    s.beta = s.curve == Curve::kClip ? 30.0f : 0.5f;
    s.first_divisor = 0.37f;
  }
  if (pick(rng, 0, 2) == 0) {
    c.table.resize(256);
    for (uint8_t& code : c.table) code = static_cast<uint8_t>(rng());
    s.table = c.table.data();
  }
  s.residual = s.to_float && pick(rng, 0, 1) == 0 ? Residual::kNone : static_cast<Residual>(pick(rng, 0, 2));
  if (s.to_float && s.residual == Residual::kAfterFirst) s.residual = Residual::kBeforeFirst;
  if (s.residual == Residual::kNone) return;
  c.residual_stride = g.oc + (pick(rng, 0, 1) == 0 ? 0 : pick(rng, 1, 40));
  c.residual.resize(static_cast<size_t>(c.dst_pixels() * c.residual_stride + kReadSlack));
  for (uint8_t& code : c.residual) code = static_cast<uint8_t>(rng());
  s.residual_zero = static_cast<int32_t>(pick(rng, 0, 255));
  s.residual_scale = 0.6f * factor(rng);
  s.table_zero = static_cast<int32_t>(pick(rng, 0, 255));
  s.self_scale = 0.7f * factor(rng);
}

inline void random_operands(Rng& rng, Values values, ConvCase& c) {
  constexpr int8_t limits_of_weights[] = {0, 1, 53, 54, 55, 64, 72, 73, 96, 97, 127, -54, -64, -72, -96, -127, -128};
  constexpr uint8_t limits_of_codes[] = {0, 0, 0, 0, 1, 85, 113, 127, 128, 129, 150, 170, 254, 255};
  const ConvGeometry& g = c.problem.geometry;
  c.weights.resize(static_cast<size_t>(g.oc * (g.ic / g.groups) * g.kh * g.kw));
  c.src_stride = g.ic + (pick(rng, 0, 2) == 0 ? pick(rng, 1, 40) : 0);
  c.src.resize(static_cast<size_t>(c.batch * g.ih * g.iw * c.src_stride + kReadSlack));
  c.problem.src_hi = values == Values::kSmall ? 127 : 255;
  if (pick(rng, 0, 3) == 0) c.problem.src_hi = static_cast<int32_t>(pick(rng, 1, c.problem.src_hi));
  for (int8_t& w : c.weights) {
    if (values == Values::kExtreme) w = (rng() & 1) != 0 ? 127 : -128;
    else if (values == Values::kLimits) w = limits_of_weights[rng() % std::size(limits_of_weights)];
    else w = static_cast<int8_t>(pick(rng, values == Values::kSmall ? -127 : -128, 127));
  }
  for (uint8_t& code : c.src) {
    const auto highest = static_cast<uint8_t>(c.problem.src_hi);
    if (values == Values::kExtreme) code = (rng() & 1) != 0 ? highest : 0;
    else if (values == Values::kLimits) code = std::min(highest, limits_of_codes[rng() % std::size(limits_of_codes)]);
    else code = static_cast<uint8_t>(pick(rng, 0, c.problem.src_hi));
  }
  // Padding may carry a code above all others.
  const int32_t most = values == Values::kSmall || pick(rng, 0, 3) != 0 ? c.problem.src_hi : 255;
  c.problem.src_zero = static_cast<int32_t>(pick(rng, 0, most));
  if (pick(rng, 0, 3) != 0) {
    for (int64_t i = 0; i < g.oc; ++i) c.bias.push_back(static_cast<int32_t>(pick(rng, -100000, 100000)));
  }
}

inline void random_case_of(Rng& rng, const ConvGeometry& geometry, Values values, ConvCase& c) {
  c.problem.geometry = geometry;
  c.batch = pick(rng, 0, 2) == 0 ? pick(rng, 2, 3) : 1;
  random_operands(rng, values, c);
  c.dst_stride = geometry.oc + (pick(rng, 0, 2) == 0 ? pick(rng, 1, 40) : 0);
  random_store(rng, c);
}

// 64-byte aligned memory of a given size with room after it.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size, uint8_t value = 0) : bytes_(size + 64, value) {}
  uint8_t* data() {
    auto address = reinterpret_cast<uintptr_t>(bytes_.data());
    return bytes_.data() + (64 - address % 64) % 64;
  }

 private:
  std::vector<uint8_t> bytes_;
};

constexpr uint8_t kUntouched = 0xa5;

// The destination after running all tasks, last first when `backwards`; bytes that nobody wrote are kUntouched.
inline std::vector<uint8_t> run_case(const ConvKernel& kernel, const ConvCase& c, int threads, bool backwards) {
  const ConvGeometry& g = c.problem.geometry;
  AlignedBytes packed(kernel.packed_bytes(c.problem));
  kernel.pack(c.problem, c.weights.data(), c.bias.empty() ? nullptr : c.bias.data(), packed.data());
  AlignedBytes scratch(kernel.scratch_bytes(c.problem), 0xcd);
  const size_t element = c.store.to_float ? sizeof(float) : 1;
  AlignedBytes dst_memory(static_cast<size_t>(c.dst_pixels() * c.dst_stride) * element + kReadSlack, kUntouched);
  ConvCall call;
  call.problem = &c.problem;
  call.packed = packed.data();
  call.store = c.store;
  call.batch = c.batch;
  call.src = c.src.data();
  call.src_pixel_stride = c.src_stride;
  call.dst = dst_memory.data();
  call.dst_pixel_stride = c.dst_stride;
  call.residual = c.residual.empty() ? nullptr : c.residual.data();
  call.residual_pixel_stride = c.residual_stride;
  const int64_t tasks = kernel.tasks(c.problem, c.batch, threads);
  for (int64_t t = 0; t < tasks; ++t) kernel.run(call, backwards ? tasks - 1 - t : t, tasks, scratch.data());
  const uint8_t* dst = dst_memory.data();
  return {dst, dst + static_cast<size_t>(c.dst_pixels() * g.oc == 0 ? 0 : c.dst_pixels() * c.dst_stride) * element +
                   kReadSlack};
}

inline std::string describe(const ConvCase& c) {
  const ConvGeometry& g = c.problem.geometry;
  std::string text;
  const auto add = [&](const char* name, int64_t value) { text += std::string(name) + std::to_string(value) + " "; };
  add("n", c.batch), add("ic", g.ic), add("ih", g.ih), add("iw", g.iw), add("oc", g.oc), add("oh", g.oh);
  add("ow", g.ow), add("kh", g.kh), add("kw", g.kw), add("sh", g.stride_h), add("sw", g.stride_w);
  add("pt", g.pad_top), add("pl", g.pad_left), add("dh", g.dilation_h), add("dw", g.dilation_w), add("g", g.groups);
  add("src_stride", c.src_stride), add("dst_stride", c.dst_stride), add("curve", static_cast<int64_t>(c.store.curve));
  add("residual", static_cast<int64_t>(c.store.residual)), add("table", c.store.table != nullptr);
  add("addend", c.store.addend != nullptr), add("float", c.store.to_float);
  return text;
}

}  // namespace octet::cpu
