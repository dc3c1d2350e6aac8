#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "metrics/detection.h"

namespace octet {
namespace {

// 64 x 64 pixels: 8 x 8 + 4 x 4 + 2 x 2 = 84 cells, here with 3 classes.
std::vector<float> empty_yolox() { return std::vector<float>(84 * 8, 0.0f); }

TEST(Yolox, DecodesEachStride) {
  std::vector<float> v = empty_yolox();
  const auto put = [&](size_t cell, std::vector<float> row) {
    std::copy(row.begin(), row.end(), v.begin() + static_cast<std::ptrdiff_t>(cell * 8));
  };
  put(2 * 8 + 3, {0.5f, 0.25f, 0, std::log(2.0f), 0.5f, 0.1f, 0.8f, 0.2f});  // stride 8, row 2, column 3
  put(64 + 1, {0, 0, 0, 0, 1, 0.5f, 0.5f, 0});                               // stride 16, row 0, column 1; a tie
  put(64 + 16 + 2, {1, 1, -INFINITY, 0, 0.9f, 0, 0, 1});                     // stride 32: of no width
  const auto boxes = decode_yolox(Tensor::from<float>({1, 84, 8}, v), 64, 64, 0.3);
  ASSERT_TRUE(boxes.is_ok()) << boxes.status().message();
  ASSERT_EQ(boxes->size(), 3u);
  const Box& a = (*boxes)[0];
  EXPECT_EQ(a.label, 1);
  EXPECT_FLOAT_EQ(a.score, 0.4f);
  EXPECT_FLOAT_EQ(a.x1, 24);  // centre 28, width 8
  EXPECT_FLOAT_EQ(a.x2, 32);
  EXPECT_FLOAT_EQ(a.y1, 10);  // centre 18, height 16
  EXPECT_FLOAT_EQ(a.y2, 26);
  EXPECT_EQ((*boxes)[1].label, 0);
  EXPECT_FLOAT_EQ((*boxes)[1].x1, 8);
  EXPECT_FLOAT_EQ((*boxes)[2].x1, (*boxes)[2].x2);
  EXPECT_FLOAT_EQ((*boxes)[2].y2, 80);  // centre (1 + 1) * 32 = 64, height 32
  EXPECT_EQ(decode_yolox(Tensor::from<float>({84, 8}, v), 64, 64, 0.45)->size(), 2u);
}

double logit(double p) { return std::log(p / (1 - p)); }

TEST(Yolox, MapsSayWhatTheRowsSay) {
  // The rows of the deployed form from maps of raw scores, for 64 x 32 pixels.
  std::mt19937 random(3);
  std::uniform_real_distribution<float> real(-2, 2);
  std::vector<Tensor> maps;
  std::vector<float> rows;
  for (int64_t stride : {8, 16, 32}) {
    const int64_t h = 32 / stride, w = 64 / stride;
    Tensor map(DType::kFloat32, {1, 7, h, w});
    for (int64_t i = 0; i < map.numel(); ++i) map.data<float>()[i] = real(random);
    for (int64_t cell = 0; cell < h * w; ++cell)
      for (int64_t c = 0; c < 7; ++c) {
        const float v = map.data<float>()[c * h * w + cell];
        rows.push_back(c < 4 ? v : 1 / (1 + std::exp(-v)));
      }
    maps.push_back(map);
  }
  const auto cells = static_cast<int64_t>(rows.size()) / 7;
  const auto from_rows = decode_yolox(Tensor::from<float>({1, cells, 7}, rows), 64, 32, 0.2);
  const auto from_maps = decode_yolox_maps(maps, 64, 32, 0.2);
  ASSERT_TRUE(from_rows.is_ok() && from_maps.is_ok()) << from_maps.status().message();
  ASSERT_EQ(from_rows->size(), from_maps->size());
  ASSERT_GT(from_maps->size(), 5u);
  for (size_t i = 0; i < from_maps->size(); ++i) {
    const Box &a = (*from_rows)[i], &b = (*from_maps)[i];
    EXPECT_EQ(a.label, b.label);
    EXPECT_NEAR(a.score, b.score, 1e-6);
    EXPECT_FLOAT_EQ(a.x1, b.x1);
    EXPECT_FLOAT_EQ(a.y2, b.y2);
  }
  DetectionSpec spec;
  spec.decoder = Decoder::kYolox;
  spec.confidence = 0.2;
  const ImagePlacement at{64, 32, 64, 32};
  EXPECT_EQ(detect(spec, maps, at)->size(), detect(spec, Tensor::from<float>({1, cells, 7}, rows), at)->size());
  EXPECT_FALSE(detect(spec, std::vector<Tensor>{}, at).is_ok());
}

TEST(Yolox, OneMapAndMapsThatDoNotFit) {
  std::vector<float> v(7, 0);
  v[4] = v[6] = static_cast<float>(logit(0.9));
  const Tensor map = Tensor::from<float>({1, 7, 1, 1}, v);
  const auto one = decode_yolox_maps({map}, 16, 16, 0.5);
  ASSERT_TRUE(one.is_ok()) << one.status().message();
  ASSERT_EQ(one->size(), 1u);
  EXPECT_EQ((*one)[0].label, 1);
  EXPECT_NEAR((*one)[0].score, 0.81, 1e-6);
  EXPECT_FLOAT_EQ((*one)[0].x1, -8);  // centre 0, size exp(0) * 16
  EXPECT_FLOAT_EQ((*one)[0].x2, 8);
  const Tensor tall = Tensor::from<float>({1, 7, 2, 1}, std::vector<float>(14));
  EXPECT_TRUE(decode_yolox_maps({tall}, 8, 16, 0.5).is_ok());
  EXPECT_FALSE(decode_yolox_maps({tall}, 8, 15, 0.5).is_ok());
  EXPECT_FALSE(decode_yolox_maps({tall}, 16, 16, 0.5).is_ok()) << "another stride across than down";
  EXPECT_FALSE(decode_yolox_maps({Tensor::from<float>({1, 5, 1, 1}, std::vector<float>(5))}, 16, 16, 0.5).is_ok());
}

TEST(Yolox, BadShapesAndValues) {
  std::vector<float> v = empty_yolox();
  EXPECT_NE(
      decode_yolox(Tensor::from<float>({1, 84, 8}, v), 96, 64, 0).status().message().find("[1, 126, 5 + classes]"),
      std::string::npos);
  EXPECT_FALSE(decode_yolox(Tensor::from<float>({1, 84, 5}, v), 64, 64, 0).is_ok());
  EXPECT_FALSE(decode_yolox(Tensor::from<float>({84 * 8}, v), 64, 64, 0).is_ok());
  v[4] = NAN;
  v[8] = NAN, v[12] = 1, v[13] = 1;
  v[18] = 1000, v[20] = 1, v[21] = 1;  // a width beyond float
  EXPECT_TRUE(decode_yolox(Tensor::from<float>({1, 84, 8}, v), 64, 64, 0.1)->empty());
}

TEST(FastestDet, DecodesByHand) {
  // 2 x 2 cells, 2 classes; the plane of each channel is written by row.
  std::vector<float> v(7 * 4, 0.0f);
  const size_t cell = 3;  // row 1, column 1
  const float row[] = {0.5f, std::atanh(0.5f), 0, 0, std::log(3.0f), 0.2f, 0.8f};
  for (size_t c = 0; c < 7; ++c) v[c * 4 + cell] = row[c];
  const auto boxes = decode_fastestdet(Tensor::from<float>({1, 7, 2, 2}, v), 100, 200, 0.1);
  ASSERT_TRUE(boxes.is_ok()) << boxes.status().message();
  ASSERT_EQ(boxes->size(), 1u);
  const Box& b = (*boxes)[0];
  EXPECT_EQ(b.label, 1);
  EXPECT_FLOAT_EQ(b.score, static_cast<float>(std::pow(0.5, 0.6) * std::pow(0.8, 0.4)));
  EXPECT_NEAR(b.x1, 50, 1e-4);  // centre 0.75 * 100, width 50
  EXPECT_NEAR(b.x2, 100, 1e-4);
  EXPECT_NEAR(b.y1, 25, 1e-4);  // centre 0.5 * 200, height 0.75 * 200
  EXPECT_NEAR(b.y2, 175, 1e-4);
  v[cell] = -1;
  EXPECT_TRUE(decode_fastestdet(Tensor::from<float>({7, 2, 2}, v), 100, 200, 0.1)->empty());
  EXPECT_FALSE(decode_fastestdet(Tensor::from<float>({7, 4}, v), 100, 200, 0).is_ok());
  EXPECT_FALSE(decode_fastestdet(Tensor::from<float>({2, 7, 1, 2}, v), 100, 200, 0).is_ok());
}

TEST(Iou, ByHand) {
  EXPECT_DOUBLE_EQ(box_iou({0, 0, 10, 10}, {5, 0, 15, 10}), 1.0 / 3);
  EXPECT_DOUBLE_EQ(box_iou({0, 0, 10, 10}, {10, 0, 20, 10}), 0);
  EXPECT_DOUBLE_EQ(box_iou({0, 0, 10, 10}, {0, 0, 10, 10}), 1);
  EXPECT_DOUBLE_EQ(box_iou({3, 3, 3, 3}, {3, 3, 3, 3}), 0);
}

TEST(Suppression, IsClassWiseAndGreedy) {
  const std::vector<Box> boxes = {{0, 0, 10, 10, 0, 0.5f}, {1, 0, 11, 10, 0, 0.9f},  {2, 0, 12, 10, 0, 0.4f},
                                  {1, 0, 11, 10, 1, 0.8f}, {50, 0, 60, 10, 0, 0.1f}, {70, 0, 80, 10, 0, 0.1f}};
  const auto kept = non_max_suppression(boxes, 0.5, 100);
  ASSERT_EQ(kept.size(), 4u);
  EXPECT_FLOAT_EQ(kept[0].score, 0.9f);
  EXPECT_EQ(kept[1].label, 1);
  EXPECT_FLOAT_EQ(kept[2].x1, 50);  // equal scores keep their order
  EXPECT_FLOAT_EQ(kept[3].x1, 70);
  EXPECT_EQ(non_max_suppression(boxes, 0.5, 2).size(), 2u);
  EXPECT_EQ(non_max_suppression(boxes, 1.0, 100).size(), 6u);
}

// Against the definition: a box stays if and only if no better staying box of its class covers it.
TEST(Suppression, AgreesWithTheDefinition) {
  std::mt19937 random(3);
  const auto draw = [&](int n) { return static_cast<float>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 50; ++round) {
    std::vector<Box> boxes;
    for (int i = 0; i < 40; ++i) {
      const float x = draw(20), y = draw(20);
      boxes.push_back({x, y, x + 5 + draw(10), y + 5 + draw(10), static_cast<int64_t>(draw(2)),
                       static_cast<float>(i * 7 % 40) / 40});
    }
    const auto kept = non_max_suppression(boxes, 0.4, 1000);
    const auto is_kept = [&](const Box& b) {
      return std::any_of(kept.begin(), kept.end(), [&](const Box& k) { return k.score == b.score; });
    };
    for (const Box& b : boxes) {
      const bool covered = std::any_of(boxes.begin(), boxes.end(), [&](const Box& other) {
        return other.score > b.score && other.label == b.label && is_kept(other) && box_iou(other, b) > 0.4;
      });
      EXPECT_EQ(is_kept(b), !covered);
    }
  }
}

TEST(Detect, MapsBackToTheImage) {
  std::vector<float> v = empty_yolox();
  const float row[] = {0, 0, std::log(2.0f), std::log(100.0f), 1, 1, 0, 0};
  std::copy(std::begin(row), std::end(row), v.begin() + (3 * 8 + 3) * 8);  // centre 24, 24
  ImagePlacement at;
  at.image_width = 128, at.image_height = 100;
  at.canvas_width = at.canvas_height = 64;
  at.scale_x = at.scale_y = 0.5;
  at.offset_y = 7;
  DetectionSpec spec;
  EXPECT_FALSE(detect(spec, Tensor::from<float>({1, 84, 8}, v), at).is_ok());
  spec.decoder = Decoder::kYolox;
  const auto boxes = detect(spec, Tensor::from<float>({1, 84, 8}, v), at);
  ASSERT_TRUE(boxes.is_ok()) << boxes.status().message();
  ASSERT_EQ(boxes->size(), 1u);
  EXPECT_FLOAT_EQ((*boxes)[0].x1, 32);
  EXPECT_NEAR((*boxes)[0].x2, 64, 1e-4);
  EXPECT_FLOAT_EQ((*boxes)[0].y1, 0);  // cut at the edges
  EXPECT_FLOAT_EQ((*boxes)[0].y2, 100);
}

}  // namespace
}  // namespace octet
