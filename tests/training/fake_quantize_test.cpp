// Fake quantization: values are arith's bit for bit, gradients those of loops in float64 written out here.
#include "training/fake_quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "arith/choose_params.h"
#include "arith/isa.h"
#include "arith/quantize.h"
#include "support/random_graph.h"
#include "training/module.h"

namespace octet::training {
namespace {

using octet::test::Random;

constexpr DType kTypes[] = {DType::kInt8,  DType::kUint8,  DType::kInt4,       DType::kUint4,
                            DType::kInt16, DType::kUint16, DType::kFloat8E4M3, DType::kFloat8E5M2};

// Random values, both ends of the codes and beyond, halves (ties), tiny numbers, infinities and NaN.
std::vector<float> samples(Random& random, int64_t n, float scale, DType dtype) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const auto most = static_cast<float>(highest_code(dtype));
  std::vector<float> x;
  for (float t : {0.0f, -0.0f, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, most, most + 0.5f, most - 0.5f, -most, -most - 0.5f,
                  -most - 1.0f, -most - 1.5f, most * 3, -most * 3})
    x.push_back(t * scale);
  for (float v : {kInf, -kInf, std::nanf(""), -std::nanf(""), 1e-30f, -1e-42f, 3e38f, 0x1p-25f}) x.push_back(v);
  while (static_cast<int64_t>(x.size()) < n)
    x.push_back(static_cast<float>(random.real(-1.4, 1.4)) * scale *
                (random.chance(0.5) ? most : std::min(most, 6.0f)));
  x.resize(static_cast<size_t>(n));
  return x;
}

struct Case {
  Tensor x;
  QuantParams p;
};

Case make_case(Random& random, DType dtype, const Dims& dims, int axis, int64_t block, bool affine) {
  Case c;
  c.p.dtype = dtype;
  c.p.axis = axis;
  c.p.block_size = block;
  c.p.narrow_range = dtype == DType::kInt8 && random.chance(0.3);
  const QuantLayout layout = quant_layout(dims, axis, block).value();
  const CodeRange codes = code_range(dtype, c.p.narrow_range);
  for (int64_t s = 0; s < layout.scale_count; ++s) {
    c.p.scale.push_back(static_cast<float>(random.real(0.001, 0.1)));
    if (affine && dtype_is_integer(dtype))
      c.p.zero_point.push_back(static_cast<int32_t>(random.integer(codes.lo, codes.hi)));
  }
  const int64_t n = checked_numel(dims).value();
  c.x = Tensor::from<float>(dims, samples(random, n, c.p.scale[0], dtype));
  return c;
}

std::vector<Case> all_cases() {
  Random random(5);
  std::vector<Case> cases;
  for (DType dtype : kTypes)
    for (bool affine : {false, true}) {
      cases.push_back(make_case(random, dtype, {40000}, -1, 0, affine));
      cases.push_back(make_case(random, dtype, {3, 5, 7, 2}, -1, 0, affine));
      cases.push_back(make_case(random, dtype, {6, 5, 3, 3}, 0, 0, affine));
      cases.push_back(make_case(random, dtype, {6, 5, 3, 3}, 1, 0, affine));
      cases.push_back(make_case(random, dtype, {9, 7}, 1, 0, affine));
      cases.push_back(make_case(random, dtype, {300, 40}, 1, 0, affine));
      cases.push_back(make_case(random, dtype, {5, 70}, 1, 32, affine));
      cases.push_back(make_case(random, dtype, {70, 5}, 0, 32, affine));
    }
  return cases;
}

struct Torched {
  at::Tensor x, scale, zero_point;
  QuantizerSpec spec;
};

Torched torched(const Case& c, bool learn) {
  Torched t;
  t.x = to_torch(c.x).value().set_requires_grad(true);
  t.scale = at::tensor(at::ArrayRef<float>(c.p.scale)).set_requires_grad(learn);
  if (!c.p.zero_point.empty())
    t.zero_point = at::tensor(at::ArrayRef<int32_t>(c.p.zero_point), at::TensorOptions(at::kInt));
  t.spec = {c.p.dtype, c.p.axis, c.p.block_size, c.p.narrow_range};
  return t;
}

std::string name_of(const Case& c) {
  return std::string(dtype_name(c.p.dtype)) + " " + dims_to_string(c.x.dims()) + " axis " + std::to_string(c.p.axis) +
         " block " + std::to_string(c.p.block_size) + (c.p.zero_point.empty() ? "" : " affine");
}

TEST(FakeQuantize, ValuesAreThoseOfArithBitForBit) {
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(name_of(c));
    const Torched t = torched(c, false);
    const Tensor actual = from_torch(fake_quantize(t.x, t.scale, t.zero_point, t.spec)).value();
    EXPECT_TRUE(same_bits(actual, octet::fake_quantize(c.x, c.p).value()));
  }
}

// A Relu taken along is a Relu in front: values and all gradients, also at 0 and beyond the range.
TEST(FakeQuantize, ReluInTheSamePassIsReluBefore) {
  for (DType dtype : {DType::kInt8, DType::kUint8, DType::kInt4, DType::kInt16}) {
    for (int32_t zero : {0, 3}) {
      const float step = dtype == DType::kInt16 ? 1e-4f : 0.05f;
      at::Tensor x = at::randn({4001}) * 3;
      x.slice(0, 0, 6).copy_(at::tensor({0.0f, -0.0f, 1e-40f, -1e-40f, step / 2, 1e30f}));
      const at::Tensor g = at::randn({4001});
      const at::Tensor zeros = at::full({1}, zero, at::kInt);
      std::vector<std::vector<at::Tensor>> all;
      for (bool together : {false, true}) {
        const QuantizerSpec spec{dtype, -1, 0, false, together};
        at::Tensor leaf = x.clone().set_requires_grad(true);
        at::Tensor scale = at::tensor({step}).set_requires_grad(true);
        const at::Tensor y = fake_quantize(together ? leaf : at::relu(leaf), scale, zeros, spec);
        y.backward(g);
        all.push_back({y.detach(), leaf.grad(), scale.grad()});
      }
      EXPECT_TRUE(at::equal(all[0][0], all[1][0]));
      EXPECT_TRUE(at::equal(all[0][1], all[1][1]));
      EXPECT_TRUE(at::allclose(all[0][2], all[1][2], 1e-5));
    }
  }
}

TEST(FakeQuantize, ARangeThatIsNoneGivesZeros) {
  for (float amax : {0.0f, 0x1p-25f, 1e-40f}) {
    const ScaleZero p = symmetric_params(amax, DType::kInt8);
    const at::Tensor x = at::tensor({amax, -amax, 0x1p-26f, 0.4f});
    const at::Tensor y = fake_quantize(x, at::tensor({p.scale}), {}, {DType::kInt8});
    EXPECT_EQ(at::count_nonzero(y).item<int64_t>(), 0);
  }
}

// Any order of elements in memory gives the same values in the same places.
TEST(FakeQuantize, MemoryOrderDoesNotMatter) {
  const at::Tensor x = at::randn({4, 3, 5, 6});
  for (int axis : {-1, 0, 1}) {
    const int64_t count = axis < 0 ? 1 : x.size(axis);
    const at::Tensor scale = at::rand({count}) * 0.1 + 0.01;
    const QuantizerSpec spec{DType::kInt8, axis};
    const at::Tensor expected = fake_quantize(x, scale, {}, spec);
    for (const at::Tensor& form :
         {x.contiguous(at::MemoryFormat::ChannelsLast), x.transpose(2, 3).contiguous().transpose(2, 3),
          at::cat({x, x}, 3).narrow(3, 0, 6)}) {
      at::Tensor leaf = form.detach().set_requires_grad(true);
      at::Tensor plain = x.detach().clone().set_requires_grad(true);
      const at::Tensor y = fake_quantize(leaf, scale, {}, spec), g = at::randn({4, 3, 5, 6});
      EXPECT_TRUE(at::equal(y, expected));
      y.backward(g);
      fake_quantize(plain, scale, {}, spec).backward(g);
      EXPECT_TRUE(at::equal(leaf.grad(), plain.grad()));
    }
  }
}

struct Reference {
  std::vector<double> dx, d_scale;
};

// ALGORITHMS: d x = g inside the representable interval; d step = g * (q - x / step) inside, g * (end - zero point)
// outside, times 1 / sqrt(numel * q_max). x / step is the float quotient that decides about inside and outside.
Reference reference(const Case& c, const std::vector<float>& g) {
  const QuantLayout layout = quant_layout(c.x.dims(), c.p.axis, c.p.block_size).value();
  const CodeRange codes = code_range(c.p.dtype, c.p.narrow_range);
  Reference r;
  r.d_scale.assign(c.p.scale.size(), 0.0);
  const bool fp8 = dtype_is_float(c.p.dtype);
  for (int64_t i = 0; i < c.x.numel(); ++i) {
    const auto s = static_cast<size_t>(layout.scale_index(i));
    const float t = c.x.data<float>()[i] / c.p.scale[s];
    const int32_t zero = c.p.zero_point_at(s);
    const double lo = fp8 ? -highest_code(c.p.dtype) : codes.lo - zero;
    const double hi = fp8 ? highest_code(c.p.dtype) : codes.hi - zero;
    const auto grad = static_cast<double>(g[static_cast<size_t>(i)]);
    const bool inside = t >= lo && t <= hi;
    r.dx.push_back(inside ? grad : 0.0);
    double slope = 0;
    if (inside && fp8) slope = static_cast<double>(fake_quantize_value_fp8(t, 1.0f, c.p.dtype)) - t;
    else if (inside) slope = std::nearbyint(static_cast<double>(t)) - t;
    else if (t > hi) slope = hi;
    else if (t < lo || !fp8) slope = lo;  // NaN takes the lowest integer code
    r.d_scale[s] += grad * slope;
  }
  const double per_scale = static_cast<double>(c.x.numel()) / static_cast<double>(c.p.scale.size());
  for (double& d : r.d_scale) d /= std::sqrt(per_scale * highest_code(c.p.dtype));
  return r;
}

TEST(FakeQuantize, GradientsAreThoseOfPlainLoops) {
  Random random(6);
  for (Isa isa : runnable_isas()) {
    set_isa_limit_for_testing(isa);
    for (const Case& c : all_cases()) {
      SCOPED_TRACE(std::string(isa_name(isa)) + " " + name_of(c));
      std::vector<float> g(static_cast<size_t>(c.x.numel()));
      for (float& v : g) v = static_cast<float>(random.real(-1, 1));
      const at::Tensor grad = at::tensor(at::ArrayRef<float>(g)).reshape(c.x.dims());
      const Reference r = reference(c, g);
      for (bool learn : {false, true}) {
        const Torched t = torched(c, learn);
        fake_quantize(t.x, t.scale, t.zero_point, t.spec).backward(grad);
        const at::Tensor gradient = t.x.grad().contiguous();
        const float* dx = gradient.data_ptr<float>();
        int64_t wrong = 0;
        for (int64_t i = 0; i < gradient.numel(); ++i)
          wrong += dx[i] != static_cast<float>(r.dx[static_cast<size_t>(i)]) ? 1 : 0;
        EXPECT_EQ(wrong, 0);
        if (!learn) continue;
        double largest = 0;
        for (double d : r.d_scale) largest = std::max(largest, std::abs(d));
        for (size_t s = 0; s < r.d_scale.size(); ++s)
          EXPECT_NEAR(t.scale.grad()[static_cast<int64_t>(s)].item<double>(), r.d_scale[s], 1e-5 * (1 + largest));
      }
    }
  }
  set_isa_limit_for_testing(Isa::kAvx512);
}

// The same bits for any number of threads.
TEST(FakeQuantize, GradientsDoNotDependOnThreads) {
  const int before = at::get_num_threads();
  const at::Tensor x = at::randn({512, 512}), g = at::randn({512, 512});
  for (int axis : {-1, 0, 1}) {
    std::vector<at::Tensor> results;
    for (int threads : {1, 2, 3}) {
      at::set_num_threads(threads);
      at::Tensor scale = at::full({axis < 0 ? 1 : 512}, 0.02f).set_requires_grad(true);
      fake_quantize(x, scale, {}, {DType::kInt8, axis}).backward(g);
      results.push_back(scale.grad());
    }
    at::set_num_threads(before);
    EXPECT_TRUE(at::equal(results[0], results[1]));
    EXPECT_TRUE(at::equal(results[0], results[2]));
  }
}

TEST(Pact, ValuesAndGradientsAreThoseOfTheFormula) {
  Random random(8);
  for (DType dtype : {DType::kInt8, DType::kInt4, DType::kInt16, DType::kFloat8E4M3}) {
    const float lo = -0.7f, hi = 1.3f;
    const ScaleZero p = symmetric_params(std::max(-lo, hi), dtype);
    std::vector<float> values = {lo, hi, 0.0f, -0.69999f, 1.29999f, 5.0f, -5.0f};
    while (values.size() < 20000) values.push_back(static_cast<float>(random.real(-2, 2)));
    std::vector<float> g;
    for (size_t i = 0; i < values.size(); ++i) g.push_back(static_cast<float>(random.real(-1, 1)));
    at::Tensor x = at::tensor(at::ArrayRef<float>(values)).set_requires_grad(true);
    at::Tensor l = at::scalar_tensor(lo, at::kFloat).set_requires_grad(true);
    at::Tensor h = at::scalar_tensor(hi, at::kFloat).set_requires_grad(true);
    QuantParams params;
    params.dtype = dtype;
    params.scale = {p.scale};
    const at::Tensor y = pact_quantize(x, l, h, params);
    y.backward(at::tensor(at::ArrayRef<float>(g)));
    double d_lo = 0, d_hi = 0;
    std::vector<float> clipped;
    for (size_t i = 0; i < values.size(); ++i) {
      const float v = values[i];
      clipped.push_back(std::min(std::max(v, lo), hi));
      d_lo += v <= lo ? static_cast<double>(g[i]) : 0.0;
      d_hi += v >= hi ? static_cast<double>(g[i]) : 0.0;
      EXPECT_EQ(x.grad().data_ptr<float>()[i], v > lo && v < hi ? g[i] : 0.0f) << v;
    }
    const Tensor expected =
        octet::fake_quantize(Tensor::from<float>({static_cast<int64_t>(clipped.size())}, clipped), params).value();
    EXPECT_TRUE(same_bits(from_torch(y).value(), expected));
    EXPECT_NEAR(l.grad().item<double>(), d_lo, 1e-3);
    EXPECT_NEAR(h.grad().item<double>(), d_hi, 1e-3);
  }
}

TEST(FakeQuantize, WrongShapesAreRefused) {
  const at::Tensor x = at::randn({4, 3});
  EXPECT_THROW(fake_quantize(x, at::ones({2}), {}, {DType::kInt8, 0}), c10::Error);
  EXPECT_THROW(fake_quantize(x, at::ones({4}), {}, {DType::kInt8, 2}), c10::Error);
  EXPECT_THROW(fake_quantize(x, at::ones({4}), at::zeros({3}, at::kInt), {DType::kInt8, 0}), c10::Error);
}

}  // namespace
}  // namespace octet::training
