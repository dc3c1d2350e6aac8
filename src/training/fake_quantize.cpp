#include "training/fake_quantize.h"

#include <cmath>
#include <limits>

#include "arith/float_formats.h"
#include "arith/spans.h"
#include "training/fake_quant_common.h"
#include "training/fake_quant_loops.h"
#ifdef OCTET_CUDA
#include "training/fake_quantize_cuda.h"
#endif

namespace octet::training {

double highest_code(DType dtype) {
  return dtype_is_float(dtype) ? static_cast<double>(fp8_max(dtype)) : code_range(dtype).hi;
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What one call computes with, on the CPU.
struct Problem {
  QuantLayout layout;
  Runs runs;
  QuantizerSpec spec;
  CodeRange codes;
  const float* scale;
  const int32_t* zero_point;

  // One scale per element of a row: weights [ic, oc] of matrix products.
  bool by_rows() const { return !layout.per_tensor && layout.block_size == 0 && layout.inner == 1 && !fp8(); }
  bool fp8() const { return dtype_is_float(spec.dtype); }
  CodeEnds ends(const Run& run) const { return code_ends(spec, codes, zero_point[run.scale]); }
};

QuantLayout layout_of(const at::Tensor& x, const QuantizerSpec& spec) {
  const auto layout = quant_layout(x.sizes().vec(), spec.axis, spec.block_size);
  TORCH_CHECK(layout.is_ok(), layout.status().message());
  return *layout;
}

Problem problem_of(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero_point,
                   const QuantizerSpec& spec) {
  const QuantLayout layout = layout_of(x, spec);
  return {layout,
          Runs(layout, x.numel()),
          spec,
          code_range(spec.dtype, spec.narrow_range),
          scale.data_ptr<float>(),
          zero_point.data_ptr<int32_t>()};
}

// Rows in at most 16 parts, whatever the number of threads, so that sums have one order.
struct RowParts {
  explicit RowParts(int64_t rows)
      : rows(rows), each((rows + 15) / 16), count(each == 0 ? 0 : (rows + each - 1) / each) {}
  int64_t rows, each, count;

  template <class F>
  void run(F f) const {  // f(part, row)
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part)
        for (int64_t r = part * each; r < std::min(rows, (part + 1) * each); ++r) f(part, r);
    });
  }
};

void backward_by_rows(const Problem& p, const float* x, const float* g, float* dx, float* d_scale, double factor) {
  const int64_t n = p.layout.axis_dim;
  const auto width = static_cast<size_t>(n);
  std::vector<float> lo(width), hi(width);
  for (int64_t c = 0; c < n; ++c) {
    const CodeEnds ends = code_ends(p.spec, p.codes, p.zero_point[c]);
    lo[static_cast<size_t>(c)] = ends.lo;
    hi[static_cast<size_t>(c)] = ends.hi;
  }
  const RowParts parts(p.layout.outer);
  std::vector<double> sums(d_scale == nullptr ? 0 : width * static_cast<size_t>(parts.count), 0.0);
  parts.run([&](int64_t part, int64_t r) {
    double* own = d_scale == nullptr ? nullptr : sums.data() + part * n;
    fake_quant_loops().row(x + r * n, g + r * n, dx + r * n, n, p.scale, lo.data(), hi.data(), own);
  });
  for (int64_t c = 0; c < n && d_scale != nullptr; ++c) {
    double total = 0;
    for (int64_t part = 0; part < parts.count; ++part) total += sums[static_cast<size_t>(part * n + c)];
    d_scale[c] = static_cast<float>(total * factor);
  }
}

void forward_cpu(const Problem& p, const float* x, float* y) {
  if (p.by_rows()) {
    const int64_t n = p.layout.axis_dim;
    RowParts(p.layout.outer).run([&](int64_t, int64_t r) {
      fake_quantize_each(x + r * n, y + r * n, n, p.scale, p.zero_point, p.codes.lo, p.codes.hi);
    });
    return;
  }
  for_each_run(p.runs, [&](int64_t, const Run& run) {
    const float scale = p.scale[run.scale];
    if (!p.fp8()) {
      const CodeEnds ends = p.ends(run);
      fake_quantize_span(x + run.offset, y + run.offset, run.length, scale, p.zero_point[run.scale], ends.lowest,
                         ends.highest);
      return;
    }
    for (int64_t i = run.offset; i < run.offset + run.length; ++i)
      y[i] = fake_quantize_value_fp8(x[i], scale, p.spec.dtype);
  });
}

// The FP8 form of FakeQuantLoops::learned_scale: the code's value in place of the rounded integer.
double learned_scale_fp8(const float* x, const float* g, float* dx, int64_t n, float scale, DType dtype) {
  const float most = fp8_max(dtype);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float t = x[i] / scale;
    const bool inside = std::fabs(t) <= most;
    if (std::isnan(t)) {
      dx[i] = 0;
      continue;
    }
    const float q = fake_quantize_value_fp8(t, 1.0f, dtype);
    dx[i] = inside ? g[i] : 0.0f;
    sum += static_cast<double>(g[i]) * static_cast<double>(inside ? q - t : q);
  }
  return sum;
}

// d x; and with `d_scale`, d scale.
void backward_cpu(const Problem& p, const float* x, const float* g, float* dx, float* d_scale, double factor) {
  if (p.by_rows()) return backward_by_rows(p, x, g, dx, d_scale, factor);
  const FakeQuantLoops& loops = fake_quant_loops();
  std::vector<double> sums(d_scale == nullptr ? 0 : static_cast<size_t>(p.runs.count()));
  for_each_run(p.runs, [&](int64_t r, const Run& run) {
    const float scale = p.scale[run.scale];
    const float *xs = x + run.offset, *gs = g + run.offset;
    const CodeEnds ends = p.ends(run);
    if (d_scale == nullptr) loops.straight_through(xs, gs, dx + run.offset, run.length, scale, ends.lo, ends.hi);
    else
      sums[static_cast<size_t>(r)] =
          p.fp8() ? learned_scale_fp8(xs, gs, dx + run.offset, run.length, scale, p.spec.dtype)
                  : loops.learned_scale(xs, gs, dx + run.offset, run.length, scale, ends.lo, ends.hi);
  });
  if (d_scale == nullptr) return;
  std::vector<double> totals(static_cast<size_t>(p.layout.scale_count), 0);
  for (int64_t r = 0; r < p.runs.count(); ++r)
    totals[static_cast<size_t>(p.runs.at(r).scale)] += sums[static_cast<size_t>(r)];
  for (size_t s = 0; s < totals.size(); ++s) d_scale[s] = static_cast<float>(totals[s] * factor);
}

void check_scales(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero_point,
                  const QuantizerSpec& spec) {
  const int64_t count = layout_of(x, spec).scale_count;
  TORCH_CHECK(scale.numel() == count && scale.scalar_type() == at::kFloat && scale.is_contiguous(),
              "a quantizer needs ", count, " float32 scales and has ", scale.numel());
  TORCH_CHECK(!zero_point.defined() || (zero_point.numel() == count && zero_point.scalar_type() == at::kInt),
              "a quantizer needs ", count, " int32 zero points");
  TORCH_CHECK(!spec.relu || (count == 1 && !dtype_is_float(spec.dtype)),
              "only integer quantizers with one scale take a Relu along");
  TORCH_CHECK(scale.device() == x.device(), "a quantizer's scales must be where its input is");
}

class FakeQuantize : public torch::autograd::Function<FakeQuantize> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const at::Tensor& scale,
                            const at::Tensor& zero_point, const std::vector<int64_t>& spec_numbers) {
    const QuantizerSpec spec = unpacked(spec_numbers);
    const at::Tensor x = dense(input, spec);
    at::Tensor y = at::empty_like(x);
    ctx->save_for_backward({x, scale, zero_point});
    ctx->saved_data["spec"] = spec_numbers;
    ctx->saved_data["learn"] = scale.requires_grad();
    ctx->saved_data["pass"] = input.requires_grad();
    if (x.is_cuda()) {
#ifdef OCTET_CUDA
      fake_quantize_cuda(x, scale, zero_point, spec, y);
      return y;
#else
      TORCH_CHECK(false, "this build of Octet has no CUDA kernels; configure with -DOCTET_CUDA=ON");
#endif
    }
    forward_cpu(problem_of(x, scale, zero_point, spec), x.data_ptr<float>(), y.data_ptr<float>());
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &zero_point = saved[2];
    const QuantizerSpec spec = unpacked(ctx->saved_data["spec"].toIntVector());
    const at::Tensor g = in_order_of(grads[0], x);
    const bool pass = ctx->saved_data["pass"].toBool();
    at::Tensor dx = pass || !x.is_cuda() ? at::empty_like(x) : at::Tensor();
    at::Tensor d_scale = ctx->saved_data["learn"].toBool() ? at::empty_like(scale) : at::Tensor();
    const double factor = lsq_factor(x.numel(), scale.numel(), spec);
    if (x.is_cuda()) {
#ifdef OCTET_CUDA
      fake_quantize_backward_cuda(x, g, scale, zero_point, spec, factor, dx, d_scale);
#endif
    } else {
      backward_cpu(problem_of(x, scale, zero_point, spec), x.data_ptr<float>(), g.data_ptr<float>(),
                   dx.data_ptr<float>(), d_scale.defined() ? d_scale.data_ptr<float>() : nullptr, factor);
    }
    return {pass ? dx : at::Tensor(), d_scale, at::Tensor(), at::Tensor()};
  }
};

class PactQuantize : public torch::autograd::Function<PactQuantize> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const at::Tensor& lo, const at::Tensor& hi,
                            double scale, int64_t zero_point, const std::vector<int64_t>& spec_numbers) {
    const QuantizerSpec spec = unpacked(spec_numbers);
    const at::Tensor x = dense(input, spec);
    at::Tensor y = at::empty_like(x);
    ctx->save_for_backward({x, lo, hi});
    if (x.is_cuda()) {
#ifdef OCTET_CUDA
      pact_quantize_cuda(x, lo, hi, static_cast<float>(scale), static_cast<int32_t>(zero_point), spec, y);
      return y;
#else
      TORCH_CHECK(false, "this build of Octet has no CUDA kernels; configure with -DOCTET_CUDA=ON");
#endif
    }
    const CodeRange codes = code_range(spec.dtype, spec.narrow_range);
    const float clip_lo = lo.item<float>(), clip_hi = hi.item<float>(), s = static_cast<float>(scale);
    const float* from = x.data_ptr<float>();
    float* to = y.data_ptr<float>();
    for_each_run(Runs(QuantLayout{}, x.numel()), [&](int64_t, const Run& run) {
      if (!dtype_is_float(spec.dtype)) {
        fake_quant_loops().clipped(from + run.offset, to + run.offset, run.length, clip_lo, clip_hi, s,
                                   static_cast<int32_t>(zero_point), codes.lo, codes.hi);
        return;
      }
      for (int64_t i = run.offset; i < run.offset + run.length; ++i) {
        const float v = from[i] < clip_lo ? clip_lo : from[i] > clip_hi ? clip_hi : from[i];
        to[i] = fake_quantize_value_fp8(v, s, spec.dtype);
      }
    });
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &lo = saved[1], &hi = saved[2];
    const at::Tensor g = in_order_of(grads[0], x);
    at::Tensor dx = at::empty_like(x), d_lo = at::empty_like(lo), d_hi = at::empty_like(hi);
    if (x.is_cuda()) {
#ifdef OCTET_CUDA
      pact_backward_cuda(x, g, lo, hi, dx, d_lo, d_hi);
#endif
    } else {
      const float clip_lo = lo.item<float>(), clip_hi = hi.item<float>();
      const Runs runs(QuantLayout{}, x.numel());
      std::vector<PactSums> sums(static_cast<size_t>(runs.count()));
      for_each_run(runs, [&](int64_t r, const Run& run) {
        sums[static_cast<size_t>(r)] =
            fake_quant_loops().clipped_backward(x.data_ptr<float>() + run.offset, g.data_ptr<float>() + run.offset,
                                                dx.data_ptr<float>() + run.offset, run.length, clip_lo, clip_hi);
      });
      PactSums total;
      for (const PactSums& s : sums) total.lo += s.lo, total.hi += s.hi;
      d_lo.fill_(total.lo);
      d_hi.fill_(total.hi);
    }
    return {dx, d_lo, d_hi, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

class StraightThrough : public torch::autograd::Function<StraightThrough> {
 public:
  static at::Tensor forward(AutogradContext*, const at::Tensor& /*source*/, const at::Tensor& value) {
    return value.clone();
  }
  static variable_list backward(AutogradContext*, const variable_list& grads) { return {grads[0], at::Tensor()}; }
};

}  // namespace

at::Tensor fake_quantize(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero_point,
                         const QuantizerSpec& spec) {
  check_scales(x, scale, zero_point, spec);
  // LibTorch 1.13 takes no undefined tensors here.
  const at::Tensor zeros =
      zero_point.defined() ? zero_point : at::zeros(scale.sizes(), scale.options().dtype(at::kInt));
  return FakeQuantize::apply(x.to(at::kFloat), scale, zeros, packed(spec)).to(x.scalar_type());
}

at::Tensor pact_quantize(const at::Tensor& x, const at::Tensor& lo, const at::Tensor& hi, const QuantParams& params) {
  TORCH_CHECK(params.per_tensor() && params.scale.size() == 1, "PACT has one range per tensor");
  const QuantizerSpec spec{params.dtype, -1, 0, params.narrow_range};
  return PactQuantize::apply(x.to(at::kFloat), lo, hi, static_cast<double>(params.scale[0]),
                             static_cast<int64_t>(params.zero_point_at(0)), packed(spec))
      .to(x.scalar_type());
}

at::Tensor straight_through(const at::Tensor& source, const at::Tensor& value) {
  return StraightThrough::apply(source, value.detach());
}

}  // namespace octet::training
