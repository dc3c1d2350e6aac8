// Conv and ConvTranspose (2-D, float32) on oneDNN, channels-last in and out, with fused post-operations.
#include <cstring>

#include "executor/onednn.h"

namespace octet::exec {
namespace {

using dnnl::memory;

struct Geometry {
  Dims strides{1, 1}, dilations{1, 1}, pads{0, 0, 0, 0};  // pads: top, left, bottom, right
  int64_t groups = 1;
};

struct ConvState {
  Primitive primitive;
  memory::desc src, weight, bias, dst;
  memory packed_weight;  // empty when the weight is not constant
  Dims dst_dims;
};

// Resolves auto_pad for a forward convolution (ONNX Conv, attribute auto_pad).
void resolve_auto_pad(const std::string& mode, const Dims& in, const Dims& kernel, Geometry* g) {
  for (size_t i = 0; i < 2; ++i) {
    const int64_t extent = (kernel[i] - 1) * g->dilations[i] + 1;
    const int64_t out = (in[i] + g->strides[i] - 1) / g->strides[i];
    const int64_t total = std::max<int64_t>(0, (out - 1) * g->strides[i] + extent - in[i]);
    const int64_t small = total / 2;
    g->pads[i] = mode == "SAME_UPPER" ? small : total - small;
    g->pads[i + 2] = total - g->pads[i];
  }
}

class ConvStep : public Step {
 public:
  ConvStep(const Graph& graph, const WeightedGroup& group) : graph_(graph), group_(group) {
    const Node& node = graph.nodes[group.node];
    transposed_ = node.is("ConvTranspose");
    src_ = node.inputs[0];
    weight_ = node.inputs[1];
    bias_ = node.has_input(2) ? node.inputs[2] : kNoValue;
    geometry_.strides = node.attr_ints("strides", {1, 1});
    geometry_.dilations = node.attr_ints("dilations", {1, 1});
    geometry_.pads = node.attr_ints("pads", {0, 0, 0, 0});
    geometry_.groups = node.attr_int("group", 1);
    auto_pad_ = node.attr_string("auto_pad", "NOTSET");
    output_padding_ = node.attr_ints("output_padding", {0, 0});
    for (const PostOp& op : group.post_ops) has_residual_ |= op.kind == PostOp::Kind::kAddResidual;
  }

  std::string kernel() const override { return transposed_ ? "oneDNN deconvolution" : "oneDNN convolution"; }

  Status run(Frame& frame) const override {
    if (!usable(frame)) return run_reference(graph_, nodes, frame);
    return guard_dnnl([&] { return run_dnnl(frame); });
  }

 private:
  bool usable(const Frame& frame) const {
    const Dims& x = frame.dims(src_);
    const Dims& w = frame.dims(weight_);
    if (frame.dtype(src_) != DType::kFloat32 || frame.dtype(weight_) != DType::kFloat32) return false;
    if (x.size() != 4 || w.size() != 4 || frame.any(src_).numel() == 0 || frame.any(weight_).numel() == 0)
      return false;
    const int64_t g = geometry_.groups;
    if (g < 1 || w[0] % g != 0 || x[1] != (transposed_ ? w[0] : w[1] * g)) return false;
    const int64_t oc = transposed_ ? w[1] * g : w[0];
    if (bias_ != kNoValue && frame.dims(bias_) != Dims{oc}) return false;
    for (int64_t s : geometry_.strides)
      if (s < 1) return false;
    for (int64_t p : geometry_.pads)
      if (p < 0) return false;
    for (int64_t d : output_shape(x, w))
      if (d < 1) return false;
    return !has_residual_ || frame.dims(group_.residual) == output_shape(x, w);
  }

  Geometry geometry_for(const Dims& x, const Dims& w) const {
    Geometry g = geometry_;
    if (auto_pad_ == "VALID") g.pads = {0, 0, 0, 0};
    if (auto_pad_ == "SAME_UPPER" || auto_pad_ == "SAME_LOWER")
      resolve_auto_pad(auto_pad_, {x[2], x[3]}, {w[2], w[3]}, &g);
    return g;
  }

  Dims output_shape(const Dims& x, const Dims& w) const {
    const Geometry g = geometry_for(x, w);
    Dims out{x[0], transposed_ ? w[1] * g.groups : w[0]};
    for (size_t i = 0; i < 2; ++i) {
      const int64_t extent = (w[2 + i] - 1) * g.dilations[i] + 1;
      if (transposed_) {
        out.push_back((x[2 + i] - 1) * g.strides[i] + output_padding_[i] + extent - g.pads[i] - g.pads[i + 2]);
      } else {
        const int64_t room = x[2 + i] + g.pads[i] + g.pads[i + 2] - extent;
        out.push_back(room < 0 ? 0 : room / g.strides[i] + 1);
      }
    }
    return out;
  }

  Status run_dnnl(Frame& frame) const {
    const Dims& w = frame.dims(weight_);
    Dims key = frame.dims(src_);
    key.insert(key.end(), w.begin(), w.end());
    std::shared_ptr<const ConvState> state = cache_.get(key, [&] { return build(frame); });
    OCTET_ASSIGN(Tensor src, frame.channels_last(src_));
    OCTET_ASSIGN(Tensor dst, make_destination(frame, *state));
    memory weight = state->packed_weight;
    if (!weight) {
      OCTET_ASSIGN(Tensor raw, frame.plain(weight_));
      weight = pack(raw, state->weight);
    }
    std::unordered_map<int, memory> args{{DNNL_ARG_SRC, memory(state->src, cpu_engine(), src.raw())},
                                         {DNNL_ARG_WEIGHTS, weight},
                                         {DNNL_ARG_DST, memory(state->dst, cpu_engine(), dst.raw())}};
    Tensor bias;
    if (bias_ != kNoValue) {
      OCTET_ASSIGN(bias, frame.plain(bias_));
      args.emplace(DNNL_ARG_BIAS, memory(state->bias, cpu_engine(), bias.raw()));
    }
    state->primitive.execute(std::move(args));
    frame.set(group_.output, std::move(dst), true);
    return Status::ok();
  }

  // oneDNN's sum adds to what the destination holds, so the residual is overwritten where that is allowed and copied
  // first where it is not.
  Result<Tensor> make_destination(Frame& frame, const ConvState& state) const {
    if (!has_residual_) return frame.allocate(DType::kFloat32, state.dst_dims);
    OCTET_RETURN_IF_ERROR(frame.channels_last(group_.residual).status());  // now stored in this layout
    if (group_.residual != src_) {  // x + conv(x) must not overwrite what the convolution still reads
      Tensor own = frame.take_for_overwrite(group_.residual, true, dying);
      if (own.defined()) return own;
    }
    OCTET_ASSIGN(const Tensor residual, frame.channels_last(group_.residual));
    OCTET_ASSIGN(Tensor copy, frame.allocate(DType::kFloat32, state.dst_dims));
    std::memcpy(copy.raw(), residual.raw(), static_cast<size_t>(copy.nbytes()));
    return copy;
  }

  // The ONNX weight as oneDNN names it: [g,] oc, ic, kh, kw with the strides that the file has.
  memory::desc user_weight_desc(const Dims& w) const {
    const int64_t g = geometry_.groups;
    const int64_t plane = w[2] * w[3];
    const int64_t oc = transposed_ ? w[1] : w[0] / g;
    const int64_t ic = transposed_ ? w[0] / g : w[1];
    const int64_t stride_oc = transposed_ ? plane : w[1] * plane;
    const int64_t stride_ic = transposed_ ? w[1] * plane : plane;
    memory::dims dims{oc, ic, w[2], w[3]}, strides{stride_oc, stride_ic, w[3], 1};
    if (g > 1) {
      dims.insert(dims.begin(), g);
      strides.insert(strides.begin(), w[0] / g * w[1] * plane);
    }
    return {dims, memory::data_type::f32, strides};
  }

  memory pack(const Tensor& weight, const memory::desc& desc) const {
    memory user(user_weight_desc(weight.dims()), cpu_engine(), const_cast<void*>(weight.raw()));
    memory packed(desc, cpu_engine());
    dnnl::reorder(user, packed).execute(cpu_stream(), user, packed);
    cpu_stream().wait();
    return packed;
  }

  std::shared_ptr<const ConvState> build(Frame& frame) const {
    const Dims x = frame.dims(src_);
    const Dims w = frame.dims(weight_);
    const Geometry g = geometry_for(x, w);
    auto state = std::make_shared<ConvState>();
    state->dst_dims = output_shape(x, w);
    const auto f32 = memory::data_type::f32;
    state->src = memory::desc(to_dnnl(x), f32, memory::format_tag::nhwc);
    state->dst = memory::desc(to_dnnl(state->dst_dims), f32, memory::format_tag::nhwc);
    const memory::desc weight_any(user_weight_desc(w).dims(), f32, memory::format_tag::any);
    if (bias_ != kNoValue) state->bias = memory::desc({state->dst_dims[1]}, f32, memory::format_tag::a);
    const memory::dims strides = to_dnnl(g.strides);
    const memory::dims dilations{g.dilations[0] - 1, g.dilations[1] - 1};
    const memory::dims pad_begin{g.pads[0], g.pads[1]};
    memory::dims pad_end{g.pads[2], g.pads[3]};
    dnnl::post_ops ops;
    for (const PostOp& op : group_.post_ops) append_post_op(ops, op);
    dnnl::primitive_attr attr = user_scratchpad();
    attr.set_post_ops(ops);
    if (transposed_) {
      for (size_t i = 0; i < 2; ++i) pad_end[i] -= output_padding_[i];
      const dnnl::deconvolution_forward::desc desc(dnnl::prop_kind::forward_inference,
                                                   dnnl::algorithm::deconvolution_direct, state->src, weight_any,
                                                   state->bias, state->dst, strides, dilations, pad_begin, pad_end);
      const dnnl::deconvolution_forward::primitive_desc pd(desc, attr, cpu_engine());
      state->primitive = {dnnl::deconvolution_forward(pd), pd};
      state->weight = pd.weights_desc();
    } else {
      // The end padding that makes oneDNN's size formula exact when the stride leaves a remainder.
      for (size_t i = 0; i < 2; ++i)
        pad_end[i] =
            (state->dst_dims[2 + i] - 1) * g.strides[i] + (w[2 + i] - 1) * g.dilations[i] + 1 - x[2 + i] - g.pads[i];
      const dnnl::convolution_forward::desc desc(dnnl::prop_kind::forward_inference,
                                                 dnnl::algorithm::convolution_direct, state->src, weight_any,
                                                 state->bias, state->dst, strides, dilations, pad_begin, pad_end);
      const dnnl::convolution_forward::primitive_desc pd(desc, attr, cpu_engine());
      state->primitive = {dnnl::convolution_forward(pd), pd};
      state->weight = pd.weights_desc();
    }
    if (frame.graph().is_constant(weight_))
      state->packed_weight = pack(*frame.graph().value(weight_).constant, state->weight);
    return state;
  }

  const Graph& graph_;
  WeightedGroup group_;
  Geometry geometry_;
  bool transposed_ = false;
  bool has_residual_ = false;
  std::string auto_pad_;
  Dims output_padding_;
  ValueId src_, weight_, bias_;
  mutable StateCache<ConvState> cache_;
};

}  // namespace

StepPtr make_conv_step(const Graph& graph, const WeightedGroup& group) {
  const Node& node = graph.nodes[group.node];
  if (!node.is("Conv") && !node.is("ConvTranspose")) return nullptr;
  for (const char* key : {"strides", "dilations", "output_padding"})
    if (node.attributes.count(key) != 0 && node.attr_ints(key).size() != 2) return nullptr;
  if (node.attributes.count("pads") != 0 && node.attr_ints("pads").size() != 4) return nullptr;
  const bool unusual = node.is("ConvTranspose") && (node.attributes.count("output_shape") != 0 ||
                                                    node.attr_string("auto_pad", "NOTSET") != "NOTSET");
  if (unusual) return nullptr;
  return std::make_unique<ConvStep>(graph, group);
}

}  // namespace octet::exec
