// The depthwise kernels against the reference.
#include <gtest/gtest.h>

#include <map>

#include "cpu/conv_cases.h"
#include "kernels/cpu/features.h"

namespace octet::cpu {
namespace {

const char* const kKernels[] = {"depthwise-vnni", "depthwise-avx2"};

bool runs_here(const ConvKernel* kernel) { return kernel != nullptr && (kernel->features() & ~cpu_features()) == 0; }

class Depthwise : public testing::Test {
 protected:
  void SetUp() override {
    if (!runs_here(find_conv_kernel("depthwise-avx2"))) GTEST_SKIP() << "This CPU has no AVX2.";
  }

  static void check(const ConvCase& c) {
    const std::vector<uint8_t> expected = run_case(*find_conv_kernel("reference"), c, 1, false);
    for (const char* name : kKernels) {
      const ConvKernel* kernel = find_conv_kernel(name);
      if (!runs_here(kernel)) continue;
      ASSERT_EQ(kernel->reject(c.problem, c.weights.data()), "") << describe(c);
      for (int threads : {1, 5}) {
        const std::vector<uint8_t> got = run_case(*kernel, c, threads, threads == 5);
        const auto differs = std::mismatch(expected.begin(), expected.end(), got.begin()).first - expected.begin();
        ASSERT_TRUE(expected == got) << name << ", " << threads << " threads, differs at byte " << differs << ": "
                                     << describe(c);
      }
    }
  }
};

ConvGeometry geometry_of(int64_t channels, int64_t ih, int64_t iw, int64_t kernel, int64_t stride, int64_t pad) {
  ConvGeometry g;
  g.groups = g.ic = g.oc = channels;
  g.ih = ih, g.iw = iw;
  g.kh = g.kw = kernel;
  g.stride_h = g.stride_w = stride;
  g.pad_top = g.pad_left = pad;
  return g;
}

ConvGeometry random_depthwise(Rng& rng) {
  for (;;) {
    const int64_t widths[] = {1, 8, 15, 16, 17, 24, 32, 40, 48, 63, 64, 65, 80, 96, 112, 130, 144};
    ConvGeometry g = geometry_of(widths[pick(rng, 0, 16)], pick(rng, 1, 20), pick(rng, 1, 40), 1, 1, 0);
    g.kh = pick(rng, 1, 7), g.kw = pick(rng, 1, 7);
    g.stride_h = pick(rng, 1, 3), g.stride_w = pick(rng, 1, 3);
    if (pick(rng, 0, 3) == 0) g.dilation_h = pick(rng, 1, 3), g.dilation_w = pick(rng, 1, 4);
    g.pad_top = pick(rng, 0, g.kh), g.pad_left = pick(rng, 0, g.kw);
    if (finish_geometry(g, pick(rng, 0, g.kh), pick(rng, 0, g.kw))) return g;
  }
}

TEST_F(Depthwise, RandomGeometryAndStore) {
  Rng rng(11);
  for (int i = 0; i < 500; ++i) {
    ConvCase c;
    random_case_of(rng, random_depthwise(rng), static_cast<Values>(i % 3), c);
    if (i % 2 == 0) {  // what networks mostly ask for, and what is stored from registers
      c.store.addend = nullptr;
      c.store.curve = Curve::kNone;
      c.store.residual = Residual::kNone;
      c.store.to_float = false;
    }
    ASSERT_NO_FATAL_FAILURE(check(c)) << "case " << i;
  }
}

TEST_F(Depthwise, LayersOfNetworks) {
  struct Layer {
    int64_t channels, size, kernel, stride;
  };
  const Layer layers[] = {{32, 112, 3, 1}, {96, 30, 3, 2}, {144, 28, 3, 1}, {144, 29, 3, 2}, {192, 14, 3, 1},
                          {960, 7, 3, 1},  {72, 28, 5, 2}, {120, 14, 5, 1}, {96, 12, 7, 1},  {576, 14, 3, 2}};
  Rng rng(12);
  for (const Layer& layer : layers) {
    ConvGeometry g =
        geometry_of(layer.channels, layer.size, layer.size, layer.kernel, layer.stride, layer.kernel / 2);
    ASSERT_TRUE(finish_geometry(g, layer.kernel / 2, layer.kernel / 2));
    for (Values values : {Values::kRandom, Values::kExtreme}) {
      ConvCase c;
      random_case_of(rng, g, values, c);
      ASSERT_NO_FATAL_FAILURE(check(c));
    }
  }
}

// Rows wider than the scratch: chunks that meet in the middle of an image.
TEST_F(Depthwise, LongRows) {
  Rng rng(13);
  for (int64_t stride : {1, 2}) {
    for (int64_t channels : {16, 32, 72}) {
      ConvGeometry g = geometry_of(channels, 6, 401, 5, stride, 2);
      ASSERT_TRUE(finish_geometry(g, 2, 2));
      ConvCase c;
      random_case_of(rng, g, Values::kRandom, c);
      ASSERT_NO_FATAL_FAILURE(check(c));
    }
  }
}

TEST_F(Depthwise, RefusesWithAReason) {
  for (const char* name : kKernels) {
    const ConvKernel* kernel = find_conv_kernel(name);
    ASSERT_NE(kernel, nullptr);
    ConvProblem problem;
    problem.geometry = geometry_of(32, 8, 8, 3, 1, 1);
    EXPECT_EQ(kernel->reject(problem, nullptr), "");
    problem.geometry.oc = 64;
    EXPECT_NE(kernel->reject(problem, nullptr), "");
    problem.geometry = geometry_of(32, 80, 80, 61, 1, 1);
    EXPECT_NE(kernel->reject(problem, nullptr), "");
  }
}

}  // namespace
}  // namespace octet::cpu
