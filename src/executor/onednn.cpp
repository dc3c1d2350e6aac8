#include "executor/onednn.h"

namespace octet::exec {

dnnl::engine& cpu_engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& cpu_stream() {
  thread_local dnnl::stream stream(cpu_engine());
  return stream;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

void Primitive::execute(std::unordered_map<int, dnnl::memory> args) const {
  thread_local Tensor scratch;
  const auto bytes = static_cast<int64_t>(scratchpad.get_size());
  if (bytes > 0) {
    if (!scratch.defined() || scratch.nbytes() < bytes) scratch = Tensor(DType::kUint8, {bytes});
    args.emplace(DNNL_ARG_SCRATCHPAD, dnnl::memory(scratchpad, cpu_engine(), scratch.raw()));
  }
  primitive.execute(cpu_stream(), args);
  cpu_stream().wait();
}

dnnl::memory::dims to_dnnl(const Dims& dims) { return {dims.begin(), dims.end()}; }

dnnl::memory::dims row_major_strides(const Dims& dims) {
  dnnl::memory::dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<int64_t>(1, dims[i]);
  return strides;
}

EltwiseKind eltwise_of(const PostOp& op) {
  using A = dnnl::algorithm;
  using K = PostOp::Kind;
  switch (op.kind) {
    case K::kRelu: return {A::eltwise_relu, op.alpha, 0};
    case K::kClip: return {A::eltwise_clip, op.alpha, op.beta};
    case K::kSigmoid: return {A::eltwise_logistic, 0, 0};
    case K::kSwish: return {A::eltwise_swish, 1, 0};
    case K::kHardSwish: return {A::eltwise_hardswish, 0, 0};
    case K::kTanh: return {A::eltwise_tanh, 0, 0};
    case K::kElu: return {A::eltwise_elu, op.alpha, 0};
    case K::kMish: return {A::eltwise_mish, 0, 0};
    case K::kGeluErf: return {A::eltwise_gelu_erf, 0, 0};
    case K::kGeluTanh: return {A::eltwise_gelu_tanh, 0, 0};
    case K::kExp: return {A::eltwise_exp, 0, 0};
    case K::kSqrt: return {A::eltwise_sqrt, 0, 0};
    case K::kAbs: return {A::eltwise_abs, 0, 0};
    case K::kHardSigmoid: return {A::eltwise_linear, op.alpha, op.beta};
    case K::kAddResidual: break;
  }
  return {A::undef, 0, 0};
}

void append_post_op(dnnl::post_ops& ops, const PostOp& op) {
  if (op.kind == PostOp::Kind::kAddResidual) {
    ops.append_sum(1.f);
    return;
  }
  const EltwiseKind e = eltwise_of(op);
  ops.append_eltwise(1.f, e.algorithm, e.alpha, e.beta);
  if (op.kind == PostOp::Kind::kHardSigmoid) ops.append_eltwise(1.f, dnnl::algorithm::eltwise_clip, 0.f, 1.f);
}

}  // namespace octet::exec
