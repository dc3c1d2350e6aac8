#include "data/preprocess.h"

#include <gtest/gtest.h>

#include "test_files.h"

namespace octet::test {
namespace {

struct Prepared {
  Tensor tensor;
  ImagePlacement at;
};

Prepared prepare(const std::string& text, const InputInfo& in, const Image& image) {
  Prepared out;
  const auto plan = make_preprocess_plan(spec_of(text), in);
  EXPECT_TRUE(plan.is_ok()) << plan.status().message();
  if (!plan.is_ok()) return out;
  auto tensor = prepare_image(*plan, image, &out.at);
  EXPECT_TRUE(tensor.is_ok()) << tensor.status().message();
  if (tensor.is_ok()) out.tensor = *tensor;
  return out;
}

std::string plan_error(const std::string& text, const InputInfo& in) {
  const auto plan = make_preprocess_plan(spec_of(text), in);
  return plan.is_ok() ? "" : plan.status().message();
}

TEST(Preprocess, OrderLayoutAndNormalisation) {
  const Image image{2, 1, 3, {10, 20, 30, 40, 50, 60}};
  const std::string keys = "folder:x?resize=none&scale=0.5&mean=1,2,3&std=1,2,4";
  const Tensor rgb = prepare(keys, input("x", {1, 3, 1, 2}), image).tensor;
  EXPECT_TRUE(same_bits(rgb, Tensor::from<float>({3, 1, 2}, {4, 19, 4, 11.5, 3, 6.75})));
  const Tensor bgr = prepare(keys + "&order=bgr&layout=nhwc", input("x", {}), image).tensor;
  EXPECT_TRUE(same_bits(bgr, Tensor::from<float>({1, 2, 3}, {14, 4, 0.5, 29, 11.5, 4.25})));
  const Tensor gray = prepare("folder:x?resize=none&scale=1&order=gray", input("x", {}), image).tensor;
  EXPECT_TRUE(same_bits(gray, Tensor::from<float>({1, 1, 2}, {18, 48})));
  // The default mean and std follow the channels.
  const Tensor swapped = prepare("folder:x?resize=none&order=bgr", input("x", {}), image).tensor;
  EXPECT_EQ(swapped.data<float>()[0], static_cast<float>((30 / 255.0 - 0.406) / 0.225));
}

TEST(Preprocess, IntegersAreRoundedAndClamped) {
  const Image image{3, 1, 1, {0, 101, 255}};
  const Tensor t =
      prepare("folder:x?resize=none&scale=1.5&mean=1&order=gray&dtype=int8", input("x", {}), image).tensor;
  EXPECT_TRUE(same_bits(t, Tensor::from<int8_t>({1, 1, 3}, {-1, 127, 127})));
  const Tensor half = prepare("folder:x?resize=none&scale=0.5&order=gray&dtype=uint8", input("x", {}), image).tensor;
  EXPECT_TRUE(same_bits(half, Tensor::from<uint8_t>({1, 1, 3}, {0, 50, 128})));  // 50.5 and 127.5 go to even
  EXPECT_NE(plan_error("folder:x?resize=none", input("x", {}, DType::kBool)).find("bool"), std::string::npos);
}

TEST(Preprocess, ShorterSideAndCentreCrop) {
  Image image = Image::filled(80, 40, 1);
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 80; ++x) image.row(y)[x] = static_cast<uint8_t>(x);
  const std::string keys = "folder:x?scale=1&order=gray&interpolation=nearest&dtype=uint8&size=20&crop=10,20";
  const Prepared p = prepare(keys, input("x", {}), image);
  EXPECT_EQ(p.tensor.dims(), (Dims{1, 20, 10}));
  EXPECT_EQ(p.tensor.data<uint8_t>()[0], 31);  // column 15 of 40 is taken from column 31 of 80
  EXPECT_DOUBLE_EQ(p.at.scale_x, 0.5);
  EXPECT_DOUBLE_EQ(p.at.offset_x, -15);
  EXPECT_DOUBLE_EQ(p.at.offset_y, 0);
}

TEST(Preprocess, FolderDefaultsFollowTheNetwork) {
  const auto plan = make_preprocess_plan(spec_of("folder:x"), input("x", {1, 3, 224, 224}));
  ASSERT_TRUE(plan.is_ok());
  EXPECT_EQ(plan->size, 256);
  EXPECT_EQ(plan->crop_width, 224);
  EXPECT_EQ(plan->layout, Layout::kNchw);
  const auto nhwc = make_preprocess_plan(spec_of("folder:x"), input("x", {-1, 96, 128, 3}));
  ASSERT_TRUE(nhwc.is_ok());
  EXPECT_EQ(nhwc->layout, Layout::kNhwc);
  EXPECT_EQ(nhwc->crop_width, 128);
  EXPECT_EQ(nhwc->crop_height, 96);
  EXPECT_EQ(nhwc->size, 146);  // 128 * 256 / 224
  EXPECT_NE(plan_error("folder:x", input("x", {-1, 3, -1, -1})).find("'crop' and 'size'"), std::string::npos);
  EXPECT_NE(plan_error("folder:x?resize=stretch", input("x", {-1, 3, -1, -1})).find("'width' and 'height'"),
            std::string::npos);
  EXPECT_NE(plan_error("folder:x?size=100", input("x", {-1, 3, 224, 224})).find("larger than the shorter side"),
            std::string::npos);
  EXPECT_NE(plan_error("folder:x?scale=1&mean=1,2", input("x", {-1, 3, 8, 8})).find("2 values for an image of 3"),
            std::string::npos);
  EXPECT_NE(plan_error("yolo:x", input("x", {-1, 3, 8, 8})).find("'decoder: yolox'"), std::string::npos);
}

TEST(Preprocess, Letterbox) {
  const Image image = Image::filled(100, 50, 3, 9);
  const std::string keys = "folder:x?scale=1&dtype=uint8&width=40&height=40&resize=letterbox_";
  const Prepared top = prepare(keys + "top_left", input("x", {}), image);
  EXPECT_EQ(top.tensor.dims(), (Dims{3, 40, 40}));
  EXPECT_DOUBLE_EQ(top.at.scale_x, 0.4);
  EXPECT_DOUBLE_EQ(top.at.scale_y, 0.4);
  EXPECT_EQ(top.tensor.data<uint8_t>()[19 * 40 + 39], 9);
  EXPECT_EQ(top.tensor.data<uint8_t>()[20 * 40], 114);
  const Prepared mid = prepare(keys + "centre&fill=1", input("x", {}), image);
  EXPECT_DOUBLE_EQ(mid.at.offset_y, 10);
  EXPECT_EQ(mid.tensor.data<uint8_t>()[9 * 40], 1);
  EXPECT_EQ(mid.tensor.data<uint8_t>()[10 * 40], 9);
  EXPECT_EQ(mid.tensor.data<uint8_t>()[30 * 40], 1);
  // A sliver still gets a pixel.
  const Prepared thin = prepare(keys + "top_left", input("x", {}), Image::filled(1000, 1, 3, 9));
  EXPECT_EQ(thin.tensor.data<uint8_t>()[0], 9);
  EXPECT_EQ(thin.tensor.data<uint8_t>()[40], 114);
}

TEST(Preprocess, ExtremeAspectIsRefusedNotAllocated) {
  const auto plan = make_preprocess_plan(spec_of("folder:x?size=256&crop=224"), input("x", {}));
  ASSERT_TRUE(plan.is_ok());
  EXPECT_EQ(prepare_image(*plan, Image::filled(16000, 1, 3), nullptr).status().code(), StatusCode::kResourceLimit);
}

TEST(Preprocess, ShapeMismatchNamesBothShapesAndTheKey) {
  const Tensor chw(DType::kFloat32, Dims{3, 8, 8});
  const auto message = [&](const InputInfo& in) { return fit_image(chw, in, false).status().message(); };
  EXPECT_NE(message(input("x", {1, 3, 9, 9})).find("[3, 8, 8] but input 'x' of the network takes [3, 9, 9]"),
            std::string::npos);
  EXPECT_NE(message(input("x", {1, 3, 9, 9})).find("'resize'"), std::string::npos);
  EXPECT_NE(message(input("x", {1, 1, 8, 8})).find("'order'"), std::string::npos);
  EXPECT_NE(message(input("x", {1, 8, 8, 3})).find("'layout'"), std::string::npos);
  EXPECT_NE(message(input("x", {1, 192})).find("'layout'"), std::string::npos);
  EXPECT_NE(message(input("x", {1, 5})).find("kind npz"), std::string::npos);
  EXPECT_TRUE(fit_image(chw, input("x", {1, 192}), true).is_ok());
  EXPECT_TRUE(fit_image(chw, input("x", {-1, 3, -1, -1}), false).is_ok());
}

}  // namespace
}  // namespace octet::test
