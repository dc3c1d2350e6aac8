// The state of an interrupted job: exact, and of one job only.
#include "search/saved_state.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "search/support.h"

namespace octet {
namespace {

TEST(SavedState, NumbersComeBackBitForBit) {
  const test::Folder folder;
  auto state = SavedState::open(folder.path(), "s.json", "key");
  ASSERT_TRUE(state.is_ok());
  const double third = 1.0 / 3, infinity = std::numeric_limits<double>::infinity();
  state->set("a \"quoted\" name", "x", third);
  state->set("b", "up", infinity);
  state->set("b", "down", -infinity);
  state->set("b", "nothing", std::nan(""));
  state->set_text("recipe", "line\nline");
  ASSERT_TRUE(state->save().is_ok());
  const auto again = SavedState::open(folder.path(), "s.json", "key");
  ASSERT_TRUE(again.is_ok()) << again.status().message();
  EXPECT_EQ(again->find("a \"quoted\" name", "x"), third);
  EXPECT_EQ(again->find("b", "up"), infinity);
  EXPECT_EQ(again->find("b", "down"), -infinity);
  EXPECT_TRUE(std::isnan(*again->find("b", "nothing")));
  EXPECT_EQ(again->find("b", "missing"), std::nullopt);
  EXPECT_EQ(again->find_text("recipe"), "line\nline");
}

TEST(SavedState, OfAnotherJobIsNotUsed) {
  const test::Folder folder;
  auto state = SavedState::open(folder.path(), "s.json", "key");
  ASSERT_TRUE(state.is_ok());
  state->set("a", "x", 1);
  ASSERT_TRUE(state->save().is_ok());
  EXPECT_EQ(SavedState::open(folder.path(), "s.json", "other")->find("a", "x"), std::nullopt);
}

TEST(SavedState, DamagedFilesAreNamed) {
  const test::Folder folder;
  for (const char* text : {"", "[]", "{\"format\": \"octet-state\"}",
                           "{\"format\": \"octet-state\", \"key\": \"key\", "
                           "\"figures\": {\"a\": {\"x\": []}}, \"texts\": {}}",
                           "\xff\xfe"}) {
    std::ofstream(folder.path() + "/s.json") << text;
    const auto state = SavedState::open(folder.path(), "s.json", "key");
    ASSERT_FALSE(state.is_ok()) << text;
    EXPECT_NE(state.status().message().find("s.json"), std::string::npos) << state.status().message();
  }
}

TEST(SavedState, WithoutAFolderNothingIsWritten) {
  auto state = SavedState::open("", "s.json", "key");
  ASSERT_TRUE(state.is_ok());
  state->set("a", "x", 1);
  EXPECT_TRUE(state->save().is_ok());
  EXPECT_EQ(state->find("a", "x"), 1);
}

}  // namespace
}  // namespace octet
