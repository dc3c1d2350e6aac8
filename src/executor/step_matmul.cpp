// Gemm and MatMul (float32) on oneDNN's matmul.
#include "executor/onednn.h"

namespace octet::exec {
namespace {

using dnnl::memory;

struct MatMulState {
  Primitive primitive;
  memory::desc a, b, bias, dst;
  memory packed_b;  // empty when B is not constant
};

class MatMulStep : public Step {
 public:
  MatMulStep(const Graph& graph, size_t index) : graph_(graph) {
    const Node& node = graph.nodes[index];
    is_gemm_ = node.is("Gemm");
    a_ = node.inputs[0];
    b_ = node.inputs[1];
    bias_ = is_gemm_ && node.has_input(2) ? node.inputs[2] : kNoValue;
    output_ = node.outputs[0];
    trans_a_ = is_gemm_ && node.attr_int("transA", 0) != 0;
    trans_b_ = is_gemm_ && node.attr_int("transB", 0) != 0;
  }

  std::string kernel() const override { return "oneDNN matmul"; }

  Status run(Frame& frame) const override {
    if (!usable(frame)) return run_reference(graph_, nodes, frame);
    return guard_dnnl([&] { return run_dnnl(frame); });
  }

 private:
  static Dims swapped(Dims dims, bool transpose) {
    if (transpose) std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
    return dims;
  }

  // The shape of A x B with ranks made equal and batch dimensions broadcast; empty when oneDNN cannot take it.
  static Dims product_dims(const Dims& a, const Dims& b) {
    Dims out(a.size());
    for (size_t i = 0; i + 2 < a.size(); ++i) {
      if (a[i] != b[i] && a[i] != 1 && b[i] != 1) return {};
      out[i] = std::max(a[i], b[i]);
    }
    out[a.size() - 2] = a[a.size() - 2];
    out[a.size() - 1] = b[b.size() - 1];
    return a[a.size() - 1] == b[b.size() - 2] ? out : Dims{};
  }

  bool usable(const Frame& frame) const {
    const Tensor& a = frame.any(a_);
    const Tensor& b = frame.any(b_);
    if (a.dtype() != DType::kFloat32 || b.dtype() != DType::kFloat32 || a.numel() == 0 || b.numel() == 0)
      return false;
    if (a.rank() < 2 || b.rank() < 2 || a.rank() > 6 || b.rank() > 6) return false;
    const Dims out =
        product_dims(padded(swapped(a.dims(), trans_a_), b.rank()), padded(swapped(b.dims(), trans_b_), a.rank()));
    if (out.empty()) return false;
    if (bias_ == kNoValue) return true;
    return frame.dtype(bias_) == DType::kFloat32 &&
           (frame.dims(bias_) == Dims{out.back()} || frame.dims(bias_) == Dims{1, out.back()});
  }

  static Dims padded(Dims dims, int rank) {
    while (static_cast<int>(dims.size()) < rank) dims.insert(dims.begin(), 1);
    return dims;
  }

  static memory::desc describe(const Dims& stored, bool transpose, int rank) {
    memory::dims strides = row_major_strides(padded(stored, rank));
    if (transpose) std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
    return {to_dnnl(swapped(padded(stored, rank), transpose)), memory::data_type::f32, strides};
  }

  std::shared_ptr<const MatMulState> build(const Tensor& a, const Tensor& b) const {
    auto state = std::make_shared<MatMulState>();
    const int rank = std::max(a.rank(), b.rank());
    state->a = describe(a.dims(), trans_a_, rank);
    const memory::desc b_user = describe(b.dims(), trans_b_, rank);
    const bool constant = graph_.is_constant(b_);
    state->b = constant ? memory::desc(b_user.dims(), memory::data_type::f32, memory::format_tag::any) : b_user;
    const Dims out =
        product_dims(padded(swapped(a.dims(), trans_a_), rank), padded(swapped(b.dims(), trans_b_), rank));
    state->dst = memory::desc(to_dnnl(out), memory::data_type::f32, row_major_strides(out));
    if (bias_ != kNoValue) {
      Dims bias_dims(out.size(), 1);
      bias_dims.back() = out.back();
      state->bias = memory::desc(to_dnnl(bias_dims), memory::data_type::f32, row_major_strides(bias_dims));
    }
    const dnnl::matmul::desc desc = bias_ != kNoValue
                                        ? dnnl::matmul::desc(state->a, state->b, state->bias, state->dst)
                                        : dnnl::matmul::desc(state->a, state->b, state->dst);
    const dnnl::matmul::primitive_desc pd(desc, user_scratchpad(), cpu_engine());
    state->primitive = {dnnl::matmul(pd), pd};
    state->b = pd.weights_desc();
    if (constant) {
      memory user(b_user, cpu_engine(), const_cast<void*>(b.raw()));
      state->packed_b = memory(state->b, cpu_engine());
      dnnl::reorder(user, state->packed_b).execute(cpu_stream(), user, state->packed_b);
      cpu_stream().wait();
    }
    return state;
  }

  Status run_dnnl(Frame& frame) const {
    OCTET_ASSIGN(const Tensor a, frame.plain(a_));
    OCTET_ASSIGN(const Tensor b, frame.plain(b_));
    Dims key = a.dims();
    key.push_back(-1);
    key.insert(key.end(), b.dims().begin(), b.dims().end());
    std::shared_ptr<const MatMulState> state = cache_.get(key, [&] { return build(a, b); });
    const memory::dims out = state->dst.dims();
    OCTET_ASSIGN(Tensor dst, frame.allocate(DType::kFloat32, Dims(out.begin(), out.end())));
    memory b_memory = state->packed_b;
    if (!b_memory) b_memory = memory(state->b, cpu_engine(), const_cast<void*>(b.raw()));
    std::unordered_map<int, memory> args{{DNNL_ARG_SRC, memory(state->a, cpu_engine(), const_cast<void*>(a.raw()))},
                                         {DNNL_ARG_WEIGHTS, b_memory},
                                         {DNNL_ARG_DST, memory(state->dst, cpu_engine(), dst.raw())}};
    Tensor bias;
    if (bias_ != kNoValue) {
      OCTET_ASSIGN(bias, frame.plain(bias_));
      args.emplace(DNNL_ARG_BIAS, memory(state->bias, cpu_engine(), bias.raw()));
    }
    state->primitive.execute(std::move(args));
    frame.set(output_, std::move(dst), false);
    return Status::ok();
  }

  const Graph& graph_;
  bool is_gemm_ = false, trans_a_ = false, trans_b_ = false;
  ValueId a_, b_, bias_, output_;
  mutable StateCache<MatMulState> cache_;
};

}  // namespace

StepPtr make_matmul_step(const Graph& graph, size_t index) {
  const Node& node = graph.nodes[index];
  if (!node.is("MatMul") && !node.is("Gemm")) return nullptr;
  if (node.is("Gemm") && (node.attr_float("alpha", 1.f) != 1.f || node.attr_float("beta", 1.f) != 1.f))
    return nullptr;
  return std::make_unique<MatMulStep>(graph, index);
}

}  // namespace octet::exec
