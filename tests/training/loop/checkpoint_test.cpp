// Checkpoints: what goes in comes out, and damaged ones are refused.
#include "training/loop/checkpoint.h"

#include <gtest/gtest.h>

namespace octet::training {
namespace {

Checkpoint example() {
  Checkpoint c;
  c.network = "net";
  c.recipe = "a: 1\nb: 2\n";
  c.step = 123;
  c.optimizer_steps = 60;
  c.averaged_updates = 7;
  c.loss_sum = 1.5;
  c.loss_count = 3;
  c.seconds = 0.25;
  c.best_epoch = 2;
  c.best_score = 91.25;
  EpochRecord e;
  e.epoch = 1;
  e.step = 100;
  e.lr = 0.1;
  e.train_loss = 2;
  e.val_top1 = 50;
  e.best = true;
  c.epochs = {e, EpochRecord{}};
  c.module = std::string("mod\0ule", 7);
  c.best_module = "best";
  c.optimizer = {{"w/1", at::full({2, 3}, 4.0, at::kFloat)}, {"s/1", at::full({}, 5, at::kFloat)}};
  c.averaged = {{"n", at::full({3}, 6, at::kLong)}};
  return c;
}

TEST(Checkpoint, ComesBackWhole) {
  const Checkpoint c = example();
  const auto bytes = encode_checkpoint(c);
  ASSERT_TRUE(bytes.is_ok());
  const auto back = decode_checkpoint(*bytes);
  ASSERT_TRUE(back.is_ok()) << back.status().message();
  EXPECT_EQ(back->network, c.network);
  EXPECT_EQ(back->recipe, c.recipe);
  EXPECT_EQ(back->step, 123);
  EXPECT_EQ(back->optimizer_steps, 60);
  EXPECT_EQ(back->averaged_updates, 7);
  EXPECT_EQ(back->best_epoch, 2);
  EXPECT_EQ(back->best_score, 91.25);
  EXPECT_EQ(back->module, c.module);
  ASSERT_EQ(back->epochs.size(), 2u);
  EXPECT_EQ(back->epochs[0].val_top1, 50.0);
  EXPECT_FALSE(back->epochs[0].val_loss.has_value());
  EXPECT_TRUE(back->epochs[0].best);
  ASSERT_EQ(back->optimizer.size(), 2u);
  EXPECT_TRUE(at::equal(back->optimizer[0].tensor, c.optimizer[0].tensor));
  EXPECT_EQ(back->averaged[0].tensor.scalar_type(), at::kLong);
  EXPECT_EQ(*encode_checkpoint(*back), *bytes);
}

TEST(Checkpoint, EveryDamageIsSeen) {
  const std::string bytes = *encode_checkpoint(example());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_EQ(decode_checkpoint(damaged).status().code(), StatusCode::kDataCorrupt) << i;
    EXPECT_FALSE(decode_checkpoint(bytes.substr(0, i)).is_ok()) << i;
  }
}

TEST(Checkpoint, AnotherNetworkOrRecipeIsNamed) {
  const Checkpoint c = example();
  EXPECT_TRUE(check_belongs(c, c.network, c.recipe).is_ok());
  EXPECT_NE(check_belongs(c, "other", c.recipe).message().find("another network"), std::string::npos);
  const std::string message = check_belongs(c, c.network, "a: 1\nb: 3\n").message();
  EXPECT_NE(message.find("'b: 2'"), std::string::npos) << message;
  EXPECT_NE(message.find("'b: 3'"), std::string::npos) << message;
}

}  // namespace
}  // namespace octet::training
