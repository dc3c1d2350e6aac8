// Every INT8 convolution kernel that this CPU can run against the reference, and the reference against plain
// arithmetic.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "cpu/conv_cases.h"
#include "kernels/cpu/features.h"

namespace octet::cpu {
namespace {

bool runs_here(const ConvKernel& kernel) { return (kernel.features() & ~cpu_features()) == 0; }

// Compares all kernels with the reference and counts, by name, how often each ran.
void check_case(const ConvCase& c, std::map<std::string, int>& runs) {
  const ConvKernel& reference = *find_conv_kernel("reference");
  const std::vector<uint8_t> expected = run_case(reference, c, 1, false);
  for (const ConvKernel* kernel : conv_kernels()) {
    if (kernel == &reference || !runs_here(*kernel) || !kernel->reject(c.problem, c.weights.data()).empty()) continue;
    for (int threads : {1, 3, 16}) {
      const std::vector<uint8_t> got = run_case(*kernel, c, threads, threads == 3);
      ASSERT_EQ(expected.size(), got.size());
      const auto differs = std::mismatch(expected.begin(), expected.end(), got.begin()).first - expected.begin();
      ASSERT_TRUE(expected == got) << kernel->name() << " with " << threads << " threads differs at byte " << differs
                                   << ": " << describe(c);
    }
    ++runs[std::string(kernel->name())];
  }
}

// A test of kernels that all refuse would pass unseen.
void expect_all_ran(const std::map<std::string, int>& runs, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const ConvKernel* kernel = find_conv_kernel(name);
    if (kernel == nullptr || !runs_here(*kernel)) continue;
    EXPECT_TRUE(runs.count(name) != 0) << name << " never ran";
  }
}

TEST(ConvKernels, RandomGeometryAndStoreEqualReference) {
  Rng rng(1);
  std::map<std::string, int> runs;
  for (int i = 0; i < 400; ++i) {
    ConvCase c;
    random_case_of(rng, random_geometry(rng), static_cast<Values>(i % 4), c);
    ASSERT_NO_FATAL_FAILURE(check_case(c, runs)) << "case " << i;
  }
  expect_all_ran(runs, {"vnni", "avx2-winograd", "avx2-quads", "avx2-pairs", "avx2-words"});
}

// Shapes of real networks, shrunk where only the number of pixels would be large.
TEST(ConvKernels, NetworkLayersEqualReference) {
  struct Shape {
    int64_t ic, size, oc, kernel, stride, pad;
  };
  const Shape shapes[] = {{4, 37, 64, 7, 2, 3},   {3, 33, 32, 3, 2, 1},   {64, 14, 64, 3, 1, 1},
                          {64, 15, 128, 3, 2, 1}, {256, 7, 64, 1, 1, 0},  {128, 14, 256, 1, 2, 0},
                          {512, 7, 64, 3, 1, 1},  {24, 14, 144, 1, 1, 0}, {2048, 1, 100, 1, 1, 0},
                          {160, 7, 960, 1, 1, 0}, {16, 20, 255, 1, 1, 0}, {48, 13, 48, 3, 1, 1},
                          {20, 9, 33, 3, 1, 1},   {17, 12, 5, 3, 1, 0},   {64, 1, 16, 3, 1, 1}};
  Rng rng(2);
  std::map<std::string, int> runs;
  for (const Shape& s : shapes) {
    ConvGeometry g;
    g.ih = g.iw = s.size;
    g.ic = s.ic, g.oc = s.oc;
    g.kh = g.kw = s.kernel;
    g.stride_h = g.stride_w = s.stride;
    g.pad_top = g.pad_left = s.pad;
    ASSERT_TRUE(finish_geometry(g, s.pad, s.pad));
    for (Values values : {Values::kRandom, Values::kExtreme, Values::kSmall, Values::kLimits}) {
      ConvCase c;
      random_case_of(rng, g, values, c);
      ASSERT_NO_FATAL_FAILURE(check_case(c, runs));
    }
  }
  expect_all_ran(runs, {"vnni", "avx2-winograd", "avx2-quads", "avx2-pairs", "avx2-words"});
}

// Several bands per image: wide rows, and inputs larger than a band.
TEST(ConvKernels, LargeImagesEqualReference) {
  Rng rng(3);
  std::map<std::string, int> runs;
  for (int i = 0; i < 6; ++i) {
    ConvGeometry g;
    g.ih = i % 2 == 0 ? 70 : 3, g.iw = i % 2 == 0 ? 90 : 5000;
    g.ic = i % 2 == 0 ? 64 : 5, g.oc = 9;
    g.kh = g.kw = i < 4 ? 3 : 1;
    g.stride_h = g.stride_w = 1 + i / 2 % 2;
    g.pad_top = g.pad_left = i < 4 ? 1 : 0;
    ASSERT_TRUE(finish_geometry(g, g.pad_top, g.pad_left));
    ConvCase c;
    random_case_of(rng, g, Values::kSmall, c);
    ASSERT_NO_FATAL_FAILURE(check_case(c, runs));
  }
  expect_all_ran(runs, {"vnni", "avx2-winograd", "avx2-quads", "avx2-pairs", "avx2-words"});
}

// An element-wise addition may write over its own operand.
TEST(ConvKernels, ResidualMayBeTheDestination) {
  Rng rng(4);
  ConvGeometry g;
  g.ih = g.iw = g.oh = g.ow = 9;
  g.ic = 32, g.oc = 48;
  for (Residual residual : {Residual::kBeforeFirst, Residual::kAfterFirst}) {
    ConvCase c;
    c.problem.geometry = g;
    random_operands(rng, Values::kSmall, c);
    c.dst_stride = g.oc;
    random_store(rng, c);
    c.store.to_float = false;
    c.store.residual = residual;
    c.store.residual_zero = 3, c.store.residual_scale = 0.8f, c.store.self_scale = 1.1f;
    c.residual_stride = g.oc;
    c.residual.assign(static_cast<size_t>(c.dst_pixels() * g.oc + kReadSlack), 0);
    for (uint8_t& code : c.residual) code = static_cast<uint8_t>(rng());
    const std::vector<uint8_t> expected = run_case(*find_conv_kernel("reference"), c, 1, false);
    for (const ConvKernel* kernel : conv_kernels()) {
      if (!runs_here(*kernel) || !kernel->reject(c.problem, c.weights.data()).empty()) continue;
      AlignedBytes packed(kernel->packed_bytes(c.problem)), scratch(kernel->scratch_bytes(c.problem));
      kernel->pack(c.problem, c.weights.data(), c.bias.empty() ? nullptr : c.bias.data(), packed.data());
      std::vector<uint8_t> both = c.residual;
      const ConvCall call{&c.problem,   packed.data(), c.store, 1,           c.src.data(),
                          c.src_stride, both.data(),   g.oc,    both.data(), c.residual_stride};
      const int64_t tasks = kernel->tasks(c.problem, 1, 4);
      for (int64_t t = 0; t < tasks; ++t) kernel->run(call, t, tasks, scratch.data());
      ASSERT_EQ(0, std::memcmp(both.data(), expected.data(), static_cast<size_t>(c.dst_pixels() * g.oc)))
          << kernel->name();
    }
  }
}

// The linear form with exact sums in double: code = round_half_even(sum * multiplier) + zero, clamped.
TEST(ReferenceConv, EqualsPlainArithmetic) {
  Rng rng(5);
  for (int i = 0; i < 60; ++i) {
    ConvCase c;
    random_case_of(rng, random_geometry(rng), static_cast<Values>(i % 3), c);
    c.store = Store{.multiplier = c.multiplier.data(), .first = random_grid(rng)};
    const ConvGeometry& g = c.problem.geometry;
    const std::vector<uint8_t> got = run_case(*find_conv_kernel("reference"), c, 1, false);
    const int64_t gic = g.ic / g.groups;
    for (int64_t p = 0; p < c.dst_pixels(); ++p) {
      const int64_t n = p / (g.oh * g.ow), oy = p / g.ow % g.oh, ox = p % g.ow;
      for (int64_t oc = 0; oc < g.oc; ++oc) {
        double sum = c.bias.empty() ? 0 : c.bias[static_cast<size_t>(oc)];
        for (int64_t k = 0; k < gic * g.kh * g.kw; ++k) {
          const int64_t channel = k / (g.kh * g.kw) + oc / (g.oc / g.groups) * gic;
          const int64_t y = oy * g.stride_h - g.pad_top + k / g.kw % g.kh * g.dilation_h;
          const int64_t x = ox * g.stride_w - g.pad_left + k % g.kw * g.dilation_w;
          if (y < 0 || y >= g.ih || x < 0 || x >= g.iw) continue;  // padding is the real zero
          const uint8_t code = c.src[static_cast<size_t>(((n * g.ih + y) * g.iw + x) * c.src_stride + channel)];
          sum += (code - c.problem.src_zero) * double{1} * c.weights[static_cast<size_t>(oc * gic * g.kh * g.kw + k)];
        }
        const float v = static_cast<float>(sum) * c.multiplier[static_cast<size_t>(oc)];
        const double code = std::nearbyint(double{v}) + c.store.first.zero;
        const double clamped = std::min<double>(c.store.first.hi, std::max<double>(c.store.first.lo, code));
        ASSERT_EQ(clamped, got[static_cast<size_t>(p * c.dst_stride + oc)]) << describe(c);
      }
    }
  }
}

TEST(ConvKernels, PairsAreRefusedExactlyWhenTheyCouldSaturate) {
  const ConvKernel* pairs = find_conv_kernel("avx2-pairs");
  if (pairs == nullptr) GTEST_SKIP() << "Built without x86 kernels.";
  ConvProblem problem;
  problem.geometry.ic = 4;
  problem.geometry.oc = 2;
  problem.src_hi = 255;
  std::vector<int8_t> weights = {64, 64, 0, 0, -64, -64, 127, -128};  // 255 * 128 = 32640, and -32640
  EXPECT_EQ(pairs->reject(problem, weights.data()), "");
  weights[1] = 65;  // 32895
  EXPECT_NE(pairs->reject(problem, weights.data()).find("1 pairs"), std::string::npos);
  problem.src_hi = 127;
  EXPECT_EQ(pairs->reject(problem, weights.data()), "");
  weights = {-128, -128, 127, 127, -128, -128, 0, 0};  // 127 * 256 = 32512
  EXPECT_EQ(pairs->reject(problem, weights.data()), "");
  problem.src_zero = 200;  // padding carries this code
  EXPECT_NE(pairs->reject(problem, weights.data()).find("3 pairs"), std::string::npos);
}

// The marks of fragile weights come from files: wrong ones may cost time and digits, never leave the buffers.
TEST(ConvKernels, DamagedMarksOfQuadsStayInside) {
  const ConvKernel* quads = find_conv_kernel("avx2-quads");
  if (quads == nullptr || !runs_here(*quads)) GTEST_SKIP() << "Needs AVX2.";
  Rng rng(6);
  for (int64_t channels : {4, 12, 20, 100, 132, 260}) {
    for (int64_t kernel : {1, 3}) {
      ConvCase c;
      ConvGeometry& g = c.problem.geometry;
      g.ih = g.iw = 5, g.ic = channels, g.oc = 20;
      g.kh = g.kw = kernel;
      ASSERT_TRUE(finish_geometry(g, 0, 0));
      random_operands(rng, Values::kExtreme, c);
      c.problem.src_hi = 255, c.problem.src_zero = 0;
      c.dst_stride = g.oc;
      random_store(rng, c);
      c.store = Store{.multiplier = c.multiplier.data(), .first = random_grid(rng)};
      const size_t packed_bytes = quads->packed_bytes(c.problem);
      AlignedBytes packed(packed_bytes), scratch(quads->scratch_bytes(c.problem));
      quads->pack(c.problem, c.weights.data(), nullptr, packed.data());
      // Of two panels, for each filter tap and 128 channels four words; they lie last.
      const auto marks = static_cast<size_t>(2 * kernel * kernel * ((channels + 127) / 128) * 16);
      ASSERT_LT(marks, packed_bytes);
      std::memset(packed.data() + packed_bytes - (marks + 63) / 64 * 64, 0xff, marks);
      std::vector<uint8_t> dst(static_cast<size_t>(c.dst_pixels() * g.oc));
      const ConvCall call{&c.problem, packed.data(), c.store, 1, c.src.data(), c.src_stride, dst.data(), g.oc};
      const int64_t tasks = quads->tasks(c.problem, 1, 2);
      for (int64_t t = 0; t < tasks; ++t) quads->run(call, t, tasks, scratch.data());
    }
  }
}

TEST(ConvKernels, NamesAreUniqueAndTheReferenceIsLast) {
  std::map<std::string_view, int> names;
  for (const ConvKernel* kernel : conv_kernels()) {
    EXPECT_EQ(++names[kernel->name()], 1);
    EXPECT_EQ(find_conv_kernel(kernel->name()), kernel);
  }
  EXPECT_EQ(conv_kernels().back()->name(), "reference");
  EXPECT_EQ(find_conv_kernel("no such kernel"), nullptr);
}

TEST(Features, LimitLowersAndLiftsAgain) {
  const uint32_t all = cpu_features();
  limit_cpu_features_for_testing(kAvx2);
  EXPECT_EQ(cpu_features(), all & kAvx2);
  limit_cpu_features_for_testing(0);
  EXPECT_EQ(features_to_string(cpu_features()), "base");
  limit_cpu_features_for_testing(~0u);
  EXPECT_EQ(cpu_features(), all);
  EXPECT_EQ(features_to_string(kAvx2 | kAmxInt8), "AVX2, AMX");
}

}  // namespace
}  // namespace octet::cpu
