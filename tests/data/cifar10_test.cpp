#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "data/byte_stream.h"
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
  const Status incomplete = open_dataset(spec_of("cifar10:" + folder.path() + "?split=train"), kNetwork).status();
  EXPECT_NE(incomplete.message().find("has no data_batch_3.bin"), std::string::npos) << incomplete.message();
  EXPECT_NE(incomplete.message().find("4 of the 5 files of split 'train'"), std::string::npos);
  EXPECT_EQ(incomplete.code(), StatusCode::kDataCorrupt);  // kNotFound would mean that there is no such split
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

std::string batch_name(int i) { return "data_batch_" + std::to_string(i) + ".bin"; }

TEST(Cifar10, SizesAreKnownWithoutUnpacking) {
  const TempFolder folder;
  const std::string one = record(1, 0), two = record(2, 9) + record(3, 7);
  const auto size = [&](const std::string& bytes) { return unpacked_size(folder.write("f", bytes)); };
  EXPECT_EQ(*size(""), 0);
  EXPECT_EQ(*size(two), 6146);
  EXPECT_EQ(*size(gzip(two)), -1);
  EXPECT_EQ(*size(xz(two)), 6146);
  EXPECT_EQ(*size(xz("")), 0);
  EXPECT_EQ(*size(xz(one) + std::string(8, '\0') + xz(two)), 9219);  // two streams with padding between
  for (const std::string& bad : {xz(two) + "x", xz(two).substr(0, 100), xz(two).substr(0, 7)}) {
    EXPECT_EQ(size(bad).status().code(), StatusCode::kDataCorrupt);
    EXPECT_NE(size(bad).status().message().find("/f' is a damaged"), std::string::npos);
  }
  EXPECT_EQ(unpacked_size(folder / "none").status().code(), StatusCode::kNotFound);
}

TEST(Cifar10, OnlyFilesInUseAreUnpacked) {
  const TempFolder folder;
  for (int i = 1; i <= 5; ++i)
    folder.write(batch_name(i) + ".xz", xz(record(static_cast<char>(i), 0) + record(0, i)));
  // The middle of one file is damaged, its index is not; another becomes a file of other size after opening.
  std::string damaged = xz(record(5, 0) + record(0, 5));
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x55);
  const std::string last = folder.write(batch_name(5) + ".xz", damaged);
  const auto set = open_dataset(spec_of("cifar10:" + folder.path() + "?split=train&scale=1"), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  EXPECT_EQ((*set)->size(), 10);
  EXPECT_EQ((*set)->get(7)->inputs[0].data<float>()[0], 4);
  for (int64_t i : {8, 9, 8}) {
    const Status status = (*set)->get(i).status();
    EXPECT_EQ(status.code(), StatusCode::kDataCorrupt);
    EXPECT_NE(status.message().find(last), std::string::npos) << status.message();
  }
  folder.write(batch_name(2) + ".xz", xz(record(2, 0)));
  EXPECT_NE((*set)->get(2).status().message().find("was to have 6146 bytes and has 3073"), std::string::npos);
  folder.write(batch_name(3) + ".xz", xz(record(3, 0) + record(3, 0) + record(3, 0)));
  EXPECT_NE((*set)->get(4).status().message().find("was to have 6146 bytes and has more"), std::string::npos);
  std::filesystem::remove(folder / (batch_name(4) + ".xz"));
  EXPECT_TRUE((*set)->get(6).is_ok());  // unpacked before
  EXPECT_TRUE((*set)->get(0).is_ok());
}

TEST(Cifar10, ManyThreadsUnpackOnce) {
  const TempFolder folder;
  for (int i = 1; i <= 5; ++i) {
    std::string batch;
    for (int k = 0; k < 20; ++k) batch += record(static_cast<char>(i), 10 * i + k);
    folder.write(batch_name(i) + (i % 2 == 0 ? ".xz" : ""), i % 2 == 0 ? xz(batch) : batch);
  }
  const auto set = open_dataset(spec_of("cifar10:" + folder.path() + "?split=train&scale=1"), kNetwork);
  ASSERT_TRUE(set.is_ok()) << set.status().message();
  std::vector<int> wrong(8, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (int64_t n = 0; n < 100; ++n) {
        const int64_t i = (n * 37 + static_cast<int64_t>(t) * 11) % 100;
        const auto s = (*set)->get(i);
        const auto first = static_cast<float>(10 * (i / 20 + 1) + i % 20);
        if (!s.is_ok() || s->label != i / 20 + 1 || s->inputs[0].data<float>()[0] != first) ++wrong[t];
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(8, 0));
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
