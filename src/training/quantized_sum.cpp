#include "training/quantized_sum.h"

#include <array>
#include <memory>
#include <vector>

#include "arith/spans.h"
#include "training/fake_quant_common.h"
#include "training/fake_quant_loops.h"
#ifdef OCTET_CUDA
#include "training/fake_quantize_cuda.h"
#endif

namespace octet::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr size_t kA = 0, kB = 1, kOut = 2;
using Quantizers = std::array<SumQuantizer, 3>;

// One quantizer as the loops take it.
struct Scalars {
  bool is_there = false, learned = false;
  float scale = 1;
  int32_t zero_point = 0;
  CodeEnds ends{};

  explicit Scalars(const SumQuantizer& q) : is_there(q.is_there()), learned(q.is_there() && q.scale.requires_grad()) {
    if (!is_there) return;
    scale = q.scale.data_ptr<float>()[0];
    zero_point = q.zero_point.data_ptr<int32_t>()[0];
    ends = code_ends(q.spec, code_range(q.spec.dtype, q.spec.narrow_range), zero_point);
  }

  // x as it enters the sum: x itself, or `buffer`.
  const float* enter(const float* x, float* buffer, int64_t n) const {
    if (!is_there) return x;
    fake_quantize_span(x, buffer, n, scale, zero_point, ends.lowest, ends.highest);
    return buffer;
  }

  // dx; returns the sum for d scale.
  double backward(const float* x, const float* g, float* dx, int64_t n) const {
    if (learned) return fake_quant_loops().learned_scale(x, g, dx, n, scale, ends.lo, ends.hi);
    fake_quant_loops().straight_through(x, g, dx, n, scale, ends.lo, ends.hi);
    return 0;
  }
};

// Room for the values of one run; they are not set to zero.
std::unique_ptr<float[]> room(const Run& run) {
  return std::make_unique_for_overwrite<float[]>(static_cast<size_t>(run.length));
}

// The sum of one run, in `sum`; `other` is room for another.
void add_run(const Scalars& qa, const float* a, const Scalars& qb, const float* b, float* sum, float* other,
             int64_t n) {
  const float *right = qb.enter(b, sum, n), *left = qa.enter(a, other, n);
  for (int64_t i = 0; i < n; ++i) sum[i] = left[i] + right[i];
}

void forward_cpu(const at::Tensor& a, const at::Tensor& b, const Quantizers& q, at::Tensor& y) {
  const Scalars qa(q[kA]), qb(q[kB]), out(q[kOut]);
  const float *pa = a.data_ptr<float>(), *pb = b.data_ptr<float>();
  float* py = y.data_ptr<float>();
  for_each_run(Runs(QuantLayout{}, a.numel()), [&](int64_t, const Run& run) {
    const auto sum = room(run);
    float* own = py + run.offset;
    add_run(qa, pa + run.offset, qb, pb + run.offset, sum.get(), own, run.length);
    out.enter(sum.get(), own, run.length);
  });
}

// The gradients of one backward pass; undefined where nobody wants one. `sum` is that of an operand without
// quantizer.
struct Gradients {
  at::Tensor a, b, sum;
  std::array<at::Tensor, 3> scale;
};

void backward_cpu(const at::Tensor& a, const at::Tensor& b, const at::Tensor& g, const Quantizers& q,
                  Gradients* gradients) {
  const std::array<Scalars, 3> s = {Scalars(q[kA]), Scalars(q[kB]), Scalars(q[kOut])};
  const Runs runs(QuantLayout{}, a.numel());
  std::array<std::vector<double>, 3> sums;
  for (auto& of_one : sums) of_one.resize(static_cast<size_t>(runs.count()));
  const auto at = [](const at::Tensor& t, const Run& run) { return t.data_ptr<float>() + run.offset; };
  for_each_run(runs, [&](int64_t r, const Run& run) {
    const auto k = static_cast<size_t>(r);
    const float *pa = at(a, run), *pb = at(b, run);
    const auto sum = room(run), own = room(run);
    add_run(s[kA], pa, s[kB], pb, sum.get(), own.get(), run.length);
    float* d_sum = gradients->sum.defined() ? at(gradients->sum, run) : own.get();
    sums[kOut][k] = s[kOut].backward(sum.get(), at(g, run), d_sum, run.length);
    if (s[kA].is_there) sums[kA][k] = s[kA].backward(pa, d_sum, at(gradients->a, run), run.length);
    if (s[kB].is_there) sums[kB][k] = s[kB].backward(pb, d_sum, at(gradients->b, run), run.length);
  });
  for (size_t i = 0; i < 3; ++i) {
    if (!gradients->scale[i].defined()) continue;
    double total = 0;
    for (double part : sums[i]) total += part;
    gradients->scale[i].fill_(static_cast<float>(total * lsq_factor(a.numel(), 1, q[i].spec)));
  }
}

// LibTorch 1.13 takes no undefined tensors: quantizers that are not there bring those of the result, and a 0.
std::vector<int64_t> numbers_of(const Quantizers& q) {
  std::vector<int64_t> numbers;
  for (const SumQuantizer& one : q) {
    const std::vector<int64_t> own = packed(one.spec);
    numbers.push_back(one.is_there() ? 1 : 0);
    numbers.insert(numbers.end(), own.begin(), own.end());
  }
  return numbers;
}

Quantizers quantizers_of(const std::array<at::Tensor, 6>& tensors, const std::vector<int64_t>& numbers) {
  const size_t each = numbers.size() / 3;
  Quantizers q;
  for (size_t i = 0; i < 3; ++i) {
    const auto* own = numbers.data() + i * each;
    if (own[0] != 0) q[i] = {tensors[2 * i], tensors[2 * i + 1], unpacked({own + 1, own + each})};
  }
  return q;
}

class QuantizedSum : public torch::autograd::Function<QuantizedSum> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& left, const at::Tensor& right,
                            const at::Tensor& scale_a, const at::Tensor& zero_a, const at::Tensor& scale_b,
                            const at::Tensor& zero_b, const at::Tensor& scale_out, const at::Tensor& zero_out,
                            const std::vector<int64_t>& numbers) {
    const at::Tensor a = dense(left, {}), b = in_order_of(right, a);
    at::Tensor y = at::empty_like(a);
    ctx->save_for_backward({a, b, scale_a, zero_a, scale_b, zero_b, scale_out, zero_out});
    ctx->saved_data["numbers"] = numbers;
    const Quantizers q = quantizers_of({scale_a, zero_a, scale_b, zero_b, scale_out, zero_out}, numbers);
    if (!a.is_cuda()) {
      forward_cpu(a, b, q, y);
      return y;
    }
#ifdef OCTET_CUDA
    quantized_sum_cuda(a, q[kA], b, q[kB], q[kOut], y);
#else
    TORCH_CHECK(false, "this build of Octet has no CUDA kernels; configure with -DOCTET_CUDA=ON");
#endif
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list t = ctx->get_saved_variables();
    const at::Tensor &a = t[0], &b = t[1];
    const Quantizers q =
        quantizers_of({t[2], t[3], t[4], t[5], t[6], t[7]}, ctx->saved_data["numbers"].toIntVector());
    const at::Tensor g = in_order_of(grads[0], a);
    Gradients d;
    if (q[kA].is_there()) d.a = at::empty_like(a);
    if (q[kB].is_there()) d.b = at::empty_like(a);
    if (!q[kA].is_there() || !q[kB].is_there()) d.sum = at::empty_like(a);
    for (size_t i = 0; i < 3; ++i)
      if (q[i].is_there() && q[i].scale.requires_grad()) d.scale[i] = at::empty_like(q[i].scale);
    if (!a.is_cuda()) backward_cpu(a, b, g, q, &d);
#ifdef OCTET_CUDA
    else quantized_sum_backward_cuda(a, q[kA], b, q[kB], q[kOut], g, d.a, d.b, d.sum, d.scale);
#endif
    const at::Tensor none;
    return {q[kA].is_there() ? d.a : d.sum,
            q[kB].is_there() ? d.b : d.sum,
            d.scale[kA],
            none,
            d.scale[kB],
            none,
            d.scale[kOut],
            none,
            none};
  }
};

}  // namespace

at::Tensor quantized_sum(const at::Tensor& a, const SumQuantizer& qa, const at::Tensor& b, const SumQuantizer& qb,
                         const SumQuantizer& out) {
  TORCH_CHECK(a.sizes() == b.sizes(), "the operands of a quantized sum have different shapes");
  TORCH_CHECK(out.is_there(), "a quantized sum needs a quantizer for its result");
  const Quantizers q = {qa, qb, out};
  std::array<at::Tensor, 6> t;
  for (size_t i = 0; i < 3; ++i) {
    const SumQuantizer& one = q[i].is_there() ? q[i] : out;
    TORCH_CHECK(one.scale.numel() == 1 && one.scale.scalar_type() == at::kFloat && one.zero_point.numel() == 1 &&
                    dtype_is_integer(one.spec.dtype) && one.scale.device() == a.device(),
                "the quantizers of a sum have one scale and one integer zero point, where the operands are");
    t[2 * i] = q[i].is_there() ? one.scale : one.scale.detach();
    t[2 * i + 1] = one.zero_point;
  }
  return QuantizedSum::apply(a.to(at::kFloat), b.to(at::kFloat), t[0], t[1], t[2], t[3], t[4], t[5], numbers_of(q))
      .to(at::result_type(a, b));
}

}  // namespace octet::training
