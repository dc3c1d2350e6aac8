// QuantizeLinear -> DequantizeLinear of an activation with one scale, as one pass of fake quantization.
#include "arith/quantize.h"
#include "arith/spans.h"
#include "executor/step.h"

namespace octet::exec {
namespace {

struct Scalar {
  float scale;
  int32_t zero_point;
  DType dtype;
};

// The constant per-tensor parameters of a Q or DQ node.
std::optional<Scalar> scalar_params(const Graph& graph, const Node& node, DType fallback) {
  if (!node.has_input(1) || !graph.is_constant(node.inputs[1])) return std::nullopt;
  const Tensor& scale = *graph.value(node.inputs[1]).constant;
  if (scale.numel() != 1 || scale.dtype() != DType::kFloat32) return std::nullopt;
  Scalar p{*scale.data<float>(), 0, fallback};
  if (!node.has_input(2)) return p;
  if (!graph.is_constant(node.inputs[2])) return std::nullopt;
  const Tensor& zero = *graph.value(node.inputs[2]).constant;
  p.dtype = zero.dtype();
  Result<std::vector<int64_t>> value = to_int64s(zero);
  if (!value.is_ok() || value->size() != 1) return std::nullopt;  // FP8 takes the reference operators
  p.zero_point = static_cast<int32_t>((*value)[0]);
  return p;
}

class FakeQuantStep : public Step {
 public:
  FakeQuantStep(const Graph& graph, ValueId src, ValueId output, Scalar params)
      : graph_(graph), src_(src), output_(output), params_(params), range_(code_range(params.dtype, false)) {}

  std::string kernel() const override { return "fake quantization"; }

  Status run(Frame& frame) const override {
    if (frame.dtype(src_) != DType::kFloat32) return run_reference(graph_, nodes, frame);
    const bool last = frame.only_channels_last(src_);
    Tensor dst = frame.take_for_overwrite(src_, last, dying);
    const Tensor src = frame.any(src_);
    if (!dst.defined()) {
      OCTET_ASSIGN(dst, frame.allocate(DType::kFloat32, src.dims()));
    }
    const int64_t n = src.numel();
    constexpr int64_t kChunk = 16384;
    const float* from = src.data<float>();
    float* to = dst.data<float>();
#pragma omp parallel for if (n > 4 * kChunk)
    for (int64_t begin = 0; begin < n; begin += kChunk)
      fake_quantize_span(from + begin, to + begin, std::min(kChunk, n - begin), params_.scale, params_.zero_point,
                         range_.lo, range_.hi);
    frame.set(output_, std::move(dst), last);
    return Status::ok();
  }

 private:
  const Graph& graph_;
  ValueId src_, output_;
  Scalar params_;
  CodeRange range_;
};

}  // namespace

StepPtr make_fake_quant_step(const Graph& graph, size_t quantize_node, size_t dequantize_node) {
  const Node& q = graph.nodes[quantize_node];
  const Node& dq = graph.nodes[dequantize_node];
  if (q.attributes.count("output_dtype") != 0 || q.attributes.count("block_size") != 0) return nullptr;
  const std::optional<Scalar> a = scalar_params(graph, q, DType::kUint8);
  const std::optional<Scalar> b = a ? scalar_params(graph, dq, a->dtype) : std::nullopt;
  if (!a || !b || a->scale != b->scale || a->zero_point != b->zero_point || a->dtype != b->dtype) return nullptr;
  return std::make_unique<FakeQuantStep>(graph, q.inputs[0], dq.outputs[0], *a);
}

}  // namespace octet::exec
