#include "metrics/segmentation.h"

#include <gtest/gtest.h>

#include <cmath>

namespace octet {
namespace {

TEST(Segmentation, MeanIouByHand) {
  ConfusionMatrix m(4);
  const Tensor truth = Tensor::from<uint8_t>({2, 4}, {0, 0, 0, 1, 1, 1, 255, 2});
  const Tensor predicted = Tensor::from<int64_t>({2, 4}, {0, 0, 1, 1, 1, 9, 0, 2});
  ASSERT_TRUE(m.add(predicted, truth).is_ok());
  EXPECT_EQ(m.at(0, 0), 2);
  EXPECT_EQ(m.at(0, 1), 1);
  EXPECT_DOUBLE_EQ(m.iou(0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.iou(1), 0.5);  // two right, one predicted outside, one of class 0
  EXPECT_DOUBLE_EQ(m.iou(2), 1);
  EXPECT_DOUBLE_EQ(m.iou(3), -1);
  EXPECT_DOUBLE_EQ(m.mean_iou(), (2.0 / 3 + 0.5 + 1) / 3);
  EXPECT_DOUBLE_EQ(m.pixel_accuracy(), 5.0 / 7);
  ConfusionMatrix other(4);
  ASSERT_TRUE(other.merge(m).is_ok());
  EXPECT_DOUBLE_EQ(other.mean_iou(), m.mean_iou());
  EXPECT_FALSE(ConfusionMatrix(3).merge(m).is_ok());
}

TEST(Segmentation, WrongInput) {
  ConfusionMatrix m(2);
  const Tensor one = Tensor::from<int32_t>({1}, {1});
  EXPECT_FALSE(m.add(one, Tensor::from<int32_t>({1}, {2})).is_ok());
  EXPECT_FALSE(m.add(one, Tensor::from<int32_t>({1}, {-1})).is_ok());
  EXPECT_FALSE(m.add(one, Tensor::from<int32_t>({2}, {1, 1})).is_ok());
  EXPECT_FALSE(m.add(Tensor::from<float>({1}, {1}), one).is_ok());
  EXPECT_DOUBLE_EQ(m.mean_iou(), 0);
  EXPECT_DOUBLE_EQ(m.pixel_accuracy(), 0);
}

TEST(Segmentation, CountsOfOthersAreAdded) {
  ConfusionMatrix a(3), b(3);
  const Tensor truth = Tensor::from<uint8_t>({4}, {0, 1, 2, 2}), predicted = Tensor::from<int64_t>({4}, {0, 2, 2, 7});
  ASSERT_TRUE(a.add(predicted, truth).is_ok());
  ASSERT_TRUE(b.add_counts(a.counts()).is_ok());
  EXPECT_EQ(b.counts(), a.counts());
  EXPECT_EQ(b.classes(), 3);
  EXPECT_FALSE(b.add_counts({1, 2, 3}).is_ok());
}

TEST(Segmentation, ClassMapsOfScores) {
  // Two rows, two columns, three classes; a tie goes to the lower class.
  const Tensor scores = Tensor::from<float>({1, 3, 2, 2}, {1, 0, 5, -1, 2, 0, 5, -2, 0, 0, 4, -3});
  const auto map = class_map(scores, 2, 2);
  ASSERT_TRUE(map.is_ok()) << map.status().message();
  EXPECT_EQ(map->classes, 3);
  EXPECT_TRUE(same_bits(map->ids, Tensor::from<int64_t>({2, 2}, {1, 0, 0, 0})));
}

TEST(Segmentation, SmallerMapsAreResizedBilinearly) {
  const int64_t h = 3, w = 4, height = 7, width = 10;
  std::vector<float> values;
  uint64_t state = 5;
  for (int i = 0; i < 2 * 12; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    values.push_back(static_cast<float>(state >> 40) / 1e7F);
  }
  const auto map = class_map(Tensor::from<float>({1, 2, h, w}, values), height, width);
  ASSERT_TRUE(map.is_ok());
  int ones = 0;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      // half_pixel of ONNX Resize, edges repeated.
      const double sy = (static_cast<double>(y) + 0.5) * h / height - 0.5;
      const double sx = (static_cast<double>(x) + 0.5) * w / width - 0.5;
      const auto at = [&](int c, int64_t row, int64_t column) {
        row = std::min(std::max<int64_t>(row, 0), h - 1);
        column = std::min(std::max<int64_t>(column, 0), w - 1);
        return static_cast<double>(values[static_cast<size_t>((c * h + row) * w + column)]);
      };
      const auto score = [&](int c) {
        const auto row = static_cast<int64_t>(std::floor(sy)), column = static_cast<int64_t>(std::floor(sx));
        const double fy = sy - static_cast<double>(row), fx = sx - static_cast<double>(column);
        return (1 - fy) * ((1 - fx) * at(c, row, column) + fx * at(c, row, column + 1)) +
               fy * ((1 - fx) * at(c, row + 1, column) + fx * at(c, row + 1, column + 1));
      };
      if (std::abs(score(0) - score(1)) < 1e-4) continue;
      const int64_t want = score(1) > score(0) ? 1 : 0;
      EXPECT_EQ(map->ids.data<int64_t>()[y * width + x], want) << y << ", " << x;
      ones += static_cast<int>(want);
    }
  EXPECT_GT(ones, 10);
  EXPECT_LT(ones, 60);
}

TEST(Segmentation, OutputsThatAreClassIds) {
  const Tensor ids = Tensor::from<int64_t>({1, 1, 1, 2}, {4, 0});
  EXPECT_EQ(class_map(ids, 1, 2)->ids.data<int64_t>()[0], 4);
  EXPECT_EQ(class_map(ids.reshaped({1, 1, 2}), 1, 2)->classes, 0);
  EXPECT_FALSE(class_map(ids, 2, 2).is_ok());
  for (const Tensor& bad :
       {Tensor::from<float>({1, 4}, {1, 2, 3, 4}), Tensor::from<float>({1, 1, 2, 2}, {1, 2, 3, 4})}) {
    const auto refused = class_map(bad, 2, 2);
    ASSERT_FALSE(refused.is_ok());
    EXPECT_NE(refused.status().message().find("[batch, classes, height, width]"), std::string::npos);
  }
}

}  // namespace
}  // namespace octet
