// MaxPool and AveragePool (2-D) on oneDNN, GlobalAveragePool by a plain loop; channels-last.
#include "executor/onednn.h"

namespace octet::exec {
namespace {

using dnnl::memory;

struct PoolState {
  Primitive primitive;
  memory::desc src, dst;
};

class PoolStep : public Step {
 public:
  PoolStep(const Graph& graph, size_t index) : graph_(graph) {
    const Node& node = graph.nodes[index];
    is_max_ = node.is("MaxPool");
    src_ = node.inputs[0];
    output_ = node.outputs[0];
    kernel_ = node.attr_ints("kernel_shape");
    strides_ = node.attr_ints("strides", {1, 1});
    pads_ = node.attr_ints("pads", {0, 0, 0, 0});
    ceil_mode_ = node.attr_int("ceil_mode", 0) != 0;
    include_pad_ = node.attr_int("count_include_pad", 0) != 0;
  }

  std::string kernel() const override { return "oneDNN pooling"; }

  Status run(Frame& frame) const override {
    const Tensor& x = frame.any(src_);
    if (x.dtype() != DType::kFloat32 || x.rank() != 4 || x.numel() == 0 || !fits(x.dims()))
      return run_reference(graph_, nodes, frame);
    return guard_dnnl([&] { return run_dnnl(frame); });
  }

 private:
  int64_t output_size(int64_t in, size_t i) const {
    const int64_t room = in + pads_[i] + pads_[i + 2] - kernel_[i];
    int64_t out = (ceil_mode_ ? (room + strides_[i] - 1) / strides_[i] : room / strides_[i]) + 1;
    if (ceil_mode_ && (out - 1) * strides_[i] >= in + pads_[i]) --out;  // a window must start inside the image
    return room < 0 ? 0 : out;
  }

  bool fits(const Dims& x) const {
    for (size_t i = 0; i < 2; ++i) {
      if (strides_[i] < 1 || kernel_[i] < 1 || pads_[i] < 0 || pads_[i + 2] < 0) return false;
      if (pads_[i] >= kernel_[i] || pads_[i + 2] >= kernel_[i]) return false;
      const int64_t out = output_size(x[2 + i], i);
      const int64_t end = (out - 1) * strides_[i] + kernel_[i] - x[2 + i] - pads_[i];
      if (out < 1 || end >= kernel_[i]) return false;
      // With ceil_mode the window may hang over the declared padding, whose elements ONNX does not count.
      if (!is_max_ && include_pad_ && end > pads_[i + 2]) return false;
    }
    return true;
  }

  std::shared_ptr<const PoolState> build(const Dims& x) const {
    auto state = std::make_shared<PoolState>();
    Dims out{x[0], x[1], output_size(x[2], 0), output_size(x[3], 1)};
    memory::dims pad_end(2);
    for (size_t i = 0; i < 2; ++i) pad_end[i] = (out[2 + i] - 1) * strides_[i] + kernel_[i] - x[2 + i] - pads_[i];
    state->src = memory::desc(to_dnnl(x), memory::data_type::f32, memory::format_tag::nhwc);
    state->dst = memory::desc(to_dnnl(out), memory::data_type::f32, memory::format_tag::nhwc);
    const auto algorithm = is_max_        ? dnnl::algorithm::pooling_max
                           : include_pad_ ? dnnl::algorithm::pooling_avg_include_padding
                                          : dnnl::algorithm::pooling_avg_exclude_padding;
    const dnnl::pooling_forward::desc desc(dnnl::prop_kind::forward_inference, algorithm, state->src, state->dst,
                                           to_dnnl(strides_), to_dnnl(kernel_), {pads_[0], pads_[1]}, pad_end);
    const dnnl::pooling_forward::primitive_desc pd(desc, user_scratchpad(), cpu_engine());
    state->primitive = {dnnl::pooling_forward(pd), pd};
    return state;
  }

  Status run_dnnl(Frame& frame) const {
    const Dims x = frame.dims(src_);
    std::shared_ptr<const PoolState> state = cache_.get(x, [&] { return build(x); });
    OCTET_ASSIGN(const Tensor src, frame.channels_last(src_));
    const memory::dims out = state->dst.dims();
    OCTET_ASSIGN(Tensor dst, frame.allocate(DType::kFloat32, Dims(out.begin(), out.end())));
    state->primitive.execute({{DNNL_ARG_SRC, memory(state->src, cpu_engine(), const_cast<void*>(src.raw()))},
                              {DNNL_ARG_DST, memory(state->dst, cpu_engine(), dst.raw())}});
    frame.set(output_, std::move(dst), true);
    return Status::ok();
  }

  const Graph& graph_;
  bool is_max_ = false, ceil_mode_ = false, include_pad_ = false;
  Dims kernel_, strides_, pads_;
  ValueId src_, output_;
  mutable StateCache<PoolState> cache_;
};

// Mean over H and W: GlobalAveragePool, and ReduceMean over the last two axes.
class GlobalMeanStep : public Step {
 public:
  GlobalMeanStep(const Graph& graph, size_t index, bool keep_dims) : graph_(graph), keep_dims_(keep_dims) {
    src_ = graph.nodes[index].inputs[0];
    output_ = graph.nodes[index].outputs[0];
  }

  std::string kernel() const override { return "global mean"; }

  Status run(Frame& frame) const override {
    const Tensor& x = frame.any(src_);
    if (x.dtype() != DType::kFloat32 || x.rank() != 4 || x.numel() == 0) return run_reference(graph_, nodes, frame);
    OCTET_ASSIGN(const Tensor src, frame.channels_last(src_));
    const int64_t images = src.dim(0), channels = src.dim(1), pixels = src.dim(2) * src.dim(3);
    Dims out{images, channels};
    if (keep_dims_) out.insert(out.end(), {1, 1});
    OCTET_ASSIGN(Tensor dst, frame.allocate(DType::kFloat32, out));
#pragma omp parallel for if (images > 1)
    for (int64_t n = 0; n < images; ++n) {
      std::vector<double> sum(static_cast<size_t>(channels), 0.0);
      const float* row = src.data<float>() + n * pixels * channels;
      for (int64_t p = 0; p < pixels; ++p, row += channels)
        for (int64_t c = 0; c < channels; ++c) sum[static_cast<size_t>(c)] += static_cast<double>(row[c]);
      for (int64_t c = 0; c < channels; ++c)
        dst.data<float>()[n * channels + c] =
            static_cast<float>(sum[static_cast<size_t>(c)] / static_cast<double>(pixels));
    }
    frame.set(output_, std::move(dst), false);
    return Status::ok();
  }

 private:
  const Graph& graph_;
  bool keep_dims_;
  ValueId src_, output_;
};

// Axes of a ReduceMean, from the attribute (opset < 18) or a constant input.
std::vector<int64_t> reduce_axes(const Graph& graph, const Node& node) {
  if (node.has_input(1) && graph.is_constant(node.inputs[1])) {
    Result<std::vector<int64_t>> axes = to_int64s(*graph.value(node.inputs[1]).constant);
    return axes.is_ok() ? *axes : std::vector<int64_t>{};
  }
  return node.attr_ints("axes");
}

bool is_spatial(std::vector<int64_t> axes) {
  for (int64_t& a : axes) a = a < 0 ? a + 4 : a;
  std::sort(axes.begin(), axes.end());
  return axes == std::vector<int64_t>{2, 3};
}

}  // namespace

StepPtr make_pool_step(const Graph& graph, size_t index) {
  const Node& node = graph.nodes[index];
  if (node.is("GlobalAveragePool")) return std::make_unique<GlobalMeanStep>(graph, index, true);
  if (node.is("ReduceMean") && is_spatial(reduce_axes(graph, node)))
    return std::make_unique<GlobalMeanStep>(graph, index, node.attr_int("keepdims", 1) != 0);
  if (!node.is("MaxPool") && !node.is("AveragePool")) return nullptr;
  if (node.outputs.size() > 1 && node.outputs[1] != kNoValue) return nullptr;  // Indices
  if (node.attr_ints("kernel_shape").size() != 2) return nullptr;
  if (node.attributes.count("strides") != 0 && node.attr_ints("strides").size() != 2) return nullptr;
  if (node.attributes.count("pads") != 0 && node.attr_ints("pads").size() != 4) return nullptr;
  for (int64_t d : node.attr_ints("dilations"))
    if (d != 1) return nullptr;
  const std::string auto_pad = node.attr_string("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET") return nullptr;
  return std::make_unique<PoolStep>(graph, index);
}

}  // namespace octet::exec
