// Element-wise operators on oneDNN: unary functions, x * sigmoid(x), and binary arithmetic with broadcasting.
#include <cmath>

#include "executor/onednn.h"

namespace octet::exec {
namespace {

using dnnl::memory;

struct EltwiseState {
  Primitive primitive;
  memory::desc desc;
};

// out = f(in), whatever the layout; in place when nobody else needs the input.
class UnaryStep : public Step {
 public:
  UnaryStep(const Graph& graph, ValueId src, ValueId output, PostOp op)
      : graph_(graph), src_(src), output_(output), op_(op) {}

  std::string kernel() const override { return "oneDNN eltwise"; }

  Status run(Frame& frame) const override {
    if (frame.dtype(src_) != DType::kFloat32 || frame.any(src_).numel() == 0)
      return run_reference(graph_, nodes, frame);
    return guard_dnnl([&] { return run_dnnl(frame); });
  }

 private:
  std::shared_ptr<const EltwiseState> build(int64_t n) const {
    auto state = std::make_shared<EltwiseState>();
    state->desc = memory::desc({n}, memory::data_type::f32, memory::format_tag::a);
    const EltwiseKind e = eltwise_of(op_);
    const dnnl::eltwise_forward::desc desc(dnnl::prop_kind::forward_inference, e.algorithm, state->desc, e.alpha,
                                           e.beta);
    const dnnl::eltwise_forward::primitive_desc pd(desc, user_scratchpad(), cpu_engine());
    state->primitive = {dnnl::eltwise_forward(pd), pd};
    return state;
  }

  Status run_dnnl(Frame& frame) const {
    const bool last = frame.only_channels_last(src_);
    Tensor dst = frame.take_for_overwrite(src_, last, dying);
    const Tensor src = frame.any(src_);
    if (!dst.defined()) {
      OCTET_ASSIGN(dst, frame.allocate(DType::kFloat32, src.dims()));
    }
    if (op_.kind == PostOp::Kind::kHardSigmoid) {  // no eltwise algorithm of its own in oneDNN 2
      const float* from = src.data<float>();
      float* to = dst.data<float>();
      for (int64_t i = 0; i < src.numel(); ++i) to[i] = std::min(std::max(op_.alpha * from[i] + op_.beta, 0.f), 1.f);
      frame.set(output_, std::move(dst), last);
      return Status::ok();
    }
    std::shared_ptr<const EltwiseState> state = cache_.get({src.numel()}, [&] { return build(src.numel()); });
    state->primitive.execute({{DNNL_ARG_SRC, memory(state->desc, cpu_engine(), const_cast<void*>(src.raw()))},
                              {DNNL_ARG_DST, memory(state->desc, cpu_engine(), dst.raw())}});
    frame.set(output_, std::move(dst), last);
    return Status::ok();
  }

  const Graph& graph_;
  ValueId src_, output_;
  PostOp op_;
  mutable StateCache<EltwiseState> cache_;
};

struct BinaryState {
  Primitive primitive;
  memory::desc a, b, dst;
};

class BinaryStep : public Step {
 public:
  BinaryStep(const Graph& graph, size_t index, dnnl::algorithm algorithm) : graph_(graph), algorithm_(algorithm) {
    a_ = graph.nodes[index].inputs[0];
    b_ = graph.nodes[index].inputs[1];
    output_ = graph.nodes[index].outputs[0];
  }

  std::string kernel() const override { return "oneDNN binary"; }

  Status run(Frame& frame) const override {
    const Tensor& a = frame.any(a_);
    const Tensor& b = frame.any(b_);
    if (a.dtype() != DType::kFloat32 || b.dtype() != DType::kFloat32 || a.numel() == 0 || b.numel() == 0)
      return run_reference(graph_, nodes, frame);
    const bool commutes = algorithm_ == dnnl::algorithm::binary_add || algorithm_ == dnnl::algorithm::binary_mul;
    if (broadcasts_into(b.dims(), a.dims())) return guard_dnnl([&] { return run_dnnl(frame, a_, b_); });
    if (commutes && broadcasts_into(a.dims(), b.dims())) return guard_dnnl([&] { return run_dnnl(frame, b_, a_); });
    return run_reference(graph_, nodes, frame);
  }

 private:
  static bool broadcasts_into(const Dims& small, const Dims& big) {
    if (small.size() > big.size() || big.size() > 6 || big.empty()) return false;
    const size_t lead = big.size() - small.size();
    for (size_t i = 0; i < small.size(); ++i)
      if (small[i] != 1 && small[i] != big[lead + i]) return false;
    return true;
  }

  static memory::desc describe(const Dims& dims, size_t rank, bool channels_last) {
    Dims full(rank - dims.size(), 1);
    full.insert(full.end(), dims.begin(), dims.end());
    if (channels_last) return {to_dnnl(full), memory::data_type::f32, memory::format_tag::nhwc};
    return {to_dnnl(full), memory::data_type::f32, row_major_strides(full)};
  }

  // `big` has the output's shape; the output takes its layout.
  Status run_dnnl(Frame& frame, ValueId big, ValueId small) const {
    const Dims big_dims = frame.dims(big), small_dims = frame.dims(small);
    const bool same_shape = big_dims == small_dims;
    bool last = frame.only_channels_last(big);
    if (same_shape && big_dims.size() == 4 && frame.only_channels_last(small)) last = true;
    Tensor a, b;
    if (last) {
      OCTET_ASSIGN(a, frame.channels_last(big));
    } else {
      OCTET_ASSIGN(a, frame.plain(big));
    }
    const bool small_last = last && same_shape;
    if (small_last) {
      OCTET_ASSIGN(b, frame.channels_last(small));
    } else {
      OCTET_ASSIGN(b, frame.plain(small));
    }
    OCTET_ASSIGN(Tensor dst, frame.allocate(DType::kFloat32, big_dims));
    Dims key = big_dims;
    key.push_back(last ? 1 : 0);
    key.insert(key.end(), small_dims.begin(), small_dims.end());
    std::shared_ptr<const BinaryState> state = cache_.get(key, [&] {
      auto s = std::make_shared<BinaryState>();
      s->a = describe(big_dims, big_dims.size(), last);
      s->b = describe(small_dims, big_dims.size(), small_last);
      s->dst = s->a;
      const dnnl::binary::desc desc(algorithm_, s->a, s->b, s->dst);
      const dnnl::binary::primitive_desc pd(desc, user_scratchpad(), cpu_engine());
      s->primitive = {dnnl::binary(pd), pd};
      return s;
    });
    state->primitive.execute({{DNNL_ARG_SRC_0, memory(state->a, cpu_engine(), a.raw())},
                              {DNNL_ARG_SRC_1, memory(state->b, cpu_engine(), b.raw())},
                              {DNNL_ARG_DST, memory(state->dst, cpu_engine(), dst.raw())}});
    frame.set(output_, std::move(dst), last);
    return Status::ok();
  }

  const Graph& graph_;
  dnnl::algorithm algorithm_;
  ValueId a_, b_, output_;
  mutable StateCache<BinaryState> cache_;
};

// Scalar float constant behind an optional input; `fallback` when the input is absent, nothing when it is not
// constant.
std::optional<float> scalar_input(const Graph& graph, const Node& node, size_t i, float fallback) {
  if (!node.has_input(i)) return fallback;
  if (!graph.is_constant(node.inputs[i])) return std::nullopt;
  const Tensor& t = *graph.value(node.inputs[i]).constant;
  if (t.dtype() != DType::kFloat32 || t.numel() != 1) return std::nullopt;
  return *t.data<float>();
}

}  // namespace

std::optional<PostOp> as_post_op(const Graph& graph, const Node& node) {
  using K = PostOp::Kind;
  if (node.is("Relu")) return PostOp{K::kRelu, 0, 0};
  if (node.is("LeakyRelu")) return PostOp{K::kRelu, node.attr_float("alpha", 0.01f), 0};
  if (node.is("Sigmoid")) return PostOp{K::kSigmoid, 0, 0};
  if (node.is("Tanh")) return PostOp{K::kTanh, 0, 0};
  if (node.is("HardSwish")) return PostOp{K::kHardSwish, 0, 0};
  if (node.is("HardSigmoid"))
    return PostOp{K::kHardSigmoid, node.attr_float("alpha", 0.2f), node.attr_float("beta", 0.5f)};
  if (node.is("Elu")) return PostOp{K::kElu, node.attr_float("alpha", 1.f), 0};
  if (node.is("Mish")) return PostOp{K::kMish, 0, 0};
  if (node.is("Gelu"))
    return PostOp{node.attr_string("approximate", "none") == "tanh" ? K::kGeluTanh : K::kGeluErf, 0, 0};
  if (node.is("Exp")) return PostOp{K::kExp, 0, 0};
  if (node.is("Sqrt")) return PostOp{K::kSqrt, 0, 0};
  if (node.is("Abs")) return PostOp{K::kAbs, 0, 0};
  if (node.is("Clip")) {
    constexpr float kMax = std::numeric_limits<float>::max();
    const std::optional<float> low = scalar_input(graph, node, 1, -kMax), high = scalar_input(graph, node, 2, kMax);
    if (low && high && *low <= *high) return PostOp{K::kClip, *low, *high};
  }
  return std::nullopt;
}

StepPtr make_unary_step(const Graph& graph, size_t index) {
  const Node& node = graph.nodes[index];
  const std::optional<PostOp> op = as_post_op(graph, node);
  if (!op) return nullptr;
  return std::make_unique<UnaryStep>(graph, node.inputs[0], node.outputs[0], *op);
}

StepPtr make_swish_step(const Graph& graph, size_t sigmoid_node, size_t mul_node) {
  return std::make_unique<UnaryStep>(graph, graph.nodes[sigmoid_node].inputs[0], graph.nodes[mul_node].outputs[0],
                                     PostOp{PostOp::Kind::kSwish, 0, 0});
}

StepPtr make_binary_step(const Graph& graph, size_t index) {
  const Node& node = graph.nodes[index];
  using A = dnnl::algorithm;
  if (node.is("Add")) return std::make_unique<BinaryStep>(graph, index, A::binary_add);
  if (node.is("Mul")) return std::make_unique<BinaryStep>(graph, index, A::binary_mul);
  if (node.is("Sub")) return std::make_unique<BinaryStep>(graph, index, A::binary_sub);
  if (node.is("Div")) return std::make_unique<BinaryStep>(graph, index, A::binary_div);
  return nullptr;
}

}  // namespace octet::exec
