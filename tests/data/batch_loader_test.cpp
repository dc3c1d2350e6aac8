// The loader gives the same batches for any number of workers; shards join to the whole; it stops cleanly.
#include "data/batch_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "data/augment.h"
#include "test_files.h"

namespace octet::test {
namespace {

constexpr int64_t kCount = 50;

class BatchLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pixels, labels;
    for (int64_t i = 0; i < kCount; ++i) {
      for (int64_t p = 0; p < 30; ++p) pixels += static_cast<char>((i * 31 + p * 7) % 256);
      labels += static_cast<char>(i % 10);
    }
    folder_.write("train-images-idx3-ubyte", idx_file({kCount, 5, 6}, pixels));
    folder_.write("train-labels-idx1-ubyte", idx_file({kCount}, labels));
    samples_ = open({});
  }

  std::unique_ptr<TrainingSamples> open(const AugmentOptions& augment, const std::string& more = "") {
    const DataSpec spec = spec_of("idx:" + folder_.path() + "?split=train" + more);
    auto opened = TrainingSamples::open(spec, {input("x", {-1, 1, 5, 6})}, augment);
    EXPECT_TRUE(opened.is_ok()) << opened.status().message();
    return opened.is_ok() ? std::move(opened).value() : nullptr;
  }

  static std::vector<TrainingBatch> all(const TrainingSamples& samples, const LoaderOptions& options) {
    std::vector<TrainingBatch> out;
    auto loader = BatchLoader::create(samples, options);
    EXPECT_TRUE(loader.is_ok()) << loader.status().message();
    if (!loader.is_ok()) return out;
    for (;;) {
      auto batch = (*loader)->next();
      EXPECT_TRUE(batch.is_ok()) << batch.status().message();
      if (!batch.is_ok() || !batch->has_value()) return out;
      out.push_back(std::move(**batch));
    }
  }

  TempFolder folder_;
  std::unique_ptr<TrainingSamples> samples_;
};

TEST_F(BatchLoaderTest, TheSameBatchesForAnyNumberOfWorkers) {
  AugmentOptions augment;
  augment.horizontal_flip = 0.5;
  augment.crop_padding = 2;
  augment.brightness = 0.4;
  const auto samples = open(augment);
  LoaderOptions o;
  o.batch_size = 8;
  o.seed = 3;
  o.mixup = 0.3;
  o.end_step = 20;  // several epochs of 6
  o.workers = 0;
  const auto expected = all(*samples, o);
  ASSERT_EQ(expected.size(), 20u);
  for (int workers : {1, 2, 5}) {
    o.workers = workers;
    const auto got = all(*samples, o);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].step, static_cast<int64_t>(i));
      EXPECT_EQ(got[i].samples, expected[i].samples);
      EXPECT_EQ(got[i].labels, expected[i].labels);
      EXPECT_EQ(got[i].partner_labels, expected[i].partner_labels);
      EXPECT_EQ(got[i].lambda, expected[i].lambda);
      EXPECT_TRUE(same_bits(got[i].inputs[0], expected[i].inputs[0])) << workers << " workers, batch " << i;
    }
  }
}

TEST_F(BatchLoaderTest, StartingInTheMiddleGivesTheSameRest) {
  LoaderOptions o;
  o.batch_size = 7;
  o.workers = 2;
  o.end_step = 15;
  const auto whole = all(*samples_, o);
  o.first_step = 9;
  const auto rest = all(*samples_, o);
  ASSERT_EQ(rest.size(), 6u);
  for (size_t i = 0; i < rest.size(); ++i) {
    EXPECT_EQ(rest[i].samples, whole[9 + i].samples);
    EXPECT_TRUE(same_bits(rest[i].inputs[0], whole[9 + i].inputs[0]));
  }
}

TEST_F(BatchLoaderTest, AnEpochHoldsEverySampleOnceInAnOrderOfItsOwn) {
  LoaderOptions o;
  o.batch_size = 8;
  o.drop_last = false;
  o.end_step = 14;
  const auto batches = all(*samples_, o);
  std::vector<int64_t> epochs[2];
  for (const TrainingBatch& b : batches) {
    auto& e = epochs[b.epoch];
    e.insert(e.end(), b.samples.begin(), b.samples.end());
    for (size_t i = 0; i < b.samples.size(); ++i) EXPECT_EQ(b.labels[i], b.samples[i] % 10);
  }
  EXPECT_EQ(batches[6].samples.size(), 2u);
  EXPECT_NE(epochs[0], epochs[1]);
  for (auto& e : epochs) {
    std::sort(e.begin(), e.end());
    std::vector<int64_t> once(kCount);
    std::iota(once.begin(), once.end(), int64_t{0});
    EXPECT_EQ(e, once);
  }
  o.shuffle = false;
  o.end_step = 1;
  EXPECT_EQ(all(*samples_, o)[0].samples, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_F(BatchLoaderTest, TheShardsOfAllRanksAreTheWholeBatch) {
  LoaderOptions o;
  o.batch_size = 10;
  o.mixup = 1;
  o.end_step = 7;
  const auto whole = all(*samples_, o);
  for (int world : {2, 3}) {
    o.world_size = world;
    std::vector<std::vector<TrainingBatch>> shards;
    for (o.rank = 0; o.rank < world; ++o.rank) shards.push_back(all(*samples_, o));
    for (size_t s = 0; s < whole.size(); ++s) {
      std::vector<int64_t> samples, partners;
      std::string bytes;
      for (const auto& shard : shards) {
        const TrainingBatch& b = shard[s];
        EXPECT_EQ(b.global_size, 10);
        EXPECT_EQ(b.lambda, whole[s].lambda);
        samples.insert(samples.end(), b.samples.begin(), b.samples.end());
        partners.insert(partners.end(), b.partner_labels.begin(), b.partner_labels.end());
        bytes.append(b.inputs[0].data<char>(), static_cast<size_t>(b.inputs[0].nbytes()));
      }
      EXPECT_EQ(samples, whole[s].samples);
      EXPECT_EQ(partners, whole[s].partner_labels);
      EXPECT_EQ(bytes,
                std::string(whole[s].inputs[0].data<char>(), static_cast<size_t>(whole[s].inputs[0].nbytes())));
    }
  }
}

TEST_F(BatchLoaderTest, MixupIsTheWeightedSumWithTheNextSample) {
  LoaderOptions o;
  o.batch_size = 6;
  o.end_step = 3;
  const auto plain = all(*samples_, o);
  o.mixup = 0.5;
  const auto mixed = all(*samples_, o);
  for (size_t s = 0; s < plain.size(); ++s) {
    const float l = mixed[s].lambda;
    EXPECT_GE(l, 0);
    EXPECT_LE(l, 1);
    for (size_t i = 0; i < 6; ++i) {
      const size_t next = (i + 1) % 6;
      EXPECT_EQ(mixed[s].partner_labels[i], plain[s].labels[next]);
      for (size_t p = 0; p < 30; ++p) {
        const float a = plain[s].inputs[0].data<float>()[i * 30 + p],
                    b = plain[s].inputs[0].data<float>()[next * 30 + p];
        EXPECT_EQ(mixed[s].inputs[0].data<float>()[i * 30 + p], l * a + (1 - l) * b);
      }
    }
  }
}

TEST_F(BatchLoaderTest, PixelsAreNormalisedAsTheDataSetNormalisesThem) {
  const std::string more = "&scale=1/255&mean=0.3&std=0.2";
  const auto samples = open({}, more);
  const auto set =
      open_dataset(spec_of("idx:" + folder_.path() + "?split=train" + more), {input("x", {-1, 1, 5, 6})});
  ASSERT_TRUE(set.is_ok());
  for (int64_t i = 0; i < kCount; ++i) {
    const auto a = samples->get(i, 1, 0);
    const auto b = (*set)->get(i);
    ASSERT_TRUE(a.is_ok() && b.is_ok());
    EXPECT_TRUE(same_bits(a->inputs[0], b->inputs[0]));
    EXPECT_EQ(a->label, b->label);
  }
}

TEST_F(BatchLoaderTest, TheFirstErrorIsReturnedAtItsStepAndAgain) {
  TempFolder images;
  for (int i = 0; i < 12; ++i)
    images.write("a/" + std::to_string(100 + i) + ".png", i == 7 ? "not a png" : png_file(noise_image(8, 8, 3)));
  const auto samples = TrainingSamples::open(spec_of("folder:" + images.path() + "?resize=stretch&width=8&height=8"),
                                             {input("x", {-1, 3, 8, 8})}, {});
  ASSERT_TRUE(samples.is_ok()) << samples.status().message();
  LoaderOptions o;
  o.batch_size = 3;
  o.shuffle = false;
  o.workers = 3;
  auto loader = BatchLoader::create(**samples, o);
  ASSERT_TRUE(loader.is_ok());
  EXPECT_TRUE((*loader)->next().is_ok());
  EXPECT_TRUE((*loader)->next().is_ok());
  for (int again = 0; again < 2; ++again) {
    const auto failed = (*loader)->next();
    ASSERT_FALSE(failed.is_ok());
    EXPECT_NE(failed.status().message().find("107.png"), std::string::npos) << failed.status().message();
  }
}

TEST_F(BatchLoaderTest, StopsWithoutBeingEmptied) {
  LoaderOptions o;
  o.batch_size = 2;
  o.workers = 4;
  for (int i = 0; i < 20; ++i) {
    auto loader = BatchLoader::create(*samples_, o);
    ASSERT_TRUE(loader.is_ok());
    const bool read = i % 2 != 0 || (*loader)->next().is_ok();
    EXPECT_TRUE(read);
  }
}

TEST_F(BatchLoaderTest, WhatCannotBeSharedIsRefused) {
  LoaderOptions o;
  o.batch_size = kCount + 1;
  const auto none = BatchLoader::create(*samples_, o);
  ASSERT_FALSE(none.is_ok());
  EXPECT_NE(none.status().message().find("drop_last"), std::string::npos);
  o.drop_last = false;
  EXPECT_TRUE(BatchLoader::create(*samples_, o).is_ok());
  o.batch_size = 2;
  o.world_size = 3;
  EXPECT_FALSE(BatchLoader::create(*samples_, o).is_ok());
  const auto narrow =
      TrainingSamples::open(spec_of("idx:" + folder_.path() + "?split=train"), {input("x", {-1, 1, 5, 5})}, {});
  EXPECT_FALSE(narrow.is_ok());
}

}  // namespace
}  // namespace octet::test
