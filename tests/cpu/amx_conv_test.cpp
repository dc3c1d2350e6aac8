// The AMX convolution against the reference, bit for bit: where tiles end, how the copy is laid out, every form of
// the store between tiles, and the split into tasks.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "cpu/conv_cases.h"
#include "kernels/cpu/features.h"

namespace octet::cpu {
namespace {

constexpr int kAllThreads[] = {1, 2, 3, 5, 8, 16, 40};

class AmxConv : public testing::Test {
 protected:
  void SetUp() override {
    if ((cpu_features() & kAmxInt8) == 0) GTEST_SKIP() << "This CPU or operating system offers no AMX INT8 tiles.";
    amx_ = find_conv_kernel("amx");
    reference_ = find_conv_kernel("reference");
    ASSERT_NE(amx_, nullptr);
  }

  void expect_equal(const ConvCase& c, std::initializer_list<int> threads = {1, 4}) {
    ASSERT_EQ(amx_->reject(c.problem, c.weights.data()), "");
    const std::vector<uint8_t> expected = run_case(*reference_, c, 1, false);
    for (int n : threads) {
      const std::vector<uint8_t> got = run_case(*amx_, c, n, n % 2 == 0);
      ASSERT_TRUE(expected == got) << n << " threads, " << describe(c);
    }
  }

  // Random operands and store.
  void expect_geometry_equal(const ConvGeometry& g, Values values, std::initializer_list<int> threads = {1, 4}) {
    ConvCase c;
    random_case_of(rng_, g, values, c);
    expect_equal(c, threads);
  }

  const ConvKernel* amx_ = nullptr;
  const ConvKernel* reference_ = nullptr;
  Rng rng_{7};
};

ConvGeometry square(int64_t ic, int64_t size, int64_t oc, int64_t kernel, int64_t stride, int64_t pad) {
  ConvGeometry g;
  g.ih = g.iw = size;
  g.ic = ic;
  g.oc = oc;
  g.kh = g.kw = kernel;
  g.stride_h = g.stride_w = stride;
  g.pad_top = g.pad_left = pad;
  finish_geometry(g, pad, pad);
  return g;
}

TEST_F(AmxConv, RefusesGroups) {
  ConvProblem problem;
  problem.geometry = square(8, 5, 8, 3, 1, 1);
  problem.geometry.groups = 2;
  EXPECT_NE(amx_->reject(problem, nullptr), "");
}

// One row of 1..70 positions: last tiles that are moved back, blocks of one tile, a single position (Gemm).
TEST_F(AmxConv, EveryNumberOfPositionsAndChannels) {
  const int64_t channels[] = {1, 15, 16, 17, 31, 32, 33, 48, 64, 65, 96, 100, 128, 144};
  for (int64_t positions = 1; positions <= 70; ++positions) {
    ConvGeometry g;
    g.iw = g.ow = positions;
    g.ic = pick(rng_, 1, 150);
    g.oc = channels[positions % std::size(channels)];
    ASSERT_NO_FATAL_FAILURE(expect_geometry_equal(g, positions % 2 == 0 ? Values::kRandom : Values::kExtreme));
  }
}

// Small images: positions run through from row to row.
TEST_F(AmxConv, EverySmallImage) {
  for (int64_t size = 1; size <= 17; ++size) {
    for (int64_t stride = 1; stride <= 3; ++stride) {
      const int64_t kernel = pick(rng_, 1, 4);
      const int64_t pad = kernel > 1 ? pick(rng_, 0, kernel) : 0;
      if (size + 2 * pad < kernel) continue;
      const ConvGeometry g = square(pick(rng_, 1, 3) * 32, size, pick(rng_, 1, 80), kernel, stride, pad);
      ASSERT_NO_FATAL_FAILURE(expect_geometry_equal(g, Values::kRandom));
    }
  }
}

// Few input channels: several rows folded into a pixel of the copy, with every alignment of padding and stride.
TEST_F(AmxConv, Stems) {
  for (int64_t ic : {1, 2, 3, 4, 5, 8, 16, 24}) {
    for (int64_t kernel : {3, 5, 6, 7}) {
      for (int64_t stride = 1; stride <= 3; ++stride) {
        const ConvGeometry g = square(ic, 19 + stride, 20 + 8 * ic, kernel, stride, pick(rng_, 0, kernel / 2));
        ConvCase c;
        random_case_of(rng_, g, Values::kRandom, c);
        if (kernel % 2 == 0) c.src_stride = ic;  // pixels without gaps
        ASSERT_NO_FATAL_FAILURE(expect_equal(c));
      }
    }
  }
}

TEST_F(AmxConv, RandomGeometry) {
  for (int i = 0; i < 300; ++i) {
    ConvGeometry g = random_geometry(rng_);
    g.groups = 1;
    ASSERT_NO_FATAL_FAILURE(expect_geometry_equal(g, static_cast<Values>(i % 3), {1, 3, 16})) << "case " << i;
  }
}

// Copies that do not fit in scratch at once, and rows wider than a whole band should be.
TEST_F(AmxConv, SeveralBands) {
  ASSERT_NO_FATAL_FAILURE(expect_geometry_equal(square(64, 90, 8, 3, 1, 1), Values::kRandom));
  ASSERT_NO_FATAL_FAILURE(expect_geometry_equal(square(48, 101, 8, 3, 2, 1), Values::kRandom));
  ConvGeometry wide;
  wide.ih = 3;
  wide.iw = 3000;
  wide.ic = 96;
  wide.oc = 7;
  wide.kh = wide.kw = 3;
  wide.pad_top = wide.pad_left = 1;
  ASSERT_TRUE(finish_geometry(wide, 1, 1));
  ASSERT_NO_FATAL_FAILURE(expect_geometry_equal(wide, Values::kSmall));
}

// The largest sums that occur: 512 channels of 3x3, all codes 255 and all weights -128 or 127.
TEST_F(AmxConv, LargestSums) {
  for (int8_t weight : {int8_t{-128}, int8_t{127}}) {
    ConvCase c;
    random_case_of(rng_, square(512, 7, 40, 3, 1, 1), Values::kExtreme, c);
    std::fill(c.src.begin(), c.src.end(), uint8_t{255});
    std::fill(c.weights.begin(), c.weights.end(), weight);
    ASSERT_NO_FATAL_FAILURE(expect_equal(c));
  }
}

// Forms of the store that have loops of their own, and the general one, on one to three blocks of channels.
TEST_F(AmxConv, EveryFormOfStore) {
  for (int64_t oc : {16, 24, 32, 40, 64, 80, 100, 144, 192}) {
    for (int form = 0; form < 24; ++form) {
      ConvCase c;
      random_case_of(rng_, square(form % 2 == 0 ? 64 : 200, 11, oc, form % 4 < 2 ? 1 : 3, 1, form % 4 < 2 ? 0 : 1),
                     Values::kRandom, c);
      Store store;
      store.first = random_grid(rng_);
      store.second = random_grid(rng_);
      store.residual = static_cast<Residual>(form % 3);
      store.residual_zero = store.table_zero = form;
      store.residual_scale = form == 17 ? 1e7f : 0.7f;  // may leave int32
      store.self_scale = 0.6f;
      if (form / 3 % 2 != 0) c.table.assign(256, 0);
      for (size_t i = 0; i < c.table.size(); ++i) c.table[i] = static_cast<uint8_t>(i * 37 + 11);
      if (!c.table.empty() && form / 3 % 2 != 0) store.table = c.table.data();
      c.addend.assign(static_cast<size_t>((oc + 15) / 16 * 16), 2.5f);
      if (form / 6 % 2 != 0) store.addend = c.addend.data();
      c.multiplier.assign(c.addend.size(), form / 12 == 0 ? 0.0005f : 3.0f);
      store.multiplier = c.multiplier.data();
      c.residual_stride = oc + form % 5;
      c.residual.resize(static_cast<size_t>(c.dst_pixels() * c.residual_stride + kReadSlack));
      for (uint8_t& code : c.residual) code = static_cast<uint8_t>(rng_());
      c.store = store;
      ASSERT_NO_FATAL_FAILURE(expect_equal(c)) << "form " << form;
    }
  }
}

// However many threads there are: each output once, in any order, with scratch no larger than promised.
TEST_F(AmxConv, TasksCoverTheWorkWithinScratch) {
  const ConvGeometry geometries[] = {square(64, 7, 512, 3, 1, 1), square(96, 28, 40, 1, 1, 0),
                                     square(4, 64, 32, 7, 2, 3), square(512, 1, 1000, 1, 1, 0)};
  for (const ConvGeometry& g : geometries) {
    ConvCase c;
    random_case_of(rng_, g, Values::kRandom, c);
    c.batch = 1;
    const std::vector<uint8_t> expected = run_case(*reference_, c, 1, false);
    for (int threads : kAllThreads) {
      const int64_t tasks = amx_->tasks(c.problem, c.batch, threads);
      EXPECT_GE(tasks, threads == 1 ? 1 : 2);
      EXPECT_TRUE(run_case(*amx_, c, threads, true) == expected) << describe(c) << threads << " threads";
    }
    const size_t scratch_bytes = amx_->scratch_bytes(c.problem);
    AlignedBytes packed(amx_->packed_bytes(c.problem)), scratch(scratch_bytes + 64, kUntouched);
    AlignedBytes dst(static_cast<size_t>(c.dst_pixels() * c.dst_stride) * sizeof(float));
    amx_->pack(c.problem, c.weights.data(), nullptr, packed.data());
    ConvCall call{&c.problem,   packed.data(),     c.store,          1, c.src.data(), c.src_stride, dst.data(),
                  c.dst_stride, c.residual.data(), c.residual_stride};
    amx_->run(call, 0, 1, scratch.data());
    for (size_t i = 0; i < 64; ++i) ASSERT_EQ(scratch.data()[scratch_bytes + i], kUntouched) << describe(c);
  }
}

// Tile configuration belongs to a thread and is given back; two threads with different ones do not meet.
TEST_F(AmxConv, ThreadsAtTheSameTime) {
  std::vector<ConvCase> cases(2);
  random_case_of(rng_, square(64, 13, 64, 3, 1, 1), Values::kRandom, cases[0]);
  random_case_of(rng_, square(32, 5, 20, 1, 1, 0), Values::kRandom, cases[1]);
  std::vector<std::vector<uint8_t>> expected;
  for (const ConvCase& c : cases) expected.push_back(run_case(*reference_, c, 1, false));
  std::vector<int> wrong(2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) wrong[i] += run_case(*amx_, cases[i], 3, false) != expected[i];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong[0], 0);
  EXPECT_EQ(wrong[1], 0);
}

}  // namespace
}  // namespace octet::cpu
