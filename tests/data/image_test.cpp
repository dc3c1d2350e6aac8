#include "data/image.h"

#include <gtest/gtest.h>

#include "test_files.h"

namespace octet::test {
namespace {

struct PillowCase {
  bool noise;
  int width, height;
  uint32_t bilinear, nearest;
};

class Pillow : public testing::TestWithParam<PillowCase> {};

// Hashes of Image.resize(BILINEAR) and (NEAREST) of Pillow 13.0 on the same synthetic images.
TEST_P(Pillow, ResizeGivesTheSameBytes) {
  const PillowCase& p = GetParam();
  const Image image = p.noise ? noise_image(37, 23, 3) : gradient_image(64, 48, 3);
  EXPECT_EQ(hash_of(resize_image(image, p.width, p.height, Interpolation::kBilinear).pixels), p.bilinear);
  EXPECT_EQ(hash_of(resize_image(image, p.width, p.height, Interpolation::kNearest).pixels), p.nearest);
}

INSTANTIATE_TEST_SUITE_P(Image, Pillow,
                         testing::Values(PillowCase{true, 16, 12, 0xd30ea1a7, 0xb09320b0},
                                         PillowCase{true, 50, 40, 0xf6147571, 0x6111156d},
                                         PillowCase{true, 37, 11, 0xbbe2e7e9, 0x890e7f7d},
                                         PillowCase{true, 9, 23, 0x604d5620, 0xc7244f67},
                                         PillowCase{true, 5, 60, 0xa007fd0b, 0x927f0e01},
                                         PillowCase{false, 16, 12, 0xd3965adc, 0xdd820ac5},
                                         PillowCase{false, 50, 40, 0x3fc51f65, 0xe27a1f4d},
                                         PillowCase{false, 37, 11, 0x99fe67f5, 0x291cf7b1},
                                         PillowCase{false, 9, 23, 0x236a6f3c, 0x11dc4279},
                                         PillowCase{false, 5, 60, 0x5f73fa47, 0xa0af4cd0}));

TEST(Image, GrayIsPillowsLuma) {
  EXPECT_EQ(hash_of(with_channels(noise_image(37, 23, 3), 1).pixels), 0x3dedcd69u);
  const Image rgb = with_channels(Image{2, 1, 1, {4, 9}}, 3);
  EXPECT_EQ(rgb.pixels, (std::vector<uint8_t>{4, 4, 4, 9, 9, 9}));
}

// By hand: positions (o + 0.5) * 3 / 2 - 0.5 = 0.25 and 1.75 between 0, 100 and 200.
TEST(Image, OpencvBilinearTakesTwoTaps) {
  const Image out = resize_image(Image{3, 1, 1, {0, 100, 200}}, 2, 1, Interpolation::kBilinearOpencv);
  EXPECT_EQ(out.pixels, (std::vector<uint8_t>{25, 175}));
  // Shrinking by 8 takes the two middle pixels only, where the antialiased filter takes all.
  const Image wide{16, 1, 1, {0, 0, 0, 80, 100, 0, 0, 0, 0, 0, 0, 200, 200, 0, 0, 0}};
  EXPECT_EQ(resize_image(wide, 2, 1, Interpolation::kBilinearOpencv).pixels, (std::vector<uint8_t>{90, 200}));
  EXPECT_EQ(resize_image(Image{1, 1, 1, {7}}, 3, 2, Interpolation::kBilinearOpencv).pixels,
            (std::vector<uint8_t>(6, 7)));
}

TEST(Image, PngRoundTrip) {
  for (int channels : {1, 3}) {
    const Image image = noise_image(19, 7, channels);
    const auto back = decode_png(png_file(image));
    ASSERT_TRUE(back.is_ok()) << back.status().message();
    EXPECT_EQ(back->channels, channels);
    EXPECT_EQ(back->pixels, image.pixels);
  }
  const Image rgba = noise_image(5, 5, 4);
  const auto rgb = decode_png(png_file(rgba));
  ASSERT_TRUE(rgb.is_ok());
  for (size_t i = 0; i < 25; ++i)
    for (size_t c = 0; c < 3; ++c) EXPECT_EQ(rgb->pixels[3 * i + c], rgba.pixels[4 * i + c]);
}

TEST(Image, JpegIsClose) {
  for (int channels : {1, 3}) {
    Image image = Image::filled(33, 17, channels);
    for (int y = 0; y < 17; ++y)
      for (int x = 0; x < 33; ++x)
        for (int c = 0; c < channels; ++c)
          image.row(y)[x * channels + c] = static_cast<uint8_t>(40 * c + 3 * x + 2 * y);
    const auto back = decode_jpeg(jpeg_file(image));
    ASSERT_TRUE(back.is_ok()) << back.status().message();
    ASSERT_EQ(back->channels, channels);
    for (size_t i = 0; i < image.pixels.size(); ++i) EXPECT_NEAR(back->pixels[i], image.pixels[i], 8);
  }
}

// Stored samples (255 - ink): ink C 55, M 155, Y 0, K 0 gives RGB 200, 100, 255.
TEST(Image, CmykBecomesRgb) {
  Image cmyk = Image::filled(16, 16, 4);
  for (size_t i = 0; i < 256; ++i) {
    const uint8_t stored[] = {200, 100, 255, 255};
    std::copy(stored, stored + 4, cmyk.pixels.begin() + static_cast<std::ptrdiff_t>(4 * i));
  }
  const auto rgb = decode_jpeg(jpeg_file(cmyk));
  ASSERT_TRUE(rgb.is_ok()) << rgb.status().message();
  ASSERT_EQ(rgb->channels, 3);
  EXPECT_NEAR(rgb->pixels[0], 200, 2);
  EXPECT_NEAR(rgb->pixels[1], 100, 2);
  EXPECT_NEAR(rgb->pixels[2], 255, 2);
}

TEST(Image, DamagedFilesNameThePath) {
  const TempFolder folder;
  const auto error = [&](const std::string& bytes) {
    const auto image = read_image_file(folder.write("a.jpg", bytes));
    return image.is_ok() ? "" : image.status().message();
  };
  const std::string jpeg = jpeg_file(noise_image(64, 64, 3)), png = png_file(noise_image(64, 64, 3));
  EXPECT_EQ(error(jpeg), "");
  EXPECT_EQ(error(png), "");  // the name does not matter
  for (const std::string& bytes : {std::string(), std::string("hello"), jpeg.substr(0, 3), jpeg.substr(0, 100),
                                   jpeg.substr(0, jpeg.size() / 2), png.substr(0, 20), png.substr(0, png.size() / 2)})
    EXPECT_NE(error(bytes).find(folder / "a.jpg"), std::string::npos) << bytes.size();
  std::string flipped = png;
  flipped[png.size() / 2] ^= 1;
  EXPECT_NE(error(flipped).find("the PNG is damaged"), std::string::npos);
  std::string huge = png;
  huge[16] = 0x7f;  // the top byte of the width; the checksum is wrong as well
  EXPECT_NE(error(huge), "");
  std::string tall = jpeg;
  const size_t frame = tall.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  tall[frame + 5] = '\xff';  // 65344 rows
  EXPECT_NE(error(tall).find("beyond the limit"), std::string::npos);
}

}  // namespace
}  // namespace octet::test
