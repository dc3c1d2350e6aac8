// The definition of the INT8 convolution: plain loops, for every geometry, on every CPU.
#include <algorithm>
#include <cstring>

#include "kernels/cpu/conv_kernels_list.h"
#include "kernels/cpu/curves.h"

namespace octet::cpu {
namespace {

constexpr size_t kAlignment = 64;

size_t round_up(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Of one sum and the residual's code at the same place; a float through *real when the store ends in floats.
int32_t store_one(const Store& store, int32_t sum, int64_t oc, int32_t residual, float* real) {
  float v = static_cast<float>(sum) * store.multiplier[oc];
  if (store.addend != nullptr) v = v + store.addend[oc];
  const float other = static_cast<float>(residual - store.residual_zero) * store.residual_scale;
  if (store.residual == Residual::kBeforeFirst) v = v + other;
  v = apply_curve<float>(store.curve, v, store.alpha, store.beta);
  *real = v;
  if (store.to_float) return 0;
  if (store.curve != Curve::kNone) v = v / store.first_divisor;
  int32_t code = to_grid(v, store.first);
  if (store.table != nullptr) code = store.table[code];
  if (store.residual == Residual::kAfterFirst) {
    v = static_cast<float>(code - store.table_zero) * store.self_scale + other;
    code = to_grid(v, store.second);
  }
  return code;
}

class ReferenceConv final : public ConvKernel {
 public:
  std::string_view name() const override { return "reference"; }
  uint32_t features() const override { return 0; }
  std::string reject(const ConvProblem&, const int8_t*) const override { return {}; }

  // int32 constants of the channels, then the weights as given.
  size_t packed_bytes(const ConvProblem& problem) const override {
    const ConvGeometry& g = problem.geometry;
    return constants_bytes(g) + round_up(static_cast<size_t>(g.oc * filter_size(g)));
  }

  void pack(const ConvProblem& problem, const int8_t* weights, const int32_t* bias, uint8_t* packed) const override {
    const ConvGeometry& g = problem.geometry;
    const int64_t size = filter_size(g);
    for (int64_t oc = 0; oc < g.oc; ++oc) {
      int64_t sum = 0;
      for (int64_t k = 0; k < size; ++k) sum += weights[oc * size + k];
      // Wraps as the sums do: only the final total need fit in int32.
      const uint32_t constant = static_cast<uint32_t>(bias == nullptr ? 0 : bias[oc]) -
                                static_cast<uint32_t>(problem.src_zero) * static_cast<uint32_t>(sum);
      std::memcpy(packed + oc * 4, &constant, sizeof(constant));
    }
    std::memcpy(packed + constants_bytes(g), weights, static_cast<size_t>(g.oc * size));
  }

  size_t scratch_bytes(const ConvProblem&) const override { return 0; }

  int64_t tasks(const ConvProblem& problem, int64_t batch, int) const override { return batch * problem.geometry.oh; }

  void run(const ConvCall& call, int64_t task, int64_t, uint8_t*) const override {
    const ConvGeometry& g = call.problem->geometry;
    const int64_t image = task / g.oh;
    const int64_t oy = task % g.oh;
    for (int64_t ox = 0; ox < g.ow; ++ox) store_pixel(call, image, oy, ox);
  }

 private:
  static int64_t filter_size(const ConvGeometry& g) { return g.ic / g.groups * g.kh * g.kw; }
  static size_t constants_bytes(const ConvGeometry& g) { return round_up(static_cast<size_t>(g.oc) * 4); }

  static void store_pixel(const ConvCall& call, int64_t image, int64_t oy, int64_t ox) {
    const ConvGeometry& g = call.problem->geometry;
    const int64_t pixel = (image * g.oh + oy) * g.ow + ox;
    for (int64_t oc = 0; oc < g.oc; ++oc) {
      const int32_t sum = sum_at(call, image, oy, ox, oc);
      const int32_t residual = call.store.residual == Residual::kNone
                                   ? call.store.residual_zero
                                   : call.residual[pixel * call.residual_pixel_stride + oc];
      float real = 0;
      const int32_t code = store_one(call.store, sum, oc, residual, &real);
      const int64_t at = pixel * call.dst_pixel_stride + oc;
      if (call.store.to_float) static_cast<float*>(call.dst)[at] = real;
      else static_cast<uint8_t*>(call.dst)[at] = static_cast<uint8_t>(code);
    }
  }

  static int32_t sum_at(const ConvCall& call, int64_t image, int64_t oy, int64_t ox, int64_t oc) {
    const ConvGeometry& g = call.problem->geometry;
    const int64_t group_ic = g.ic / g.groups;
    const int64_t first_ic = oc / (g.oc / g.groups) * group_ic;
    const auto* weights = reinterpret_cast<const int8_t*>(call.packed + constants_bytes(g)) + oc * filter_size(g);
    uint32_t sum = 0;
    std::memcpy(&sum, call.packed + oc * 4, sizeof(sum));
    for (int64_t ky = 0; ky < g.kh; ++ky) {
      for (int64_t kx = 0; kx < g.kw; ++kx) {
        const int64_t y = oy * g.stride_h - g.pad_top + ky * g.dilation_h;
        const int64_t x = ox * g.stride_w - g.pad_left + kx * g.dilation_w;
        const bool inside = y >= 0 && y < g.ih && x >= 0 && x < g.iw;
        const uint8_t* src =
            inside ? call.src + ((image * g.ih + y) * g.iw + x) * call.src_pixel_stride + first_ic : nullptr;
        for (int64_t c = 0; c < group_ic; ++c) {
          const int32_t code = inside ? src[c] : call.problem->src_zero;
          sum += static_cast<uint32_t>(code * weights[(c * g.kh + ky) * g.kw + kx]);
        }
      }
    }
    return static_cast<int32_t>(sum);
  }
};

}  // namespace

const ConvKernel* reference_conv_kernel() {
  static const ReferenceConv kernel;
  return &kernel;
}

}  // namespace octet::cpu
