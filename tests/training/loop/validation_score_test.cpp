// What processes measured apart, put together.
#include "training/loop/validation_score.h"

#include <gtest/gtest.h>

namespace octet::training {
namespace {

ValidationScore part(int64_t first) {
  ValidationScore s;
  s.images = 2;
  s.add_loss(0, 3.0 * static_cast<double>(first + 1), 4);
  s.add_loss(1, 1, 2);
  s.pixels.emplace(2);
  EXPECT_TRUE(s.pixels->add(Tensor::from<int64_t>({3}, {0, 1, 1}), Tensor::from<uint8_t>({3}, {0, 1, 0})).is_ok());
  for (int64_t i = first; i < 4; i += 2) {
    const auto x = static_cast<float>(10 * i);
    s.boxes[i] = {{{x, 0, x + 5, 5, 1, 0.5F}}, {{x, 0, x + 5, 5, 1, 1}}};
  }
  return s;
}

TEST(ValidationScore, PartsAddUp) {
  ValidationScore all;
  // The order of the processes does not matter.
  ASSERT_TRUE(all.add(part(1).to_bytes()).is_ok());
  ASSERT_TRUE(all.add(part(0).to_bytes()).is_ok());
  EXPECT_EQ(all.images, 4);
  ASSERT_EQ(all.boxes.size(), 4u);
  EXPECT_EQ(all.boxes.begin()->first, 0);
  EpochRecord record;
  all.fill(&record);
  EXPECT_DOUBLE_EQ(*record.val_loss, 9.0 / 8 + 2.0 / 4);
  EXPECT_DOUBLE_EQ(*record.val_map50, 100);
  EXPECT_DOUBLE_EQ(*record.val_miou, 50);
  EXPECT_FALSE(record.val_top1.has_value());
}

TEST(ValidationScore, FiguresThatWereNotMeasuredStayAbsent) {
  ValidationScore s;
  s.images = s.labelled = 8;
  s.top1 = 2;
  s.top5 = 6;
  s.add_loss(0, 4, 8);
  EpochRecord record;
  s.fill(&record);
  EXPECT_DOUBLE_EQ(*record.val_top1, 25);
  EXPECT_DOUBLE_EQ(*record.val_top5, 75);
  EXPECT_DOUBLE_EQ(*record.val_loss, 0.5);
  EXPECT_FALSE(record.val_map50.has_value());
  EXPECT_FALSE(record.val_miou.has_value());
}

TEST(ValidationScore, OtherBytesAreRefused) {
  const std::string good = part(0).to_bytes();
  ValidationScore all;
  EXPECT_FALSE(all.add("").is_ok());
  for (size_t n = 0; n < good.size(); n += 3) EXPECT_FALSE(ValidationScore().add(good.substr(0, n)).is_ok()) << n;
  EXPECT_FALSE(ValidationScore().add(good + "x").is_ok());
}

}  // namespace
}  // namespace octet::training
