#include "training/fake_quantize_cuda.h"

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

#include "arith/quantize.h"
#include "training/fake_quant_common.h"
#include "training/fake_quant_kernels.h"

namespace octet::training {
namespace {

cudaStream_t stream_of(const at::Tensor& x) { return c10::cuda::getCurrentCUDAStream(x.device().index()).stream(); }

void check(cudaError_t error) {
  TORCH_CHECK(error == cudaSuccess, "a CUDA kernel of fake quantization failed: ", cudaGetErrorString(error));
}

cuda::Problem problem_of(const at::Tensor& x, const QuantizerSpec& spec) {
  cuda::Problem p;
  p.x = x.data_ptr<float>();
  p.n = x.numel();
  const QuantLayout layout = quant_layout(x.sizes().vec(), spec.axis, spec.block_size).value();
  p.outer = layout.outer;
  p.axis_dim = layout.axis_dim;
  p.inner = layout.inner;
  p.block_size = layout.block_size;
  p.blocks = layout.blocks;
  p.per_tensor = layout.per_tensor;
  p.scale_count = layout.scale_count;
  const CodeRange codes = code_range(spec.dtype, spec.narrow_range);
  p.code_lo = codes.lo;
  p.code_hi = codes.hi;
  p.relu = spec.relu;
  p.fp8 = spec.dtype == DType::kFloat8E4M3 ? 1 : spec.dtype == DType::kFloat8E5M2 ? 2 : 0;
  return p;
}

cuda::Problem problem_of(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero_point,
                         const QuantizerSpec& spec) {
  cuda::Problem p = problem_of(x, spec);
  p.scale = scale.data_ptr<float>();
  p.zero_point = zero_point.data_ptr<int32_t>();
  return p;
}

float* floats_or_null(const at::Tensor& t) { return t.defined() ? t.data_ptr<float>() : nullptr; }

cuda::SumProblem sum_problem(const at::Tensor& a, const SumQuantizer& qa, const at::Tensor& b, const SumQuantizer& qb,
                             const SumQuantizer& out) {
  const auto one = [](const at::Tensor& x, const SumQuantizer& q) {
    if (q.is_there()) return problem_of(x, q.scale, q.zero_point, q.spec);
    cuda::Problem p;
    p.x = x.data_ptr<float>();
    return p;
  };
  return {a.numel(), one(a, qa), one(b, qb), one(a, out)};
}

at::Tensor scratch(const at::Tensor& like, int64_t doubles) {
  return at::empty({std::max<int64_t>(1, doubles)}, like.options().dtype(at::kDouble));
}

}  // namespace

void fake_quantize_cuda(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero_point,
                        const QuantizerSpec& spec, at::Tensor& y) {
  const c10::cuda::CUDAGuard guard(x.device());
  check(cuda::fake_quantize(problem_of(x, scale, zero_point, spec), y.data_ptr<float>(), stream_of(x)));
}

void fake_quantize_backward_cuda(const at::Tensor& x, const at::Tensor& g, const at::Tensor& scale,
                                 const at::Tensor& zero_point, const QuantizerSpec& spec, double factor,
                                 at::Tensor& dx, at::Tensor& d_scale) {
  const c10::cuda::CUDAGuard guard(x.device());
  const cuda::Problem p = problem_of(x, scale, zero_point, spec);
  if (!d_scale.defined()) {
    check(cuda::straight_through(p, g.data_ptr<float>(), dx.data_ptr<float>(), stream_of(x)));
    return;
  }
  const at::Tensor partials = scratch(x, cuda::partial_count(p));
  check(cuda::learned_scale(p, g.data_ptr<float>(), factor, floats_or_null(dx), d_scale.data_ptr<float>(),
                            partials.data_ptr<double>(), stream_of(x)));
}

void pact_quantize_cuda(const at::Tensor& x, const at::Tensor& lo, const at::Tensor& hi, float scale,
                        int32_t zero_point, const QuantizerSpec& spec, at::Tensor& y) {
  const c10::cuda::CUDAGuard guard(x.device());
  check(cuda::clipped(problem_of(x, spec), lo.data_ptr<float>(), hi.data_ptr<float>(), scale, zero_point,
                      y.data_ptr<float>(), stream_of(x)));
}

void pact_backward_cuda(const at::Tensor& x, const at::Tensor& g, const at::Tensor& lo, const at::Tensor& hi,
                        at::Tensor& dx, at::Tensor& d_lo, at::Tensor& d_hi) {
  const c10::cuda::CUDAGuard guard(x.device());
  const at::Tensor partials = scratch(x, cuda::pact_partial_count(x.numel()));
  check(cuda::clipped_backward(x.data_ptr<float>(), g.data_ptr<float>(), x.numel(), lo.data_ptr<float>(),
                               hi.data_ptr<float>(), dx.data_ptr<float>(), d_lo.data_ptr<float>(),
                               d_hi.data_ptr<float>(), partials.data_ptr<double>(), stream_of(x)));
}

void quantized_sum_cuda(const at::Tensor& a, const SumQuantizer& qa, const at::Tensor& b, const SumQuantizer& qb,
                        const SumQuantizer& out, at::Tensor& y) {
  const c10::cuda::CUDAGuard guard(a.device());
  check(cuda::quantized_sum(sum_problem(a, qa, b, qb, out), y.data_ptr<float>(), stream_of(a)));
}

void quantized_sum_backward_cuda(const at::Tensor& a, const SumQuantizer& qa, const at::Tensor& b,
                                 const SumQuantizer& qb, const SumQuantizer& out, const at::Tensor& g, at::Tensor& da,
                                 at::Tensor& db, at::Tensor& d_sum, std::array<at::Tensor, 3>& d_scale) {
  const c10::cuda::CUDAGuard guard(a.device());
  const QuantizerSpec* specs[] = {&qa.spec, &qb.spec, &out.spec};
  cuda::SumGradients d;
  d.a = floats_or_null(da);
  d.b = floats_or_null(db);
  d.sum = floats_or_null(d_sum);
  for (size_t i = 0; i < 3; ++i) {
    d.scale[i] = floats_or_null(d_scale[i]);
    if (d.scale[i] != nullptr) d.factor[i] = lsq_factor(a.numel(), 1, *specs[i]);
  }
  const at::Tensor partials = scratch(a, cuda::sum_partial_count(a.numel()));
  check(cuda::quantized_sum_backward(sum_problem(a, qa, b, qb, out), g.data_ptr<float>(), d,
                                     partials.data_ptr<double>(), stream_of(a)));
}

}  // namespace octet::training
