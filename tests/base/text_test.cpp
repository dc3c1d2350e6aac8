#include "base/text.h"

#include <gtest/gtest.h>

namespace octet {
namespace {

TEST(Glob, Stars) {
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("*", "layer1.0/conv"));
  EXPECT_TRUE(glob_match("layer*.conv1", "layer1.0.conv1"));  // '*' crosses dots
  EXPECT_TRUE(glob_match("*/conv/*", "a/b/conv/c/d"));        // and slashes
  EXPECT_FALSE(glob_match("layer*.conv1", "layer1.0.conv2"));
  EXPECT_TRUE(glob_match("**a**", "xxaxx"));
  EXPECT_TRUE(glob_match("*ab*abc", "abababc"));  // needs to go back to the last star
  EXPECT_FALSE(glob_match("", "a"));
  EXPECT_TRUE(glob_match("", ""));
  EXPECT_FALSE(glob_match("conv", "conv1"));  // the whole text
}

TEST(Glob, QuestionMarksAndSets) {
  EXPECT_TRUE(glob_match("conv?", "conv1"));
  EXPECT_FALSE(glob_match("conv?", "conv"));
  EXPECT_TRUE(glob_match("conv[123]", "conv2"));
  EXPECT_FALSE(glob_match("conv[123]", "conv4"));
  EXPECT_TRUE(glob_match("*[ab]c", "xxxbc"));
  EXPECT_TRUE(glob_match("a[", "a["));  // an unclosed set is plain text
  EXPECT_FALSE(glob_match("a[", "ab"));
}

TEST(Glob, HostilePatternIsFast) {
  std::string pattern;
  for (int i = 0; i < 2000; ++i) pattern += "*a";
  EXPECT_FALSE(glob_match(pattern + "b", std::string(4000, 'a')));
}

TEST(Glob, IsGlob) {
  EXPECT_TRUE(is_glob("a*"));
  EXPECT_TRUE(is_glob("a?"));
  EXPECT_TRUE(is_glob("[a]"));
  EXPECT_FALSE(is_glob("layer1.0/conv_2"));
}

TEST(NearMisses, ClosestFirst) {
  const std::vector<std::string> names{"conv10", "relu", "conv1", "conv2", "layer1.conv1.weight"};
  EXPECT_EQ(near_misses("conv1", names), (std::vector<std::string>{"conv1", "conv10", "conv2"}));
  EXPECT_EQ(near_misses("CONV2", names)[0], "conv2");  // case does not matter
  // One contains the other: found although the edit distance is large.
  EXPECT_EQ(near_misses("layer1.conv1", {"relu", "layer1.conv1.weight"}),
            std::vector<std::string>{"layer1.conv1.weight"});
  EXPECT_TRUE(near_misses("something else", names).empty());
  EXPECT_EQ(near_misses("conv1", names, 1).size(), 1U);
  EXPECT_TRUE(near_misses("", {}).empty());
}

TEST(NearMisses, Sentence) {
  EXPECT_EQ(did_you_mean("conv", {"xyzzy"}), "");
  EXPECT_EQ(did_you_mean("axis", {"axes"}), " Did you mean 'axes'?");
  EXPECT_EQ(did_you_mean("conv1", {"conv2", "conv3", "conv4"}), " Did you mean 'conv2', 'conv3' or 'conv4'?");
}

TEST(NearMisses, LongNamesAreCut) {
  const std::string huge(1 << 20, 'a');
  EXPECT_EQ(near_misses(huge, {huge}), std::vector<std::string>{huge});
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(split("a,b,,c,", ','), (std::vector<std::string>{"a", "b", "", "c", ""}));
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
  EXPECT_EQ(join(split("a,b,,c,", ','), ","), "a,b,,c,");
  EXPECT_EQ(join({}, ", "), "");
}

TEST(Text, LowerAndTrim) {
  EXPECT_EQ(to_lower("MinMAX-8"), "minmax-8");
  EXPECT_EQ(trim(" \t a b \n"), "a b");
  EXPECT_EQ(trim(" \n "), "");
}

}  // namespace
}  // namespace octet
