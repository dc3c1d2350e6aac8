#include <gtest/gtest.h>

#include "test_files.h"

namespace octet::test {
namespace {

const std::vector<InputInfo> kNetwork = {input("x", {1, 3, 64, 64})};

TEST(Yolo, BoxesAndPlacement) {
  const TempFolder folder;
  folder.write("images/a.png", png_file(Image::filled(100, 50, 3, 8)));
  folder.write("images/b.jpg", jpeg_file(Image::filled(20, 40, 3, 8)));
  folder.write("labels/a.txt", "3 0.5 0.5 0.2 0.4\r\n0\t0.05 0.1 0.2 0.2\n\n");
  const auto set = open_dataset(spec_of("yolo:" + folder.path() + "?decoder=yolox"), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_TRUE((*set)->has_boxes());
  const auto s = (*set)->get(0);
  ASSERT_TRUE(s.is_ok()) << s.status().message();
  ASSERT_EQ(s->boxes.size(), 2u);
  EXPECT_EQ(s->boxes[0].label, 3);
  EXPECT_FLOAT_EQ(s->boxes[0].x1, 40);
  EXPECT_FLOAT_EQ(s->boxes[0].y1, 15);
  EXPECT_FLOAT_EQ(s->boxes[0].x2, 60);
  EXPECT_FLOAT_EQ(s->boxes[0].y2, 35);
  EXPECT_FLOAT_EQ(s->boxes[1].x1, 0);  // cut at the edge
  EXPECT_EQ(s->placement.image_width, 100);
  EXPECT_EQ(s->placement.canvas_height, 64);
  EXPECT_DOUBLE_EQ(s->placement.scale_y, 0.64);
  EXPECT_EQ(s->inputs[0].data<float>()[0], 8);          // raw pixels
  EXPECT_EQ(s->inputs[0].data<float>()[40 * 64], 114);  // below the 32 rows of the image
  EXPECT_TRUE((*set)->get(1)->boxes.empty());           // no label file: background
  const auto fast = open_dataset(spec_of("yolo:" + folder.path() + "?decoder=fastestdet"), kNetwork);
  const auto f = (*fast)->get(0);
  EXPECT_DOUBLE_EQ(f->placement.scale_y, 1.28);
  EXPECT_EQ(f->inputs[0].data<float>()[63 * 64], static_cast<float>(8 / 255.0));
}

TEST(Yolo, MistakesGetASentence) {
  const TempFolder folder;
  folder.write("images/a.png", png_file(Image::filled(10, 10, 3)));
  const auto error = [&](const std::string& label) {
    folder.write("labels/a.txt", label);
    return open_error("yolo:" + folder.path() + "?decoder=yolox", kNetwork);
  };
  EXPECT_EQ(error(""), "");
  EXPECT_NE(error("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1\n").find("a.txt:2: expected 'class cx cy w h'"),
            std::string::npos);
  EXPECT_NE(error("-1 0.5 0.5 0.1 0.1").find("expected 'class"), std::string::npos);
  EXPECT_NE(error("0 50 0.5 0.1 0.1").find("relative to the image"), std::string::npos);
  EXPECT_NE(error("0 nan 0.5 0.1 0.1").find("relative to the image"), std::string::npos);
  error("2 0.5 0.5 0.1 0.1");
  const std::string names = folder.write("names", "a\nb\n");
  EXPECT_NE(open_error("yolo:" + folder.path() + "?decoder=yolox&class_names=" + names, kNetwork).find("class 2"),
            std::string::npos);
  EXPECT_NE(open_error("yolo:" + folder.path(), kNetwork).find("needs 'decoder: yolox'"), std::string::npos);
  const TempFolder apart;
  apart.write("images/a.png", png_file(Image::filled(10, 10, 3)));
  apart.write("labels/b.txt", "");
  EXPECT_NE(open_error("yolo:" + apart.path() + "?decoder=yolox", kNetwork).find("belongs to an image"),
            std::string::npos);
  EXPECT_NE(open_error("yolo:/nowhere?decoder=yolox", kNetwork).find("there is no folder"), std::string::npos);
}

TEST(Yolo, RealImages) {
  if (real_data().empty()) GTEST_SKIP() << "set OCTET_DATA to the folder with coco_val64/ to run this";
  const auto set =
      open_dataset(spec_of("yolo:" + real_data() + "/coco_val64?decoder=yolox"), {input("images", {1, 3, 416, 416})});
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  ASSERT_EQ((*set)->size(), 64);
  size_t boxes = 0;
  for (int64_t i = 0; i < 64; ++i) {
    const auto s = (*set)->get(i);
    ASSERT_TRUE(s.is_ok()) << s.status().message();
    boxes += s->boxes.size();
  }
  EXPECT_EQ(boxes, 440u);
}

}  // namespace
}  // namespace octet::test
