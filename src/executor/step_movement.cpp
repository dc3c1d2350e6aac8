// Operators that only move data: Reshape/Flatten/Identity as views, Concat, Slice, Pad and nearest Resize
// channels-last.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "executor/step.h"

namespace octet::exec {
namespace {

std::optional<std::vector<int64_t>> constant_int64s(const Graph& graph, const Node& node, size_t i) {
  if (!node.has_input(i) || !graph.is_constant(node.inputs[i])) return std::nullopt;
  Result<std::vector<int64_t>> values = to_int64s(*graph.value(node.inputs[i]).constant);
  if (!values.is_ok()) return std::nullopt;
  return *values;
}

// Reshape to a constant shape, Flatten, Identity, Dropout: the same buffer under other dims.
class ViewStep : public Step {
 public:
  ViewStep(const Graph& graph, size_t index) : graph_(graph), node_(graph.nodes[index]) {
    if (node_.is("Reshape")) target_ = *constant_int64s(graph, node_, 1);
  }
  std::string kernel() const override { return "view"; }

  Status run(Frame& frame) const override {
    OCTET_ASSIGN(const Tensor src, frame.plain(node_.inputs[0]));
    const std::optional<Dims> dims = new_dims(src.dims(), src.numel());
    if (!dims) return run_reference(graph_, nodes, frame);  // says what is wrong
    frame.set(node_.outputs[0], src.reshaped(*dims), false);
    return Status::ok();
  }

 private:
  std::optional<Dims> new_dims(const Dims& in, int64_t numel) const {
    if (node_.is("Flatten")) {
      const auto rank = static_cast<int64_t>(in.size());
      int64_t axis = node_.attr_int("axis", 1);
      axis = axis < 0 ? axis + rank : axis;
      if (axis < 0 || axis > rank) return std::nullopt;
      int64_t rows = 1, cols = 1;
      for (int64_t i = 0; i < rank; ++i) (i < axis ? rows : cols) *= in[static_cast<size_t>(i)];
      return Dims{rows, cols};
    }
    if (!node_.is("Reshape")) return in;
    Dims out = target_;
    int64_t known = 1, unknown = -1;
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i] == 0 && node_.attr_int("allowzero", 0) == 0) {
        if (i >= in.size()) return std::nullopt;
        out[i] = in[i];
      }
      if (out[i] == -1 && unknown < 0) unknown = static_cast<int64_t>(i);
      else if (out[i] < 1 || __builtin_mul_overflow(known, out[i], &known)) return std::nullopt;
    }
    if (unknown >= 0) {
      if (numel % known != 0) return std::nullopt;
      out[static_cast<size_t>(unknown)] = numel / known;
      known = numel;
    }
    if (known != numel) return std::nullopt;
    return out;
  }

  const Graph& graph_;
  const Node& node_;
  Dims target_;
};

// Concat along the channels of channels-last tensors; along any axis of row-major float tensors.
class ConcatStep : public Step {
 public:
  ConcatStep(const Graph& graph, size_t index) : graph_(graph), node_(graph.nodes[index]) {}
  std::string kernel() const override { return "concat"; }

  Status run(Frame& frame) const override {
    const Dims& first = frame.dims(node_.inputs[0]);
    const auto rank = static_cast<int64_t>(first.size());
    int64_t axis = node_.attr_int("axis", 0);
    axis = axis < 0 ? axis + rank : axis;
    bool any_last = false;
    Dims out = first;
    if (axis < 0 || axis >= rank) return run_reference(graph_, nodes, frame);
    const auto a = static_cast<size_t>(axis);
    out[a] = 0;
    for (ValueId id : node_.inputs) {
      Dims d = frame.dims(id);
      any_last |= frame.only_channels_last(id);
      if (frame.dtype(id) != DType::kFloat32 || d.size() != first.size()) return run_reference(graph_, nodes, frame);
      out[a] += d[a];
      d[a] = first[a];
      if (d != first) return run_reference(graph_, nodes, frame);
    }
    const bool last = any_last && rank == 4 && axis == 1;
    OCTET_ASSIGN(Tensor dst, frame.allocate(DType::kFloat32, out));
    // In memory order the concatenated axis is followed by `inner` elements and preceded by `outer` blocks.
    int64_t outer = 1, inner = 1;
    if (last) outer = out[0] * out[2] * out[3];
    for (int64_t i = 0; i < rank && !last; ++i) {
      if (i < axis) outer *= out[static_cast<size_t>(i)];
      if (i > axis) inner *= out[static_cast<size_t>(i)];
    }
    OCTET_RETURN_IF_ERROR(copy_parts(frame, dst.data<float>(), a, outer, inner, out[a], last));
    frame.set(node_.outputs[0], std::move(dst), last);
    return Status::ok();
  }

 private:
  Status copy_parts(Frame& frame, float* dst, size_t axis, int64_t outer, int64_t inner, int64_t total,
                    bool last) const {
    int64_t offset = 0;
    for (ValueId id : node_.inputs) {
      Tensor src;
      if (last) {
        OCTET_ASSIGN(src, frame.channels_last(id));
      } else {
        OCTET_ASSIGN(src, frame.plain(id));
      }
      const int64_t run = src.dims()[axis] * inner;
      if (run == 0) continue;
      const float* from = src.data<float>();
#pragma omp parallel for if (outer > 64)
      for (int64_t o = 0; o < outer; ++o)
        std::memcpy(dst + o * total * inner + offset, from + o * run, static_cast<size_t>(run) * sizeof(float));
      offset += run;
    }
    return Status::ok();
  }

  const Graph& graph_;
  const Node& node_;
};

// Resize by nearest neighbour with scale factors on H and W only, channels-last (ONNX Resize, mode "nearest").
class NearestResizeStep : public Step {
 public:
  NearestResizeStep(const Graph& graph, size_t index, float scale_h, float scale_w)
      : graph_(graph), node_(graph.nodes[index]), scale_h_(scale_h), scale_w_(scale_w) {}
  std::string kernel() const override { return "nearest resize"; }

  // Integer upscaling, where every coordinate rule that as_nearest_resize() admits picks source pixel floor(o /
  // scale).
  Status run(Frame& frame) const override {
    const Tensor& x = frame.any(node_.inputs[0]);
    if (x.dtype() != DType::kFloat32 || x.rank() != 4 || x.numel() == 0) return run_reference(graph_, nodes, frame);
    OCTET_ASSIGN(const Tensor src, frame.channels_last(node_.inputs[0]));
    const auto up_h = static_cast<int64_t>(scale_h_), up_w = static_cast<int64_t>(scale_w_);
    const int64_t n = src.dim(0), c = src.dim(1), ih = src.dim(2), iw = src.dim(3), oh = ih * up_h, ow = iw * up_w;
    OCTET_ASSIGN(Tensor dst, frame.allocate(DType::kFloat32, {n, c, oh, ow}));
    const float* from = src.data<float>();
    float* to = dst.data<float>();
#pragma omp parallel for if (n * oh > 16)
    for (int64_t row = 0; row < n * oh; ++row) {
      const float* in = from + ((row / oh) * ih + (row % oh) / up_h) * iw * c;
      for (int64_t x_out = 0; x_out < ow; ++x_out)
        std::memcpy(to + (row * ow + x_out) * c, in + x_out / up_w * c, static_cast<size_t>(c) * sizeof(float));
    }
    frame.set(node_.outputs[0], std::move(dst), true);
    return Status::ok();
  }

 private:
  const Graph& graph_;
  const Node& node_;
  float scale_h_, scale_w_;
};

StepPtr as_nearest_resize(const Graph& graph, size_t index) {
  const Node& node = graph.nodes[index];
  if (!node.is("Resize") || node.attr_string("mode", "nearest") != "nearest" || node.attributes.count("axes") != 0)
    return nullptr;
  if (!node.has_input(2) || !graph.is_constant(node.inputs[2]) || node.has_input(3)) return nullptr;
  const Tensor& scales = *graph.value(node.inputs[2]).constant;
  if (scales.dtype() != DType::kFloat32 || scales.numel() != 4) return nullptr;
  const float* s = scales.data<float>();
  const auto integer = [](float v) { return v >= 1 && v <= 64 && v == std::floor(v); };
  if (s[0] != 1 || s[1] != 1 || !integer(s[2]) || !integer(s[3])) return nullptr;
  const std::string coordinates = node.attr_string("coordinate_transformation_mode", "half_pixel");
  const std::string rounding = node.attr_string("nearest_mode", "round_prefer_floor");
  const bool floors = coordinates == "asymmetric" && rounding == "floor";
  const bool rounds =
      coordinates == "half_pixel" && (rounding == "round_prefer_floor" || rounding == "round_prefer_ceil");
  if (!floors && !rounds) return nullptr;
  return std::make_unique<NearestResizeStep>(graph, index, s[2], s[3]);
}

// A rectangular window of a rank-4 tensor, with steps and zero (constant) margins: Slice and constant Pad in one.
struct Window {
  Dims out;                // logical N,C,H,W
  Dims begin{0, 0, 0, 0};  // source index of the first output element that is not margin
  Dims step{1, 1, 1, 1};
  Dims margin{0, 0, 0, 0};  // output elements in front of it
  Dims count{0, 0, 0, 0};   // copied elements
  float fill = 0;
};

void copy_window(const float* src, const Dims& in, float* dst, const Window& w) {
  const int64_t oc = w.out[1], ic = in[1];
#pragma omp parallel for if (w.out[0] > 1)
  for (int64_t n = 0; n < w.out[0]; ++n) {
    const int64_t sn = n - w.margin[0];
    for (int64_t y = 0; y < w.out[2]; ++y) {
      for (int64_t x = 0; x < w.out[3]; ++x) {
        float* to = dst + ((n * w.out[2] + y) * w.out[3] + x) * oc;
        const int64_t sy = y - w.margin[2], sx = x - w.margin[3];
        const bool inside = sn >= 0 && sn < w.count[0] && sy >= 0 && sy < w.count[2] && sx >= 0 && sx < w.count[3];
        if (!inside) {
          std::fill(to, to + oc, w.fill);
          continue;
        }
        const float* from = src +
                            (((w.begin[0] + sn * w.step[0]) * in[2] + w.begin[2] + sy * w.step[2]) * in[3] +
                             w.begin[3] + sx * w.step[3]) *
                                ic +
                            w.begin[1];
        std::fill(to, to + w.margin[1], w.fill);
        for (int64_t c = 0; c < w.count[1]; ++c) to[w.margin[1] + c] = from[c * w.step[1]];
        std::fill(to + w.margin[1] + w.count[1], to + oc, w.fill);
      }
    }
  }
}

// Slice and constant Pad of channels-last tensors, where starts, ends, axes, steps and pads are constants.
class WindowStep : public Step {
 public:
  WindowStep(const Graph& graph, size_t index) : graph_(graph), node_(graph.nodes[index]) {}
  std::string kernel() const override { return "window copy"; }

  Status run(Frame& frame) const override {
    const ValueId in = node_.inputs[0];
    // Row-major tensors take the reference operator: there it costs one pass as well.
    if (!frame.only_channels_last(in)) return run_reference(graph_, nodes, frame);
    const Dims dims = frame.dims(in);
    const std::optional<Window> w = node_.is("Slice") ? slice_window(dims) : pad_window(dims);
    if (!w) return run_reference(graph_, nodes, frame);
    OCTET_ASSIGN(const Tensor src, frame.channels_last(in));
    OCTET_ASSIGN(Tensor dst, frame.allocate(DType::kFloat32, w->out));
    copy_window(src.data<float>(), dims, dst.data<float>(), *w);
    frame.set(node_.outputs[0], std::move(dst), true);
    return Status::ok();
  }

 private:
  std::optional<Window> slice_window(const Dims& in) const {
    const auto starts = constant_int64s(graph_, node_, 1), ends = constant_int64s(graph_, node_, 2);
    auto axes = constant_int64s(graph_, node_, 3), steps = constant_int64s(graph_, node_, 4);
    if (!starts || !ends || starts->size() != ends->size()) return std::nullopt;
    if ((node_.has_input(3) && !axes) || (node_.has_input(4) && !steps)) return std::nullopt;
    Window w;
    w.out = w.count = in;
    for (size_t i = 0; i < starts->size(); ++i) {
      int64_t axis = axes ? (i < axes->size() ? (*axes)[i] : 9) : static_cast<int64_t>(i);
      axis = axis < 0 ? axis + 4 : axis;
      const int64_t step = steps && i < steps->size() ? (*steps)[i] : 1;
      if (axis < 0 || axis > 3 || step < 1) return std::nullopt;
      const auto a = static_cast<size_t>(axis);
      const auto resolve = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + in[a] : v, 0, in[a]); };
      const int64_t begin = resolve((*starts)[i]), end = resolve((*ends)[i]);
      w.begin[a] = begin;
      w.step[a] = step;
      w.out[a] = w.count[a] = end > begin ? (end - begin + step - 1) / step : 0;
    }
    for (int64_t d : w.out)
      if (d < 1) return std::nullopt;
    return w;
  }

  std::optional<Window> pad_window(const Dims& in) const {
    const auto pads = constant_int64s(graph_, node_, 1);
    if (!pads || pads->size() != 8 || node_.has_input(3) || node_.attr_string("mode", "constant") != "constant")
      return std::nullopt;
    Window w;
    if (node_.has_input(2)) {
      if (!graph_.is_constant(node_.inputs[2])) return std::nullopt;
      const Tensor& fill = *graph_.value(node_.inputs[2]).constant;
      if (fill.dtype() != DType::kFloat32 || fill.numel() != 1) return std::nullopt;
      w.fill = *fill.data<float>();
    }
    w.out = w.count = in;
    for (size_t a = 0; a < 4; ++a) {
      if ((*pads)[a] < 0 || (*pads)[a + 4] < 0) return std::nullopt;
      w.margin[a] = (*pads)[a];
      if (__builtin_add_overflow(in[a], (*pads)[a], &w.out[a]) ||
          __builtin_add_overflow(w.out[a], (*pads)[a + 4], &w.out[a]))
        return std::nullopt;
    }
    return w;
  }

  const Graph& graph_;
  const Node& node_;
};

}  // namespace

StepPtr make_movement_step(const Graph& graph, size_t index) {
  const Node& node = graph.nodes[index];
  if (node.is("Reshape") && constant_int64s(graph, node, 1)) return std::make_unique<ViewStep>(graph, index);
  if (node.is("Flatten") || node.is("Identity")) return std::make_unique<ViewStep>(graph, index);
  if (node.is("Dropout") && (node.outputs.size() < 2 || node.outputs[1] == kNoValue) && !node.has_input(2))
    return std::make_unique<ViewStep>(graph, index);
  if (node.is("Concat") && !node.inputs.empty()) return std::make_unique<ConcatStep>(graph, index);
  if (node.is("Slice") || node.is("Pad")) return std::make_unique<WindowStep>(graph, index);
  return as_nearest_resize(graph, index);
}

}  // namespace octet::exec
