#include <gtest/gtest.h>

#include <filesystem>

#include "test_files.h"

namespace octet::test {
namespace {

const std::vector<InputInfo> kNetwork = {input("x", {-1, 3, 32, 32})};

// A record whose red, green and blue planes start at `seed`, seed + 1 and seed + 2.
std::string record(char label, int seed) {
  std::string r(1, label);
  for (int c = 0; c < 3; ++c)
    for (int p = 0; p < 1024; ++p) r.push_back(static_cast<char>(seed + c + p));
  return r;
}

TEST(Cifar10, PlainGzipAndXz) {
  const TempFolder folder;
  const std::string batch = record(3, 10) + record(9, 200);
  for (const std::string& path :
       {folder.write("a.bin", batch), folder.write("a.bin.gz", gzip(batch)), folder.write("a.bin.xz", xz(batch))}) {
    const auto set = open_dataset(spec_of("cifar10:" + path + "?scale=1"), kNetwork);
    ASSERT_TRUE(set.is_ok()) << set.status().message();
    EXPECT_EQ((*set)->size(), 2);
    EXPECT_EQ((*set)->num_classes(), 10);
    const auto s = (*set)->get(1);
    EXPECT_EQ(s->label, 9);
    for (int c = 0; c < 3; ++c)
      for (int p = 0; p < 1024; p += 33)
        EXPECT_EQ(s->inputs[0].data<float>()[c * 1024 + p], static_cast<float>((200 + c + p) % 256));
  }
}

TEST(Cifar10, DefaultNormalisation) {
  const TempFolder folder;
  const auto set = open_dataset(spec_of("cifar10:" + folder.write("a.bin", record(0, 100))), kNetwork);
  const Tensor t = (*set)->get(0)->inputs[0];
  EXPECT_EQ(t.data<float>()[0], static_cast<float>((100 / 255.0 - 0.485) / 0.229));
  EXPECT_EQ(t.data<float>()[1024], static_cast<float>((101 / 255.0 - 0.456) / 0.224));
  EXPECT_EQ(t.data<float>()[2048], static_cast<float>((102 / 255.0 - 0.406) / 0.225));
  // An integer input takes the pixels.
  const auto raw =
      open_dataset(spec_of("cifar10:" + (folder / "a.bin")), {input("x", {1, 32, 32, 3}, DType::kUint8)});
  ASSERT_TRUE(raw.is_ok()) << raw.status().message();
  const Tensor u = (*raw)->get(0)->inputs[0];
  EXPECT_EQ(u.dims(), (Dims{32, 32, 3}));
  EXPECT_EQ(u.data<uint8_t>()[2], 102);
}

TEST(Cifar10, FolderSplitsAndNames) {
  const TempFolder folder;
  folder.write("cifar-10-batches-bin/test_batch.bin", record(1, 0));
  for (int i = 1; i <= 5; ++i)
    folder.write("cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin", record(static_cast<char>(i), 0));
  folder.write("cifar-10-batches-bin/batches.meta.txt", "airplane\nautomobile\n\n");
  const auto train = open_dataset(spec_of("cifar10:" + folder.path() + "?split=train"), kNetwork);
  ASSERT_TRUE(train.is_ok()) << train.status().message();
  EXPECT_EQ((*train)->size(), 5);
  EXPECT_EQ((*train)->get(4)->label, 5);
  EXPECT_EQ((*train)->class_names(), (std::vector<std::string>{"airplane", "automobile"}));
  const auto two = open_dataset(spec_of("cifar10:" + folder.path() + "?split=train&subset=2"), kNetwork);
  EXPECT_EQ((*two)->size(), 2);
  EXPECT_EQ((*two)->get(1)->label, 2);
  EXPECT_EQ((*two)->get(2).status().code(), StatusCode::kInvalidArgument);
  std::filesystem::remove(folder / "cifar-10-batches-bin/data_batch_3.bin");
  EXPECT_NE(open_error("cifar10:" + folder.path() + "?split=train", kNetwork).find("has no data_batch_3.bin"),
            std::string::npos);
  EXPECT_NE(open_error("cifar10:" + folder.path() + "?split=val", kNetwork).find("must be train or test"),
            std::string::npos);
}

TEST(Cifar10, DamagedFilesGetASentence) {
  const TempFolder folder;
  const auto error = [&](const std::string& b) { return open_error("cifar10:" + folder.write("b", b), kNetwork); };
  EXPECT_NE(error("").find("not a multiple"), std::string::npos);
  EXPECT_NE(error(record(1, 0) + "x").find("has 3074 bytes"), std::string::npos);
  EXPECT_NE(error(record(10, 0)).find("label 10"), std::string::npos);
  const std::string packed = xz(record(1, 0));
  EXPECT_NE(error(packed.substr(0, packed.size() - 20)).find("truncated xz"), std::string::npos);
}

TEST(Cifar10, RealTestBatch) {
  if (real_data().empty()) GTEST_SKIP() << "set OCTET_DATA to the folder with cifar10/ to run this";
  const auto set = open_dataset(spec_of("cifar10:" + real_data() + "/cifar10?scale=1"), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_EQ((*set)->size(), 10000);
  EXPECT_EQ((*set)->class_names().at(3), "cat");
  std::vector<int64_t> first;
  for (int64_t i = 0; i < 8; ++i) first.push_back((*set)->get(i)->label);
  EXPECT_EQ(first, (std::vector<int64_t>{3, 8, 8, 0, 6, 6, 1, 6}));
  double sum = 0;
  for (int64_t i = 0; i < 10000; ++i) {
    const Tensor t = (*set)->get(i)->inputs[0];
    for (int64_t k = 0; k < 1024; ++k) sum += t.data<float>()[k];
  }
  EXPECT_NEAR(sum / 10000 / 1024 / 255, 0.494214280025, 1e-9);  // red, from NumPy
}

}  // namespace
}  // namespace octet::test
