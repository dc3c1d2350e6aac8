// SimOTA against a slow form of its definition: every cell against every target, nothing left out early.
#include "training/loop/sim_ota.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "support/random_graph.h"

namespace octet::training {
namespace {

using octet::test::Random;

struct Image {
  std::vector<GridCell> cells;
  std::vector<float> boxes, objectness, classes;
  int64_t class_count = 4;
  std::vector<Box> targets;
  CellPredictions predicted() const { return {boxes.data(), objectness.data(), classes.data(), class_count}; }
};

Image random_image(uint64_t seed, int64_t side, int targets) {
  Random random(seed);
  Image image;
  for (int64_t stride : {8, 16, 32})
    for (int64_t y = 0; y < side / stride; ++y)
      for (int64_t x = 0; x < side / stride; ++x)
        image.cells.push_back({static_cast<float>(x), static_cast<float>(y), static_cast<float>(stride)});
  const auto real = [&](double lo, double hi) { return static_cast<float>(random.real(lo, hi)); };
  const auto limit = static_cast<double>(side);
  for (const GridCell& cell : image.cells) {
    const float x = (cell.x + real(0, 1)) * cell.stride, y = (cell.y + real(0, 1)) * cell.stride;
    const float w = cell.stride * real(0.5, 4), h = cell.stride * real(0.5, 4);
    for (float v : {x - w / 2, y - h / 2, x + w / 2, y + h / 2}) image.boxes.push_back(v);
    image.objectness.push_back(real(0, 1));
    for (int64_t k = 0; k < image.class_count; ++k) image.classes.push_back(real(0, 1));
  }
  for (int t = 0; t < targets; ++t) {
    const float x = real(0, limit - 8), y = real(0, limit - 8);
    image.targets.push_back({x, y, std::min(x + real(4, 60), static_cast<float>(limit)),
                             std::min(y + real(4, 60), static_cast<float>(limit)), random.integer(0, 3), 1});
  }
  return image;
}

double slow_iou(const float* a, const Box& b) {
  const double w = std::min<double>(a[2], b.x2) - std::max<double>(a[0], b.x1);
  const double h = std::min<double>(a[3], b.y2) - std::max<double>(a[1], b.y1);
  const double both = std::max(w, 0.0) * std::max(h, 0.0);
  const double first = static_cast<double>(a[2] - a[0]) * (a[3] - a[1]);
  const double second = (static_cast<double>(b.x2) - b.x1) * (static_cast<double>(b.y2) - b.y1);
  return both / (first + second - both);
}

double slow_cost(const Image& image, size_t cell, const Box& target, bool inside, bool near) {
  double cost = 0;
  for (int64_t k = 0; k < image.class_count; ++k) {
    const double p = std::sqrt(static_cast<double>(image.objectness[cell]) *
                               image.classes[cell * static_cast<size_t>(image.class_count) + static_cast<size_t>(k)]);
    cost += k == target.label ? -std::log(p) : -std::log(1 - p);
  }
  cost += 3 * -std::log(slow_iou(image.boxes.data() + cell * 4, target) + 1e-8);
  return inside && near ? cost : cost + 1e5;
}

std::map<int64_t, int64_t> slow_assignment(const Image& image) {
  const size_t n = image.cells.size(), m = image.targets.size();
  std::vector<std::vector<bool>> inside(m, std::vector<bool>(n)), near = inside;
  std::vector<bool> candidate(n, false);
  for (size_t t = 0; t < m; ++t)
    for (size_t c = 0; c < n; ++c) {
      const GridCell& cell = image.cells[c];
      const Box& b = image.targets[t];
      const double x = (cell.x + 0.5) * cell.stride, y = (cell.y + 0.5) * cell.stride;
      inside[t][c] = x > b.x1 && x < b.x2 && y > b.y1 && y < b.y2;
      near[t][c] = std::abs(x - (static_cast<double>(b.x1) + b.x2) / 2) < 2.5 * cell.stride &&
                   std::abs(y - (static_cast<double>(b.y1) + b.y2) / 2) < 2.5 * cell.stride;
      candidate[c] = candidate[c] || inside[t][c] || near[t][c];
    }
  std::vector<std::vector<bool>> takes(m, std::vector<bool>(n, false));
  for (size_t t = 0; t < m; ++t) {
    std::vector<double> ious;
    std::vector<std::pair<double, size_t>> costs;
    for (size_t c = 0; c < n; ++c) {
      if (!candidate[c]) continue;
      ious.push_back(slow_iou(image.boxes.data() + c * 4, image.targets[t]));
      costs.emplace_back(slow_cost(image, c, image.targets[t], inside[t][c], near[t][c]), c);
    }
    std::sort(ious.rbegin(), ious.rend());
    std::sort(costs.begin(), costs.end());
    double sum = 0;
    for (size_t i = 0; i < std::min<size_t>(10, ious.size()); ++i) sum += ious[i];
    const size_t k = std::max<size_t>(1, static_cast<size_t>(std::floor(sum)));
    for (size_t i = 0; i < std::min(k, costs.size()); ++i) takes[t][costs[i].second] = true;
  }
  std::map<int64_t, int64_t> out;
  for (size_t c = 0; c < n; ++c) {
    std::vector<size_t> takers;
    for (size_t t = 0; t < m; ++t)
      if (takes[t][c]) takers.push_back(t);
    if (takers.empty()) continue;
    size_t best = takers[0];
    double least = 1e300;
    for (size_t t = 0; takers.size() > 1 && t < m; ++t) {
      const double cost = slow_cost(image, c, image.targets[t], inside[t][c], near[t][c]);
      if (cost < least) {
        least = cost;
        best = t;
      }
    }
    out[static_cast<int64_t>(c)] = static_cast<int64_t>(best);
  }
  return out;
}

TEST(SimOta, IsItsSlowDefinition) {
  size_t shared = 0, matched = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Image image = random_image(seed, seed % 2 == 0 ? 64 : 128, 1 + static_cast<int>(seed % 7));
    const std::vector<CellMatch> matches = sim_ota(image.cells, image.predicted(), image.targets);
    const std::map<int64_t, int64_t> want = slow_assignment(image);
    ASSERT_EQ(matches.size(), want.size()) << seed;
    int64_t before = -1;
    for (const CellMatch& match : matches) {
      EXPECT_GT(match.cell, before) << "in the order of cells";
      before = match.cell;
      ASSERT_TRUE(want.count(match.cell)) << seed;
      EXPECT_EQ(match.target, want.at(match.cell)) << seed;
      EXPECT_NEAR(match.iou,
                  slow_iou(image.boxes.data() + match.cell * 4, image.targets[static_cast<size_t>(match.target)]),
                  1e-6);
    }
    matched += matches.size();
    shared += matches.size() > image.targets.size() ? 1 : 0;
  }
  EXPECT_GT(matched, 200u);
  EXPECT_GT(shared, 10u) << "some targets take several cells";
}

TEST(SimOta, EveryTargetNearACellIsLearntBySomeCell) {
  // One box and perfect predictions: as many cells as the overlaps add up to.
  Image image = random_image(3, 64, 1);
  image.targets = {{16, 16, 48, 48, 2, 1}};
  for (size_t c = 0; c < image.cells.size(); ++c) {
    std::copy_n(&image.targets[0].x1, 4, image.boxes.begin() + static_cast<std::ptrdiff_t>(c * 4));
    image.objectness[c] = 0.5F;
  }
  const auto matches = sim_ota(image.cells, image.predicted(), image.targets);
  EXPECT_EQ(matches.size(), 10u);
  for (const CellMatch& match : matches) EXPECT_FLOAT_EQ(match.iou, 1);
}

TEST(SimOta, NothingToLearnAndNumbersThatAreNone) {
  Image image = random_image(5, 64, 2);
  EXPECT_TRUE(sim_ota(image.cells, image.predicted(), {}).empty());
  EXPECT_TRUE(sim_ota({}, {}, image.targets).empty());
  EXPECT_TRUE(sim_ota(image.cells, image.predicted(), {{1000, 1000, 1010, 1010, 0, 1}}).empty()) << "far outside";
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    std::fill(image.boxes.begin(), image.boxes.end(), bad);
    std::fill(image.objectness.begin(), image.objectness.end(), bad);
    for (const CellMatch& match : sim_ota(image.cells, image.predicted(), image.targets)) {
      EXPECT_LT(match.cell, static_cast<int64_t>(image.cells.size()));
      EXPECT_LT(match.target, 2);
    }
  }
}

}  // namespace
}  // namespace octet::training
