#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "test_files.h"

namespace octet::test {
namespace {

const std::vector<InputInfo> kTiny = {input("x", {-1, 1, 2, 3})};

std::string images(uint32_t n) {
  std::string bytes(n * 6, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  return idx_file({n, 2, 3}, bytes);
}

void expect_read(const std::string& text) {
  const auto set = open_dataset(spec_of(text), kTiny);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_EQ((*set)->size(), 2);
  EXPECT_TRUE((*set)->has_labels());
  EXPECT_EQ((*set)->num_classes(), 8);
  const auto sample = (*set)->get(1);
  ASSERT_TRUE(sample.is_ok());
  EXPECT_EQ(sample->label, 7);
  ASSERT_EQ(sample->inputs[0].dims(), (Dims{1, 2, 3}));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(sample->inputs[0].data<float>()[i], static_cast<float>((6 + i) / 255.0));
  EXPECT_EQ((*set)->get(2).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ((*set)->get(-1).status().code(), StatusCode::kInvalidArgument);
}

TEST(Idx, PlainAndGzipFolderAndFile) {
  const TempFolder plain, packed;
  const std::string labels = idx_file({2}, {3, 7});
  plain.write("t10k-images-idx3-ubyte", images(2));
  plain.write("t10k-labels-idx1-ubyte", labels);
  packed.write("train-images-idx3-ubyte.gz", gzip(images(2)));
  packed.write("train-labels-idx1-ubyte.gz", gzip(labels));
  expect_read("idx:" + plain.path());
  expect_read("idx:" + (plain / "t10k-images-idx3-ubyte"));
  expect_read("idx:" + packed.path() + "?split=train");
  expect_read("idx:" + (packed / "train-images-idx3-ubyte.gz"));
}

TEST(Idx, WithoutLabels) {
  const TempFolder folder;
  const auto set = open_dataset(spec_of("idx:" + folder.write("a.idx", images(1))), kTiny);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_FALSE((*set)->has_labels());
  EXPECT_EQ((*set)->get(0)->label, -1);
}

TEST(Idx, FlatNetworkInputs) {
  const TempFolder folder;
  const std::string text = "idx:" + folder.write("a.idx", images(1));
  EXPECT_EQ((*open_dataset(spec_of(text), {input("x", {-1, 6})}))->get(0)->inputs[0].dims(), (Dims{6}));
  EXPECT_EQ((*open_dataset(spec_of(text), {input("x", {1, 2, 3})}))->get(0)->inputs[0].dims(), (Dims{2, 3}));
  EXPECT_EQ((*open_dataset(spec_of(text), {input("x", {1, 2, 3, 1})}))->get(0)->inputs[0].dims(), (Dims{2, 3, 1}));
}

TEST(Idx, DamagedFilesGetASentence) {
  const TempFolder folder;
  const auto error = [&](const std::string& bytes) { return open_error("idx:" + folder.write("bad", bytes), kTiny); };
  const std::string good = images(2);
  EXPECT_NE(error("").find("magic"), std::string::npos);
  EXPECT_NE(error("abcdefgh").find("magic"), std::string::npos);
  EXPECT_NE(error(good.substr(0, 9)).find("header is truncated"), std::string::npos);
  EXPECT_NE(error(good.substr(0, good.size() - 1)).find("needs 12 bytes, there are 11"), std::string::npos);
  EXPECT_NE(error(good + "x").find("bytes follow"), std::string::npos);
  EXPECT_NE(error(idx_file({1, 2, 3}, std::string(24, 'a'), 0x0d)).find("unsigned bytes"), std::string::npos);
  EXPECT_NE(error(idx_file({2}, "ab")).find("it has 1 axes where 3"), std::string::npos);
  EXPECT_NE(error(idx_file({0, 2, 3}, "")).find("no samples"), std::string::npos);
  EXPECT_NE(error(idx_file({1, 0, 3}, "")).find("no pixels"), std::string::npos);
  EXPECT_NE(error(idx_file({0xffffffffu, 0xffffffffu, 0xffffffffu}, "")).find("memory limit"), std::string::npos);
  EXPECT_NE(error(idx_file({70000, 300, 300}, "abc")).find("truncated"), std::string::npos);
  const std::string packed = gzip(good);
  EXPECT_NE(error(packed.substr(0, packed.size() - 9)).find("truncated"), std::string::npos);
  std::string flipped = packed;
  flipped[packed.size() - 6] ^= 1;  // the checksum
  EXPECT_NE(error(flipped).find("damaged"), std::string::npos);
}

TEST(Idx, MismatchesGetASentence) {
  const TempFolder folder;
  folder.write("t10k-images-idx3-ubyte", images(2));
  folder.write("t10k-labels-idx1-ubyte", idx_file({3}, "abc"));
  EXPECT_NE(open_error("idx:" + folder.path(), kTiny).find("has 2 images but"), std::string::npos);
  EXPECT_NE(open_error("idx:" + folder.path() + "?split=train", kTiny).find("has no train-images-idx3-ubyte"),
            std::string::npos);
  EXPECT_NE(open_error("idx:/nowhere", kTiny).find("there is no file or folder"), std::string::npos);
  const std::string text = "idx:" + folder.write("a.idx", images(1));
  const std::string message = open_error(text, {input("x", {1, 3, 2, 3})});
  EXPECT_NE(message.find("[1, 2, 3]"), std::string::npos) << message;
  EXPECT_NE(message.find("[3, 2, 3]"), std::string::npos) << message;
  EXPECT_NE(message.find("'order'"), std::string::npos) << message;
  EXPECT_NE(open_error(text, {input("x", {1, 1, 28, 28})}).find("'resize'"), std::string::npos);
}

TEST(Idx, FashionMnist) {
  const std::string path = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "Debian's package dataset-fashion-mnist is not installed";
  const auto set = open_dataset(spec_of("idx:" + path), {input("x", {-1, 1, 28, 28})});
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_EQ((*set)->size(), 10000);
  EXPECT_EQ((*set)->num_classes(), 10);
  std::vector<int64_t> first;
  for (int64_t i = 0; i < 8; ++i) first.push_back((*set)->get(i)->label);
  EXPECT_EQ(first, (std::vector<int64_t>{9, 2, 1, 1, 6, 1, 4, 6}));
}

}  // namespace
}  // namespace octet::test
