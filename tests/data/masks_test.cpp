// Data of kind masks: indices as they are written, the image's geometry, and what is wrong with a folder.
#include <gtest/gtest.h>
#include <png.h>

#include "data/preprocess.h"
#include "data/training_samples.h"
#include "test_files.h"

namespace octet::test {
namespace {

const std::vector<InputInfo> kNetwork = {input("x", {-1, 3, 4, 4})};

Image mask_of(int width, int height, const std::vector<uint8_t>& pixels) { return Image{width, height, 1, pixels}; }

// A palette image whose colours say nothing about the indices.
std::string palette_png(const Image& indices) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(indices.width);
  png.height = static_cast<png_uint_32>(indices.height);
  png.format = PNG_FORMAT_RGB_COLORMAP;
  png.colormap_entries = 7;
  std::vector<uint8_t> map(21);
  for (size_t i = 0; i < map.size(); ++i) map[i] = static_cast<uint8_t>(255 - 9 * i);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string out(size + 4096, '\0');
  size = out.size();
  EXPECT_NE(png_image_write_to_memory(&png, out.data(), &size, 0, indices.pixels.data(), 0, map.data()), 0);
  out.resize(size);
  return out;
}

std::vector<uint8_t> bytes_of_mask(const Tensor& mask) {
  return {mask.data<uint8_t>(), mask.data<uint8_t>() + mask.numel()};
}

TEST(Masks, IndicesOfGrayAndPalette) {
  const std::vector<uint8_t> pixels = {0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 6, 5, 4, 3, 2};
  const Image mask = mask_of(4, 4, pixels);
  for (const std::string& file : {png_file(mask), palette_png(mask)}) {
    const TempFolder folder;
    folder.write("images/a.jpg", jpeg_file(noise_image(4, 4, 3)));
    folder.write("masks/a.png", file);
    const auto set = open_dataset(spec_of("masks:" + folder.path()), kNetwork);
    ASSERT_TRUE(set.is_ok()) << set.status().message();
    EXPECT_TRUE((*set)->has_masks());
    EXPECT_FALSE((*set)->has_boxes());
    const auto s = (*set)->get(0);
    ASSERT_TRUE(s.is_ok()) << s.status().message();
    EXPECT_EQ(s->mask.dims(), (Dims{4, 4}));
    EXPECT_EQ(bytes_of_mask(s->mask), pixels);
  }
}

TEST(Masks, LowBitDepthsKeepTheirNumbers) {
  // 4 x 1 pixels of 2 bits: 3 0 1 2, in a PNG written by hand through libpng's full interface.
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string file;
  png_set_write_fn(
      png, &file,
      [](png_structp p, png_bytep bytes, size_t n) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<const char*>(bytes), n);
      },
      nullptr);
  png_set_IHDR(png, info, 4, 1, 2, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  const png_byte row = 0b11000110;
  png_write_row(png, &row);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  const auto mask = decode_png_mask(file);
  ASSERT_TRUE(mask.is_ok()) << mask.status().message();
  EXPECT_EQ(mask->pixels, (std::vector<uint8_t>{3, 0, 1, 2}));
}

TEST(Masks, TheGeometryIsTheImages) {
  // The mask of an image is the image's own first channel; both are prepared with the same nearest filter.
  const TempFolder folder;
  const Image picture = noise_image(13, 9, 1);
  folder.write("images/a.png", png_file(picture));
  folder.write("masks/a.png", png_file(picture));
  for (const char* keys : {"resize=stretch&width=8&height=6", "resize=shorter_side&size=7&crop=5",
                           "resize=letterbox_top_left&width=8&height=8", "resize=letterbox_centre&width=8&height=8",
                           "resize=none&crop=6,4"}) {
    const auto set =
        open_dataset(spec_of("masks:" + folder.path() + "?order=gray&dtype=uint8&interpolation=nearest&fill=255&" +
                             std::string(keys)),
                     {input("x", {}, DType::kUint8)});
    ASSERT_TRUE(set.is_ok()) << keys << ": " << set.status().message();
    const auto s = (*set)->get(0);
    ASSERT_TRUE(s.is_ok()) << s.status().message();
    ASSERT_EQ(s->inputs[0].numel(), s->mask.numel()) << keys;
    for (int64_t i = 0; i < s->mask.numel(); ++i)
      ASSERT_EQ(s->inputs[0].data<uint8_t>()[i], s->mask.data<uint8_t>()[i]) << keys << " at " << i;
  }
}

TEST(Masks, PaddingHasNoClass) {
  const TempFolder folder;
  folder.write("images/a.png", png_file(noise_image(8, 4, 3)));
  folder.write("masks/a.png", png_file(Image::filled(8, 4, 1, 2)));
  const auto set = open_dataset(spec_of("masks:" + folder.path() + "?resize=letterbox_top_left"), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  const auto s = (*set)->get(0);
  for (int64_t i = 0; i < 16; ++i) EXPECT_EQ(s->mask.data<uint8_t>()[i], i < 8 ? 2 : kIgnoredPixel);
}

TEST(Masks, SplitsAndSubsets) {
  const TempFolder folder;
  for (const char* name : {"a", "b", "c"}) {
    folder.write("images/val/" + std::string(name) + ".png", png_file(noise_image(4, 4, 3)));
    folder.write("masks/val/" + std::string(name) + ".png",
                 png_file(Image::filled(4, 4, 1, static_cast<uint8_t>(name[0] - 'a'))));
  }
  const auto set = open_dataset(spec_of("masks:" + folder.path() + "?split=val&subset=2"), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_EQ((*set)->size(), 2);
  EXPECT_TRUE((*set)->has_masks());
  EXPECT_EQ((*set)->get(1)->mask.data<uint8_t>()[5], 1);
}

TEST(Masks, MistakesGetASentence) {
  const TempFolder folder;
  const std::string spec = "masks:" + folder.path();
  EXPECT_NE(open_error(spec, kNetwork).find("there is no folder"), std::string::npos);
  folder.write("images/a.png", png_file(noise_image(6, 5, 3)));
  EXPECT_EQ(open_error(spec, kNetwork), "") << "images without masks can be calibrated on";
  folder.write("masks/other.png", png_file(Image::filled(6, 5, 1)));
  EXPECT_NE(open_error(spec, kNetwork).find("image 'a.png' has no mask"), std::string::npos);
  const auto error = [&](const std::string& bytes) {
    folder.write("masks/a.png", bytes);
    return open_error(spec, kNetwork);
  };
  EXPECT_EQ(error(png_file(Image::filled(6, 5, 1))), "");
  EXPECT_NE(error(png_file(Image::filled(5, 6, 1))).find("5 x 6 pixels and the image 6 x 5"), std::string::npos);
  EXPECT_NE(error(png_file(Image::filled(6, 5, 3))).find("PNG of class indices"), std::string::npos);
  EXPECT_NE(error(png_file(Image::filled(6, 5, 4))).find("PNG of class indices"), std::string::npos);
  EXPECT_NE(error(jpeg_file(Image::filled(6, 5, 1))).find("damaged"), std::string::npos);
  EXPECT_NE(error("").find("damaged"), std::string::npos);
  EXPECT_NE(open_error(spec + "?labels=/nowhere", kNetwork).find("no folder of masks"), std::string::npos);
}

TEST(Masks, DamagedFilesAreErrorsAndNothingWorse) {
  const std::string good = palette_png(mask_of(4, 4, {0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 6, 5, 4, 3, 2}));
  ASSERT_TRUE(decode_png_mask(good).is_ok());
  for (size_t n = 0; n < good.size() - 12; ++n) EXPECT_FALSE(decode_png_mask(good.substr(0, n)).is_ok()) << n;
  uint64_t state = 1;
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    for (int k = 0; k < 3; ++k) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      bad[(state >> 33) % bad.size()] = static_cast<char>(state >> 56);
    }
    const auto mask = decode_png_mask(bad);
    if (mask.is_ok()) {
      EXPECT_EQ(mask->pixels.size(), static_cast<size_t>(mask->width) * mask->height);
    }
  }
}

}  // namespace
}  // namespace octet::test
