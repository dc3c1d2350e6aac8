// A quantized sum against the single functions it stands for, on the CPU and, where there is one, on a GPU.
#include "training/quantized_sum.h"

#include <gtest/gtest.h>


namespace octet::training {
namespace {

std::vector<at::Device> devices() {
  std::vector<at::Device> all = {at::kCPU};
  if (at::hasCUDA()) all.emplace_back(at::kCUDA, 0);
  return all;
}

struct Case {
  bool quantize_a, quantize_b, relu, learn;
  DType dtype;
  int32_t zero_point;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (bool a : {false, true})
    for (bool b : {false, true})
      for (bool relu : {false, true})
        for (bool learn : {false, true})
          for (const auto& [dtype, zero] : {std::pair{DType::kInt8, 0}, {DType::kUint8, 117}, {DType::kInt4, -2}})
            cases.push_back({a, b, relu, learn, dtype, zero});
  return cases;
}

SumQuantizer quantizer(const Case& c, float scale, at::Device device, bool relu) {
  SumQuantizer q;
  q.scale = at::tensor({scale}).to(device).set_requires_grad(c.learn);
  q.zero_point = at::full({1}, c.zero_point, at::kInt).to(device);
  q.spec.dtype = c.dtype;
  q.spec.relu = relu;
  return q;
}

at::Tensor through(const SumQuantizer& q, const at::Tensor& x) {
  return q.is_there() ? fake_quantize(x, q.scale, q.zero_point, q.spec) : x;
}

// y and the gradients of a, b and the scales that are learned.
std::vector<at::Tensor> run(const Case& c, const at::Tensor& x0, const at::Tensor& x1, const at::Tensor& g,
                            at::Device device, bool together) {
  const at::Tensor a = x0.to(device).detach().set_requires_grad(true);
  const at::Tensor b = x1.to(device).detach().set_requires_grad(true);
  const SumQuantizer qa = c.quantize_a ? quantizer(c, 0.043f, device, false) : SumQuantizer();
  const SumQuantizer qb = c.quantize_b ? quantizer(c, 0.031f, device, false) : SumQuantizer();
  const SumQuantizer out = quantizer(c, 0.057f, device, c.relu);
  const at::Tensor y = together ? quantized_sum(a, qa, b, qb, out) : through(out, through(qa, a) + through(qb, b));
  y.backward(g.to(device));
  std::vector<at::Tensor> all = {y.detach().cpu(), a.grad().cpu(), b.grad().cpu()};
  for (const SumQuantizer* q : {&qa, &qb, &out})
    if (q->is_there() && c.learn) all.push_back(q->scale.grad().cpu());
  return all;
}

void expect_same(const std::vector<at::Tensor>& actual, const std::vector<at::Tensor>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(actual[i], expected[i])) << "tensor " << i;
  for (size_t i = 3; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i].item<double>(), expected[i].item<double>(),
                1e-4 * (1 + std::abs(expected[i].item<double>())));
}

TEST(QuantizedSum, IsTheSingleFunctionsOneAfterAnother) {
  at::manual_seed(3);
  const at::Tensor a = at::randn({3, 5, 40, 41}) * 3, b = at::randn({3, 5, 40, 41}) * 3,
                   g = at::randn({3, 5, 40, 41});
  for (at::Device device : devices())
    for (const Case& c : all_cases()) {
      SCOPED_TRACE(::testing::Message() << device << " a " << c.quantize_a << " b " << c.quantize_b << " relu "
                                        << c.relu << " learn " << c.learn << " " << dtype_name(c.dtype));
      expect_same(run(c, a, b, g, device, true), run(c, a, b, g, device, false));
    }
}

TEST(QuantizedSum, OperandsMayLieInDifferentOrders) {
  at::manual_seed(4);
  const at::Tensor a = at::randn({2, 8, 6, 7}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor b = at::randn({2, 8, 6, 7}), g = at::randn({2, 8, 7, 6}).transpose(2, 3);
  const Case c{true, false, true, true, DType::kUint8, 3};
  for (at::Device device : devices()) expect_same(run(c, a, b, g, device, true), run(c, a, b, g, device, false));
}

TEST(QuantizedSum, EmptyAndTiny) {
  const Case c{true, true, true, true, DType::kInt8, 0};
  for (at::Device device : devices())
    for (int64_t n : {0, 1, 2049}) {
      const at::Tensor a = at::randn({n}), b = at::randn({n}), g = at::randn({n});
      expect_same(run(c, a, b, g, device, true), run(c, a, b, g, device, false));
    }
}

TEST(QuantizedSum, RefusesWhatItCannotAdd) {
  const Case c{true, true, true, false, DType::kInt8, 0};
  const SumQuantizer q = quantizer(c, 0.1f, at::kCPU, false);
  EXPECT_THROW(quantized_sum(at::randn({2, 3}), q, at::randn({3}), q, q), c10::Error);
  EXPECT_THROW(quantized_sum(at::randn({2}), q, at::randn({2}), q, SumQuantizer()), c10::Error);
  SumQuantizer many = q;
  many.scale = at::ones({2});
  EXPECT_THROW(quantized_sum(at::randn({2}), many, at::randn({2}), q, q), c10::Error);
}

}  // namespace
}  // namespace octet::training
