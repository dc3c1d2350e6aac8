// Nodes on paper: apart from each other, the same every time, in bounded time.
#include "report/layout.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "support/random_graph.h"

namespace octet::report {
namespace {

std::vector<LayoutEdge> residual_chain(size_t n) {
  std::vector<LayoutEdge> edges;
  for (size_t i = 1; i < n; ++i) {
    edges.push_back({i - 1, i});
    if (i % 4 == 3) edges.push_back({i - 3, i});
  }
  return edges;
}

void expect_readable(const Layout& layout, size_t nodes, const std::vector<LayoutEdge>& edges) {
  ASSERT_EQ(layout.nodes.size(), nodes);
  ASSERT_EQ(layout.paths.size(), edges.size());
  for (size_t i = 0; i < nodes; ++i) {
    const auto [x, y] = layout.nodes[i];
    EXPECT_GE(x - kNodeWidth / 2, 0);
    EXPECT_LE(x + kNodeWidth / 2, layout.width);
    EXPECT_GE(y - kNodeHeight / 2, 0);
    EXPECT_LE(y + kNodeHeight / 2, layout.height);
    for (size_t j = 0; j < i && nodes <= 1000; ++j)
      EXPECT_TRUE(std::fabs(layout.nodes[j].first - x) > kNodeWidth - 1 ||
                  std::fabs(layout.nodes[j].second - y) > kNodeHeight - 1)
          << i << " lies on " << j;
  }
  for (const LayoutEdge& e : edges) EXPECT_LT(layout.nodes[e.from].second, layout.nodes[e.to].second);
  for (const std::string& path : layout.paths) EXPECT_EQ(path.substr(0, 1), "M");
}

TEST(Layout, NodesDoNotOverlapAndEdgesLeadDown) {
  for (const size_t n : {size_t{1}, size_t{2}, size_t{40}, kMostDotNodes, kMostDotNodes + 1}) {
    const auto edges = residual_chain(n);
    const Layout layout = lay_out(n, edges);
    expect_readable(layout, n, edges);
    const Layout again = lay_out(n, edges);
    EXPECT_EQ(layout.nodes, again.nodes);
    EXPECT_EQ(layout.paths, again.paths);
  }
  EXPECT_EQ(lay_out(0, {}).nodes.size(), 0u);
}

TEST(Layout, EdgesTwiceAndNodesAlone) {
  const std::vector<LayoutEdge> edges = {{0, 1}, {0, 1}, {0, 3}};
  expect_readable(lay_out(5, edges), 5, edges);
}

TEST(Layout, DenseAndLargeNetworksTakeBoundedTime) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<LayoutEdge> dense;
  for (size_t i = 0; i < 90; ++i)
    for (size_t j = i + 1; j < 90; ++j) dense.push_back({i, j});
  ASSERT_GT(dense.size(), 2 * kMostDotNodes);
  expect_readable(lay_out(90, dense), 90, dense);
  const auto chain = residual_chain(100000);
  expect_readable(lay_out(100000, chain), 100000, chain);
  test::Random random(5);
  std::vector<LayoutEdge> tangled;
  for (size_t i = 1; i < kMostDotNodes; ++i)
    for (int k = 0; k < 2; ++k)
      tangled.push_back({static_cast<size_t>(random.integer(0, static_cast<int64_t>(i) - 1)), i});
  EXPECT_EQ(lay_out(kMostDotNodes, tangled).nodes.size(), kMostDotNodes);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 60);
}

}  // namespace
}  // namespace octet::report
