// Augmentation against plain loops and the definitions, and what depends on random numbers by its statistics.
#include "data/augment.h"

#include <gtest/gtest.h>

#include <cmath>

#include "test_files.h"

namespace octet::test {
namespace {

template <class T>
Tensor ramp(int64_t c, int64_t h, int64_t w) {
  std::vector<T> v(static_cast<size_t>(c * h * w));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<T>((i * 37 + 11) % 251);
  return Tensor::from<T>({c, h, w}, v);
}

template <class T>
void check_flip_and_crop() {
  const int64_t c = 3, h = 5, w = 7, pad = 3;
  const Tensor x = ramp<T>(c, h, w);
  const Tensor flipped = flip_horizontal(x);
  for (int64_t k = 0; k < c; ++k)
    for (int64_t i = 0; i < h; ++i)
      for (int64_t j = 0; j < w; ++j)
        ASSERT_EQ(flipped.data<T>()[(k * h + i) * w + j], x.data<T>()[(k * h + i) * w + (w - 1 - j)]);
  const std::vector<double> fill = {1, 2, 3};
  for (int64_t top = 0; top <= 2 * pad; ++top) {
    for (int64_t left = 0; left <= 2 * pad; ++left) {
      const Tensor cropped = crop_padded(x, pad, top, left, fill);
      for (int64_t k = 0; k < c; ++k)
        for (int64_t i = 0; i < h; ++i)
          for (int64_t j = 0; j < w; ++j) {
            const int64_t y = i + top - pad, z = j + left - pad;
            const bool inside = y >= 0 && y < h && z >= 0 && z < w;
            const T want = inside ? x.data<T>()[(k * h + y) * w + z] : static_cast<T>(fill[static_cast<size_t>(k)]);
            ASSERT_EQ(cropped.data<T>()[(k * h + i) * w + j], want) << top << " " << left;
          }
    }
  }
}

TEST(Augment, FlipAndCropAreThePlainLoops) {
  check_flip_and_crop<uint8_t>();
  check_flip_and_crop<float>();
}

TEST(Augment, APaddingWiderThanTheImageLeavesFill) {
  const Tensor x = ramp<uint8_t>(1, 2, 2);
  const Tensor gone = crop_padded(x, 5, 0, 10, {9});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(gone.data<uint8_t>()[i], 9);
}

TEST(Augment, ColoursByTheirDefinitions) {
  const Tensor x = Tensor::from<uint8_t>({3, 1, 2}, {100, 200, 50, 250, 10, 30});
  const Tensor dark = change_colors(x, {0.5, 1, 1});
  const std::vector<uint8_t> halves = {50, 100, 25, 125, 5, 15};
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(dark.data<uint8_t>()[i], halves[i]);
  EXPECT_EQ(change_colors(x, {2, 1, 1}).data<uint8_t>()[3], 255);
  const double luma[2] = {0.299 * 100 + 0.587 * 50 + 0.114 * 10, 0.299 * 200 + 0.587 * 250 + 0.114 * 30};
  const Tensor gray = change_colors(x, {1, 1, 0}), flat = change_colors(x, {1, 0, 1});
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(gray.data<uint8_t>()[i], std::nearbyint(luma[i % 2]));
    EXPECT_EQ(flat.data<uint8_t>()[i], std::nearbyint((luma[0] + luma[1]) / 2));
  }
  EXPECT_TRUE(same_bits(change_colors(x, {}), x));
  const Tensor one = ramp<uint8_t>(1, 4, 4);
  EXPECT_TRUE(same_bits(change_colors(one, {1, 1, 0.3}), one)) << "a gray image has no saturation";
}

TEST(Augment, FlipsAndCropsAsOftenAsAskedFor) {
  AugmentOptions o;
  o.horizontal_flip = 0.25;
  o.crop_padding = 1;
  const Tensor x = Tensor::from<uint8_t>({1, 1, 2}, {1, 2});
  int flipped = 0, centred = 0;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const Result<Tensor> y = augment_image(x, o, CounterRandom({7, static_cast<uint64_t>(i)}));
    ASSERT_TRUE(y.is_ok());
    const uint8_t a = y->data<uint8_t>()[0], b = y->data<uint8_t>()[1];
    if (a == 0 || b == 0) continue;
    ++centred;
    flipped += a == 2 ? 1 : 0;
  }
  // 9 places, of which one row and one column keep both pixels: 1/9 of all.
  EXPECT_NEAR(centred / static_cast<double>(n), 1.0 / 9, 0.01);
  EXPECT_NEAR(flipped / static_cast<double>(centred), 0.25, 0.03);
}

TEST(Augment, WhatIsNoImageIsRefused) {
  AugmentOptions o;
  o.horizontal_flip = 1;
  const CounterRandom random({1});
  EXPECT_FALSE(augment_image(Tensor::from<float>({4}, {1, 2, 3, 4}), o, random).is_ok());
  EXPECT_FALSE(augment_image(Tensor::from<int64_t>({1, 1, 1}, {1}), o, random).is_ok());
  o = {};
  EXPECT_TRUE(augment_image(Tensor::from<int64_t>({1, 1, 1}, {1}), o, random).is_ok()) << "nothing was asked for";
  o.brightness = 1;
  EXPECT_FALSE(augment_image(ramp<float>(1, 2, 2), o, random).is_ok());
}

TEST(Augment, BetaHasItsMeanAndVariance) {
  for (double alpha : {0.1, 0.2, 1.0, 3.0}) {
    CounterRandom random({11, static_cast<uint64_t>(alpha * 1000)});
    double sum = 0, squares = 0;
    const int n = 40000;
    for (int i = 0; i < n; ++i) {
      const double x = draw_beta(alpha, random);
      ASSERT_GE(x, 0);
      ASSERT_LE(x, 1);
      sum += x;
      squares += x * x;
    }
    const double mean = sum / n, variance = squares / n - mean * mean;
    EXPECT_NEAR(mean, 0.5, 0.01) << alpha;
    EXPECT_NEAR(variance, 1 / (4 * (2 * alpha + 1)), 0.005) << alpha;
  }
}

TEST(CounterRandom, KeysAreFarApartAndBoundsAreKept) {
  EXPECT_NE(CounterRandom({1, 2}).bits(), CounterRandom({2, 1}).bits());
  EXPECT_NE(CounterRandom({0}).bits(), CounterRandom({0, 0}).bits());
  EXPECT_EQ(CounterRandom({5, 6}).bits(), CounterRandom({5, 6}).bits());
  CounterRandom r({3});
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen[r.below(7)];
  for (int count : seen) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace octet::test
