#include "metrics/segmentation.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace octet
