#include "repair/patches.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/ref/nn_window.h"
#include "repair/product_loops.h"

namespace octet::repair {
namespace {

// Position i of n among `total`, shifted by a share of a step that differs from batch to batch (the golden ratio's
// multiples fill the interval evenly).
int64_t spread(int64_t i, int64_t n, int64_t total, int64_t batch) {
  const double turns = static_cast<double>(batch) * 0.6180339887498949;
  const double at =
      (static_cast<double>(i) + turns - std::floor(turns)) * static_cast<double>(total) / static_cast<double>(n);
  return std::min(static_cast<int64_t>(at), total - 1);
}

Status misfit(const Node& node, const Tensor& x) {
  return unsupported(quoted_node(node) + ": its input " + dims_to_string(x.dims()) + " does not fit its weight");
}

Patches empty_patches(const WeightView& view, int64_t rows) {
  Patches p;
  p.rows = rows;
  p.width = (view.cols() + kLanes - 1) / kLanes * kLanes;
  p.values.assign(static_cast<size_t>(rows * view.groups() * p.width), 0.0f);
  return p;
}

class ConvPatcher {
 public:
  ConvPatcher(const WeightView& view, const nn::Window& window, const Tensor& x)
      : view_(view),
        window_(window),
        x_(x),
        plane_(window.in_size()),
        in_per_group_(view.in_channels() / view.groups()) {}

  // `position`: of the output, over the batch and all spatial axes.
  void copy(int64_t position, int64_t width, float* row) const {
    const int64_t image = position / window_.out_size();
    int64_t rest = position % window_.out_size();
    std::array<int64_t, 3> out{};
    for (size_t a = 3; a-- > 0; rest /= window_.axes[a].out) out[a] = rest % window_.axes[a].out;
    const float* src = x_.data<float>() + image * view_.in_channels() * plane_;
    for (int64_t g = 0; g < view_.groups(); ++g, row += width) {
      float* to = row;
      for (int64_t c = 0; c < in_per_group_; ++c, src += plane_, to += view_.positions()) copy_channel(src, out, to);
    }
  }

 private:
  static int64_t source(const nn::WindowAxis& a, int64_t out, int64_t k) {
    return out * a.stride - a.pad_begin + k * a.dilation;
  }

  void copy_channel(const float* src, const std::array<int64_t, 3>& out, float* to) const {
    const auto& [az, ay, ax] = window_.axes;
    for (int64_t kz = 0; kz < az.kernel; ++kz) {
      const int64_t z = source(az, out[0], kz);
      for (int64_t ky = 0; ky < ay.kernel; ++ky) {
        const int64_t y = source(ay, out[1], ky);
        const bool inside = z >= 0 && z < az.in && y >= 0 && y < ay.in;
        for (int64_t kx = 0; kx < ax.kernel; ++kx, ++to) {
          const int64_t x = source(ax, out[2], kx);
          if (inside && x >= 0 && x < ax.in) *to = src[(z * ay.in + y) * ax.in + x];
        }
      }
    }
  }

  const WeightView& view_;
  const nn::Window& window_;
  const Tensor& x_;
  int64_t plane_;
  int64_t in_per_group_;
};

Result<Patches> conv_patches(const Node& node, const WeightView& view, const Tensor& x, const Dims& weight_dims,
                             int64_t most, int64_t batch) {
  const bool fits = x.rank() == static_cast<int>(weight_dims.size()) && x.rank() >= 3 && x.rank() <= 5 &&
                    x.dim(1) == view.in_channels();
  if (!fits) return misfit(node, x);
  OCTET_ASSIGN(const nn::Window window,
               nn::conv_window(node, x.dims(), Dims(weight_dims.begin() + 2, weight_dims.end())));
  const int64_t total = x.dim(0) * window.out_size();
  Patches p = empty_patches(view, std::min(most, total));
  const ConvPatcher patcher(view, window, x);
  for (int64_t r = 0; r < p.rows; ++r)
    patcher.copy(spread(r, p.rows, total, batch), p.width, p.values.data() + r * view.groups() * p.width);
  return p;
}

}  // namespace

Result<Patches> sample_patches(const Node& node, const WeightView& view, const Tensor& x, const Dims& weight_dims,
                               int64_t most, int64_t batch) {
  if (x.dtype() != DType::kFloat32 || x.rank() < 2) return misfit(node, x);
  if (node.is("Conv")) return conv_patches(node, view, x, weight_dims, most, batch);
  if (!view.is_matrix() || x.dim(-1) != view.cols()) return misfit(node, x);
  const int64_t total = x.numel() / std::max<int64_t>(1, view.cols());
  Patches p = empty_patches(view, std::min(most, total));
  for (int64_t r = 0; r < p.rows; ++r)
    std::memcpy(p.values.data() + r * p.width, x.data<float>() + spread(r, p.rows, total, batch) * view.cols(),
                static_cast<size_t>(view.cols()) * sizeof(float));
  return p;
}

}  // namespace octet::repair
