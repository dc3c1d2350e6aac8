// Boxes and masks go where the pixels go: geometry against plain loops.
#include "data/augment_geometry.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/augment.h"
#include "data/batch_loader.h"
#include "data/training_samples.h"
#include "test_files.h"

namespace octet::test {
namespace {

Tensor noise(int64_t c, int64_t h, int64_t w, uint64_t seed = 3) {
  CounterRandom random({seed});
  Tensor t(DType::kUint8, {c, h, w});
  for (int64_t i = 0; i < t.numel(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(random.below(256));
  return t;
}

Tensor plane_of(const Tensor& chw) { return chw.reshaped({chw.dim(1), chw.dim(2)}); }

// The definition, one pixel at a time: the place of the output's pixel centre in the source, between four centres.
double slow_pixel(const Tensor& chw, int64_t c, double y, double x, double fill) {
  const int64_t h = chw.dim(1), w = chw.dim(2);
  if (x < 0 || y < 0 || x >= static_cast<double>(w) || y >= static_cast<double>(h)) return fill;
  const auto at = [&](int64_t row, int64_t column) {
    row = std::min(std::max<int64_t>(row, 0), h - 1);
    column = std::min(std::max<int64_t>(column, 0), w - 1);
    return static_cast<double>(chw.data<uint8_t>()[(c * h + row) * w + column]);
  };
  const auto row = static_cast<int64_t>(std::floor(y - 0.5)), column = static_cast<int64_t>(std::floor(x - 0.5));
  const double fy = y - 0.5 - static_cast<double>(row), fx = x - 0.5 - static_cast<double>(column);
  return (1 - fy) * ((1 - fx) * at(row, column) + fx * at(row, column + 1)) +
         fy * ((1 - fx) * at(row + 1, column) + fx * at(row + 1, column + 1));
}

TEST(AugmentGeometry, PlacingIsItsDefinition) {
  const Tensor image = noise(2, 7, 9);
  const Tensor mask = plane_of(noise(1, 7, 9, 5));
  for (const Placing& p : {Placing{1, 0, 0}, Placing{1, 2, -1}, Placing{0.5, 1.3, 0.2}, Placing{2.3, -4.4, 1.7},
                           Placing{0.1, 3, 3}, Placing{1, 100, 0}}) {
    const Tensor out = place_image(image, p, 8, 6, 77), moved = place_mask(mask, p, 8, 6);
    ASSERT_EQ(out.dims(), (Dims{2, 6, 8}));
    for (int64_t y = 0; y < 6; ++y)
      for (int64_t x = 0; x < 8; ++x) {
        const double sy = (static_cast<double>(y) + 0.5 - p.dy) / p.scale;
        const double sx = (static_cast<double>(x) + 0.5 - p.dx) / p.scale;
        for (int64_t c = 0; c < 2; ++c)
          ASSERT_NEAR(out.data<uint8_t>()[(c * 6 + y) * 8 + x], slow_pixel(image, c, sy, sx, 77), 0.5 + 1e-9)
              << p.scale << " at " << y << ", " << x;
        const bool inside = sx >= 0 && sy >= 0 && sx < 9 && sy < 7;
        const int want =
            inside ? mask.data<uint8_t>()[static_cast<int64_t>(sy) * 9 + static_cast<int64_t>(sx)] : kIgnoredPixel;
        ASSERT_EQ(moved.data<uint8_t>()[y * 8 + x], want);
      }
  }
  EXPECT_TRUE(same_bits(place_image(image, {}, 9, 7, 0), image));
}

// A white rectangle on black; its box is then read off the pixels.
LabelledImage white_box(int64_t h, int64_t w, const Box& box) {
  LabelledImage out{Tensor(DType::kUint8, {1, h, w}), {box}, Tensor(DType::kUint8, {h, w})};
  for (int64_t y = 0; y < h; ++y)
    for (int64_t x = 0; x < w; ++x) {
      const bool in = x >= box.x1 && x < box.x2 && y >= box.y1 && y < box.y2;
      out.image.data<uint8_t>()[y * w + x] = in ? 255 : 0;
      out.mask.data<uint8_t>()[y * w + x] = in ? 1 : 0;
    }
  return out;
}

// The smallest box around the pixels that are at least half white; empty when there are none.
Box seen(const Tensor& chw) {
  Box box{1e9F, 1e9F, -1, -1, 0, 1};
  for (int64_t y = 0; y < chw.dim(1); ++y)
    for (int64_t x = 0; x < chw.dim(2); ++x) {
      if (chw.data<uint8_t>()[y * chw.dim(2) + x] < 128) continue;
      box.x1 = std::min(box.x1, static_cast<float>(x));
      box.y1 = std::min(box.y1, static_cast<float>(y));
      box.x2 = std::max(box.x2, static_cast<float>(x + 1));
      box.y2 = std::max(box.y2, static_cast<float>(y + 1));
    }
  return box;
}

void expect_near(const Box& a, const Box& b, float tolerance) {
  EXPECT_NEAR(a.x1, b.x1, tolerance);
  EXPECT_NEAR(a.y1, b.y1, tolerance);
  EXPECT_NEAR(a.x2, b.x2, tolerance);
  EXPECT_NEAR(a.y2, b.y2, tolerance);
}

TEST(AugmentGeometry, BoxesAndMasksFollowThePixels) {
  AugmentOptions o;
  o.horizontal_flip = 0.5;
  o.crop_padding = 5;
  o.scale_low = 0.6;
  o.scale_high = 1.6;
  o.translate = 0.2;
  o.affine_fill = 0;
  int kept = 0, flipped_differs = 0;
  for (uint64_t i = 0; i < 300; ++i) {
    CounterRandom random({9, i});
    const auto corner = [&](int64_t side) {
      return static_cast<float>(4 + random.below(static_cast<uint64_t>(side) / 2 - 4));
    };
    Box box{corner(32), corner(40), 0, 0, 3, 1};
    box.x2 = box.x1 + 10;
    box.y2 = box.y1 + 12;
    const LabelledImage before = white_box(40, 32, box);
    const auto after = augment(before, o, CounterRandom({7, i}), nullptr);
    ASSERT_TRUE(after.is_ok());
    ASSERT_EQ(after->image.dims(), before.image.dims());
    const Box pixels = seen(after->image);
    int64_t ones = 0;
    for (int64_t k = 0; k < after->mask.numel(); ++k) ones += after->mask.data<uint8_t>()[k] == 1 ? 1 : 0;
    if (after->boxes.empty()) {
      // Little or nothing is left: less than a fifth of the box at its largest scale, or a sliver.
      EXPECT_LT(static_cast<double>(ones), 0.2 * 120 * 1.6 * 1.6 + 20) << i;
      continue;
    }
    ++kept;
    ASSERT_EQ(after->boxes.size(), 1u);
    EXPECT_EQ(after->boxes[0].label, 3);
    expect_near(after->boxes[0], pixels, 1.01F);
    const Box& b = after->boxes[0];
    EXPECT_NEAR(static_cast<double>(ones), (b.x2 - b.x1) * (b.y2 - b.y1), 2 * (b.x2 - b.x1 + b.y2 - b.y1) + 4);
    flipped_differs += std::abs(b.x1 - box.x1) > 2 ? 1 : 0;
  }
  EXPECT_GT(kept, 200);
  EXPECT_GT(flipped_differs, 100);
}

TEST(AugmentGeometry, FlippedAndCroppedBoxesByHand) {
  const LabelledImage image{noise(3, 10, 20), {{2, 3, 7, 9, 1, 1}}, {}};
  const LabelledImage flipped = flip_horizontal(image);
  expect_near(flipped.boxes[0], {13, 3, 18, 9, 1, 1}, 0);
  expect_near(flip_horizontal(flipped).boxes[0], image.boxes[0], 0);
  EXPECT_TRUE(same_bits(flip_horizontal(flipped).image, image.image));
  // A window 4 to the right and 2 down of the image.
  const LabelledImage cropped = crop_padded(image, 4, 6, 8, 0);
  expect_near(cropped.boxes[0], {0, 1, 3, 7, 1, 1}, 0);
  EXPECT_TRUE(crop_padded(image, 8, 0, 15, 0).boxes.empty()) << "nothing of it is inside";
  EXPECT_EQ(place_boxes({{0, 0, 10, 10, 0, 1}}, {1, -8, 0}, 20, 20).size(), 1u) << "a fifth is left";
  EXPECT_EQ(place_boxes({{0, 0, 10, 10, 0, 1}}, {1, -8.1, 0}, 20, 20).size(), 0u);
  EXPECT_EQ(place_boxes({{0, 0, 10, 10, 0, 1}}, {0.19, 0, 0}, 20, 20).size(), 0u) << "less than two pixels";
}

TEST(AugmentGeometry, AMosaicIsFourImages) {
  std::array<LabelledImage, 4> parts;
  for (size_t i = 0; i < 4; ++i) {
    parts[i].image = noise(3, 5, 6, i);
    parts[i].mask = plane_of(noise(1, 5, 6, 10 + i));
    parts[i].boxes = {{1, 2, 3, 4, static_cast<int64_t>(i), 1}};
  }
  const LabelledImage whole = mosaic(parts);
  ASSERT_EQ(whole.image.dims(), (Dims{3, 10, 12}));
  ASSERT_EQ(whole.boxes.size(), 4u);
  for (int64_t y = 0; y < 10; ++y)
    for (int64_t x = 0; x < 12; ++x) {
      const LabelledImage& part = parts[static_cast<size_t>((y / 5) * 2 + x / 6)];
      for (int64_t c = 0; c < 3; ++c)
        ASSERT_EQ(whole.image.data<uint8_t>()[(c * 10 + y) * 12 + x],
                  part.image.data<uint8_t>()[(c * 5 + y % 5) * 6 + x % 6]);
      ASSERT_EQ(whole.mask.data<uint8_t>()[y * 12 + x], part.mask.data<uint8_t>()[(y % 5) * 6 + x % 6]);
    }
  expect_near(whole.boxes[3], {7, 7, 9, 9, 3, 1}, 0);
}

TEST(AugmentGeometry, OldOptionsDrawTheirOldNumbers) {
  // Geometry that is switched off changes nothing of what flips and crops did without it.
  AugmentOptions o;
  o.horizontal_flip = 0.5;
  o.crop_padding = 2;
  const Tensor image = noise(3, 8, 8);
  for (uint64_t i = 0; i < 50; ++i) {
    CounterRandom random({1, i});
    const bool flipped = random.uniform() < 0.5;
    const auto top = static_cast<int64_t>(random.below(5)), left = static_cast<int64_t>(random.below(5));
    const Tensor want = crop_padded(flipped ? flip_horizontal(image) : image, 2, top, left, {0});
    EXPECT_TRUE(same_bits(*augment_image(image, o, CounterRandom({1, i})), want));
  }
}

// White boxes in files: samples of training, mosaics included, whose targets are seen in their pixels.
TEST(AugmentGeometry, SamplesBringTargetsAndMasks) {
  const TempFolder folder;
  for (int i = 0; i < 5; ++i) {
    const LabelledImage one = white_box(32, 32, {8, 8, 20, 22, 0, 1});
    Image picture = Image::filled(32, 32, 1);
    std::copy_n(one.image.data<uint8_t>(), 32 * 32, picture.pixels.begin());
    const std::string name = std::to_string(i);
    folder.write("images/" + name + ".png", png_file(picture));
    folder.write("labels/" + name + ".txt", "2 0.4375 0.46875 0.375 0.4375\n");
  }
  AugmentOptions o;
  o.mosaic = 1;
  o.mosaic_epochs = 3;
  o.scale_low = 0.5;
  o.scale_high = 1;
  o.horizontal_flip = 0.5;
  const std::string spec = "yolo:" + folder.path() + "?resize=stretch&order=gray&scale=1";
  const std::vector<InputInfo> network = {input("x", {-1, 1, 32, 32})};
  const auto samples = TrainingSamples::open(spec_of(spec), network, o);
  ASSERT_TRUE(samples.is_ok()) << samples.status().message();
  size_t targets = 0;
  for (int64_t epoch = 0; epoch < 3; ++epoch)
    for (int64_t i = 0; i < 5; ++i) {
      const auto s = (*samples)->get(i, 4, epoch);
      ASSERT_TRUE(s.is_ok()) << s.status().message();
      targets += s->targets.size();
      for (const Box& b : s->targets) {
        EXPECT_EQ(b.label, 2);
        const auto x = static_cast<int64_t>((b.x1 + b.x2) / 2), y = static_cast<int64_t>((b.y1 + b.y2) / 2);
        EXPECT_GT(s->inputs[0].data<float>()[y * 32 + x], 200) << "the middle of a target is white";
      }
      const auto again = (*samples)->get(i, 4, epoch);
      EXPECT_TRUE(same_bits(again->inputs[0], s->inputs[0]));
    }
  EXPECT_GT(targets, 20u) << "more than one a picture, or it was no mosaic";
  const auto later = (*samples)->get(0, 4, 3);
  EXPECT_EQ(later->targets.size(), 1u) << "after mosaic_epochs a picture is itself";
  ASSERT_EQ(later->boxes.size(), 1u);
  EXPECT_FLOAT_EQ(later->boxes[0].x1, 8);

  LoaderOptions loading;
  loading.batch_size = 4;
  loading.workers = 2;
  auto loader = BatchLoader::create(**samples, loading);
  const auto batch = (*loader)->next();
  ASSERT_TRUE(batch.is_ok() && batch->has_value());
  EXPECT_EQ((*batch)->targets.size(), 4u);
  EXPECT_EQ((*batch)->names.size(), 4u);
  EXPECT_EQ((*batch)->masks.rank(), 0) << "this data has no masks";
}

TEST(AugmentGeometry, BatchesOfMasks) {
  const TempFolder folder;
  for (int i = 0; i < 4; ++i) {
    const std::string name = std::to_string(i);
    folder.write("images/" + name + ".png", png_file(noise_image(8, 8, 3)));
    folder.write("masks/" + name + ".png", png_file(Image::filled(8, 8, 1, static_cast<uint8_t>(i))));
  }
  AugmentOptions o;
  o.horizontal_flip = 0.5;
  const auto samples = TrainingSamples::open(spec_of("masks:" + folder.path()), {input("x", {-1, 3, 8, 8})}, o);
  ASSERT_TRUE(samples.is_ok()) << samples.status().message();
  LoaderOptions loading;
  loading.batch_size = 4;
  auto loader = BatchLoader::create(**samples, loading);
  const auto batch = (*loader)->next();
  ASSERT_TRUE(batch.is_ok() && batch->has_value());
  ASSERT_EQ((*batch)->masks.dims(), (Dims{4, 8, 8}));
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ((*batch)->masks.data<uint8_t>()[i * 64 + 7], static_cast<uint8_t>((*batch)->samples[i]));
}

}  // namespace
}  // namespace octet::test
