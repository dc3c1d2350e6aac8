// The CUDA kernels against the CPU: the same bits forward and for d x, the same sums up to rounding. Skips without a
// GPU.
#include <gtest/gtest.h>

#include "training/fake_quantize.h"

namespace octet::training {
namespace {

bool has_gpu() { return at::hasCUDA(); }

struct Case {
  DType dtype;
  std::vector<int64_t> dims;
  int axis;
  int64_t block;
  bool relu = false;
};

const Case kCases[] = {
    {DType::kInt8, {1 << 20}, -1, 0},     {DType::kUint8, {3, 5, 7, 2}, -1, 0},
    {DType::kInt4, {64, 32, 3, 3}, 0, 0}, {DType::kInt8, {6, 5, 3, 3}, 1, 0},
    {DType::kInt16, {9, 700}, 1, 0},      {DType::kInt4, {5, 70}, 1, 32},
    {DType::kInt4, {70, 5}, 0, 32},       {DType::kFloat8E4M3, {100, 77}, 0, 0},
    {DType::kFloat8E5M2, {5000}, -1, 0},  {DType::kUint8, {70001}, -1, 0, true},
    {DType::kInt8, {4097}, -1, 0, true},
};

int64_t scale_count(const Case& c) {
  if (c.axis < 0) return 1;
  const int64_t along = c.dims[static_cast<size_t>(c.axis)];
  if (c.block == 0) return along;
  int64_t count = (along + c.block - 1) / c.block;
  for (size_t d = 0; d < c.dims.size(); ++d) count *= static_cast<int>(d) == c.axis ? 1 : c.dims[d];
  return count;
}

TEST(Cuda, KernelsAreTheCpus) {
  if (!has_gpu()) GTEST_SKIP() << "there is no GPU here, or LibTorch was built without CUDA";
  for (const Case& c : kCases) {
    const at::Tensor x = at::randn(c.dims) * 3, g = at::randn(c.dims);
    const at::Tensor scale = at::rand({scale_count(c)}) * 0.05 + 0.01;
    const at::Tensor zero = at::zeros({scale_count(c)}, at::kInt);
    const QuantizerSpec spec{c.dtype, c.axis, c.block, false, c.relu};
    for (bool learn : {false, true}) {
      std::vector<at::Tensor> ys, dxs, ds;
      for (at::Device device : {at::Device(at::kCPU), at::Device(at::kCUDA, 0)}) {
        at::Tensor leaf = x.to(device).detach().set_requires_grad(true);
        at::Tensor s = scale.to(device).detach().set_requires_grad(learn);
        const at::Tensor y = fake_quantize(leaf, s, zero.to(device), spec);
        y.backward(g.to(device));
        ys.push_back(y.detach().cpu());
        dxs.push_back(leaf.grad().cpu());
        if (learn) ds.push_back(s.grad().cpu());
      }
      EXPECT_TRUE(at::equal(ys[0], ys[1])) << dtype_name(c.dtype) << " axis " << c.axis << " block " << c.block;
      EXPECT_TRUE(at::equal(dxs[0], dxs[1])) << dtype_name(c.dtype) << " axis " << c.axis << " block " << c.block;
      if (learn) {
        EXPECT_TRUE(at::allclose(ds[0], ds[1], 1e-4, 1e-4 * ds[0].abs().max().item<double>()));
      }
    }
  }
}

TEST(Cuda, PactIsTheCpus) {
  if (!has_gpu()) GTEST_SKIP() << "there is no GPU here, or LibTorch was built without CUDA";
  const at::Tensor x = at::randn({100003}), g = at::randn({100003});
  QuantParams p;
  p.scale = {1.3f / 127};
  std::vector<std::vector<at::Tensor>> all;
  for (at::Device device : {at::Device(at::kCPU), at::Device(at::kCUDA, 0)}) {
    at::Tensor leaf = x.to(device).detach().set_requires_grad(true);
    at::Tensor lo = at::full({}, -0.7f).to(device).detach().set_requires_grad(true);
    at::Tensor hi = at::full({}, 1.3f).to(device).detach().set_requires_grad(true);
    const at::Tensor y = pact_quantize(leaf, lo, hi, p);
    y.backward(g.to(device));
    all.push_back({y.detach().cpu(), leaf.grad().cpu(), lo.grad().cpu(), hi.grad().cpu()});
  }
  EXPECT_TRUE(at::equal(all[0][0], all[1][0]));
  EXPECT_TRUE(at::equal(all[0][1], all[1][1]));
  EXPECT_TRUE(at::allclose(all[0][2], all[1][2], 1e-4, 1e-3));
  EXPECT_TRUE(at::allclose(all[0][3], all[1][3], 1e-4, 1e-3));
}

}  // namespace
}  // namespace octet::training
