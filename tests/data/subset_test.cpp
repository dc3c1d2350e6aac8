#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "octet/data.h"

namespace octet {
namespace {

TEST(Subset, SeedZeroTakesTheFirst) {
  EXPECT_EQ(deterministic_subset(10, 3, 0), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(deterministic_subset(2, 5, 0), (std::vector<int64_t>{0, 1}));
  EXPECT_TRUE(deterministic_subset(0, 5, 3).empty());
  EXPECT_TRUE(deterministic_subset(5, -1, 3).empty());
}

TEST(Subset, SeededIsASampleWithoutReplacement) {
  const auto a = deterministic_subset(1000, 200, 7);
  EXPECT_EQ(std::set<int64_t>(a.begin(), a.end()).size(), 200u);
  EXPECT_TRUE(std::all_of(a.begin(), a.end(), [](int64_t i) { return i >= 0 && i < 1000; }));
  EXPECT_EQ(a, deterministic_subset(1000, 200, 7));
  EXPECT_NE(a, deterministic_subset(1000, 200, 8));
  const auto shorter = deterministic_subset(1000, 50, 7);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), a.begin()));
}

// Computed by a Python port of SplitMix64 and the shuffle: the numbers must never change.
TEST(Subset, TheAlgorithmIsFixed) {
  EXPECT_EQ(deterministic_subset(10, 10, 1), (std::vector<int64_t>{5, 8, 1, 3, 7, 2, 4, 6, 0, 9}));
  EXPECT_EQ(deterministic_subset(1000, 5, 42), (std::vector<int64_t>{413, 182, 552, 26, 338}));
}

TEST(Subset, IsUniformEnough) {
  std::vector<int> hits(20);
  for (uint64_t seed = 1; seed <= 2000; ++seed)
    for (int64_t i : deterministic_subset(20, 5, seed)) ++hits[static_cast<size_t>(i)];
  for (int h : hits) EXPECT_NEAR(h, 500, 100);  // binomial with a deviation of 19
}

}  // namespace
}  // namespace octet
