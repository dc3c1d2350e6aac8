// Networks of the zoo as training leaves them: batch norms whose statistics and factors are not those of the start.
#pragma once

#include <gtest/gtest.h>

#include "octet/zoo.h"
#include "support/random_graph.h"
#include "zoo/state_names.h"

namespace octet::test {

inline void randomize_norms(Graph& graph, uint64_t seed) {
  Random random(seed);
  for (const Node& node : graph.nodes) {
    if (!node.is("BatchNormalization")) continue;
    const double ranges[][2] = {{0.5, 1.2}, {-0.3, 0.3}, {-0.4, 0.4}, {0.5, 2.0}};
    for (size_t i = 0; i < 4; ++i) {
      Value& value = graph.value(node.inputs[i + 1]);
      value.constant = random_tensor(random, value.constant->dims(), ranges[i][0], ranges[i][1]);
    }
  }
}

inline Graph built(const std::string& name, const ZooOptions& options = {}) {
  Result<Graph> graph = build_network(name, options);
  EXPECT_TRUE(graph.is_ok()) << graph.status().message();
  return graph.is_ok() ? std::move(graph).value() : Graph();
}

}  // namespace octet::test
