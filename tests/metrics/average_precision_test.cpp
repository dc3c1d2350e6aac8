#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "metrics/detection.h"

namespace octet {
namespace {

Box box(float x, float w, int64_t label, float score = 1) { return {x, 0, x + w, 10, label, score}; }

TEST(AveragePrecision, PerfectAndEmpty) {
  AveragePrecision m;
  EXPECT_DOUBLE_EQ(m.summarize().map, 0);
  m.add_image({box(0, 10, 1), box(50, 10, 2)}, {box(0, 10, 1), box(50, 10, 2)});
  const auto s = m.summarize();
  EXPECT_DOUBLE_EQ(s.map50, 1);
  EXPECT_NEAR(s.map, 1, 1e-12);
  EXPECT_EQ(s.classes.size(), 2u);
  EXPECT_EQ(s.images, 1);
  AveragePrecision none;
  none.add_image({}, {box(0, 10, 1)});
  EXPECT_DOUBLE_EQ(none.summarize().map50, 0);
}

// Scores 0.9 hit, 0.8 miss, 0.7 hit for two annotations: precision 1 up to recall 0.5 (51 of the 101 points), then
// 2/3 (50 points).
TEST(AveragePrecision, ByHand) {
  AveragePrecision m;
  m.add_image({box(0, 10, 0, 0.9f), box(30, 10, 0, 0.8f)}, {box(0, 10, 0)});
  m.add_image({box(0, 10, 0, 0.7f)}, {box(0, 10, 0)});
  EXPECT_NEAR(m.summarize().map50, (51 + 50 * 2.0 / 3) / 101, 1e-12);
}

// An overlap of 2/3 counts at 0.50, 0.55, 0.60 and 0.65: 4 of 10 thresholds.
TEST(AveragePrecision, Thresholds) {
  AveragePrecision m;
  m.add_image({{0, 0, 10, 10, 0, 1}}, {{0, 0, 15, 10, 0}});
  EXPECT_DOUBLE_EQ(m.summarize().map50, 1);
  EXPECT_NEAR(m.summarize().map, 0.4, 1e-12);
  AveragePrecision exact;  // exactly 0.5 is a hit
  exact.add_image({{0, 0, 10, 10, 0, 1}}, {{0, 0, 20, 10, 0}});
  EXPECT_DOUBLE_EQ(exact.summarize().map50, 1);
  EXPECT_NEAR(exact.summarize().map, 0.1, 1e-12);
}

TEST(AveragePrecision, SecondDetectionOfAnObjectIsAMiss) {
  AveragePrecision m;
  m.add_image({box(0, 10, 0, 0.9f), box(0, 10, 0, 0.8f), box(30, 10, 0, 0.7f)}, {box(0, 10, 0), box(30, 10, 0)});
  EXPECT_NEAR(m.summarize().map50, (51 + 50 * 2.0 / 3) / 101, 1e-12);
}

TEST(AveragePrecision, ClassesAndLimits) {
  AveragePrecision m(1);  // the best detection of a class and image only
  m.add_image({box(0, 10, 0, 0.3f), box(30, 10, 0, 0.9f), box(0, 10, 7, 0.9f)}, {box(0, 10, 0), box(0, 10, 1)});
  const auto s = m.summarize();
  EXPECT_EQ(s.annotations, 2);
  EXPECT_EQ(s.detections, 2);  // class 7 counts as detections, not as a class
  EXPECT_EQ(s.classes.size(), 2u);
  EXPECT_DOUBLE_EQ(s.map50, 0);
  AveragePrecision all;
  all.add_image({box(0, 10, 0)}, {box(0, 10, 0), box(0, 10, 1)});
  EXPECT_DOUBLE_EQ(all.summarize().map50, 0.5);
  EXPECT_DOUBLE_EQ(all.summarize({0}).map50, 1);
}

struct Item {
  size_t image;
  Box found;
};

// The definition with loops over everything: for each recall point, the best precision of any prefix of the ranking
// that reaches it; each prefix is matched anew.
double brute_force(const std::vector<std::vector<Box>>& found, const std::vector<std::vector<Box>>& truth,
                   double threshold) {
  std::vector<Item> ranking;
  size_t annotations = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    annotations += truth[i].size();
    for (const Box& b : found[i]) ranking.push_back({i, b});
  }
  std::sort(ranking.begin(), ranking.end(),
            [](const Item& a, const Item& b) { return a.found.score > b.found.score; });
  std::vector<std::pair<size_t, double>> points;  // hits and precision of each prefix
  for (size_t n = 1; n <= ranking.size(); ++n) {
    std::vector<std::vector<bool>> taken;
    for (const auto& t : truth) taken.emplace_back(t.size());
    size_t hits = 0;
    for (size_t k = 0; k < n; ++k) {
      const size_t i = ranking[k].image;
      int best = -1;
      for (size_t a = 0; a < truth[i].size(); ++a) {
        const double overlap = box_iou(ranking[k].found, truth[i][a]);
        if (taken[i][a] || overlap < threshold) continue;
        if (best < 0 || overlap >= box_iou(ranking[k].found, truth[i][static_cast<size_t>(best)]))
          best = static_cast<int>(a);
      }
      if (best < 0) continue;
      taken[i][static_cast<size_t>(best)] = true;
      ++hits;
    }
    points.emplace_back(hits, static_cast<double>(hits) / static_cast<double>(n));
  }
  double sum = 0;
  for (int step = 0; step <= 100; ++step) {
    double best = 0;
    for (const auto& [hits, precision] : points)
      if (static_cast<double>(hits) / static_cast<double>(annotations) >= step / 100.0)
        best = std::max(best, precision);
    sum += best;
  }
  return sum / 101;
}

TEST(AveragePrecision, AgreesWithBruteForce) {
  std::mt19937 random(11);
  const auto draw = [&](unsigned n) { return static_cast<float>(random() % n); };
  for (int round = 0; round < 40; ++round) {
    std::vector<std::vector<Box>> found(3), truth(3);
    AveragePrecision m;
    int serial = 0;
    for (size_t i = 0; i < 3; ++i) {
      for (int k = 0; k < 4; ++k) truth[i].push_back({draw(20), draw(20), 25 + draw(10), 25 + draw(10), 0, 1});
      for (int k = 0; k < 8; ++k) {
        Box b = truth[i][random() % 4];
        b.x1 += draw(8), b.y2 -= draw(5);
        b.score = static_cast<float>((++serial * 7 + round) % 25) / 25;  // all different
        found[i].push_back(b);
      }
      m.add_image(found[i], truth[i]);
    }
    double mean = 0;
    for (int t = 0; t < 10; ++t) mean += brute_force(found, truth, 0.5 + 0.05 * t) / 10;
    EXPECT_NEAR(m.summarize().map50, brute_force(found, truth, 0.5), 1e-12);
    EXPECT_NEAR(m.summarize().map, mean, 1e-12);
  }
}

}  // namespace
}  // namespace octet
