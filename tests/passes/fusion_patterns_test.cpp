#include "passes/fusion_patterns.h"

#include "passes/net.h"

namespace octet::test {
namespace {

std::string described(const Pattern& p) {
  std::string text = pattern_kind_name(p.kind);
  if (!p.activation.empty()) text += " " + p.activation;
  return text + " " + std::to_string(p.nodes.size());
}

std::vector<std::string> patterns_of(Net& net) {
  const Status shapes = infer_shapes(net.graph);
  EXPECT_TRUE(shapes.is_ok()) << shapes.message();
  std::vector<std::string> texts;
  for (const Pattern& p : find_patterns(net.graph, GraphIndex(net.graph))) texts.push_back(described(p));
  return texts;
}

using Texts = std::vector<std::string>;

ValueId conv(Net& n, ValueId x, int64_t c = 3) { return n.op("Conv", {x, n.floats({c, c, 1, 1})}); }
ValueId silu(Net& n, ValueId x) { return n.op("Mul", {x, n.op("Sigmoid", {x})}); }

TEST(FusionPatterns, ConvWithEveryTail) {
  Net net;
  ValueId x = net.input("x", {-1, 3, 4, 4});
  x = net.op("Relu", {conv(net, x)});
  x = net.batch_norm(conv(net, x), 3);
  x = net.op("Clip", {net.batch_norm(conv(net, x), 3), net.number(0), net.number(6)});
  x = net.op("Relu", {net.op("Add", {x, conv(net, x)})});
  x = silu(net, conv(net, x));
  net.output(net.op("MaxPool", {x}, {{"kernel_shape", std::vector<int64_t>{2, 2}}}));
  EXPECT_EQ(patterns_of(net), (Texts{"conv_activation Relu 2", "conv_batch_norm 2", "conv_activation Clip 3",
                                     "conv_add_activation Relu 3", "conv_activation SiLU 3"}));
}

TEST(FusionPatterns, TheBranchComputedLastOwnsTheAdd) {
  Net net;
  const ValueId x = net.op("Relu", {net.input("x", {-1, 3, 4, 4})});
  const ValueId a = conv(net, x);
  const ValueId b = conv(net, x);
  net.output(net.op("Add", {b, a}));
  ASSERT_TRUE(infer_shapes(net.graph).is_ok());
  const GraphIndex index(net.graph);
  EXPECT_FALSE(match_weighted_chain(net.graph, index, 1)->add.has_value());
  const auto chain = match_weighted_chain(net.graph, index, 2);
  ASSERT_TRUE(chain->add.has_value());
  EXPECT_EQ(chain->skip, a);
  EXPECT_EQ(chain->output, net.graph.outputs[0]);
}

TEST(FusionPatterns, ASkipThatIsComputedLaterIsStillTheSkip) {
  Net net;
  const ValueId x = net.op("Relu", {net.input("x", {-1, 3, 4, 4})});
  const ValueId a = conv(net, x);
  const ValueId skip = net.op("MaxPool", {x}, {{"kernel_shape", std::vector<int64_t>{1, 1}}});
  net.output(net.op("Relu", {net.op("Add", {a, skip})}));
  EXPECT_EQ(patterns_of(net), Texts{"conv_add_activation Relu 3"});
}

TEST(FusionPatterns, BroadcastAndConstantAddsAreNoResiduals) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 4});
  net.output(net.op("Add", {conv(net, x), net.op("GlobalAveragePool", {x})}));
  net.output(net.op("Add", {conv(net, x), net.floats({1, 3, 4, 4})}));
  EXPECT_EQ(patterns_of(net), Texts{});
}

TEST(FusionPatterns, ASecondReaderOrAnOutputEndsTheChain) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 4});
  const ValueId a = conv(net, x);
  net.output(net.op("Relu", {a}));
  net.output(net.op("Tanh", {a}));
  const ValueId b = conv(net, x);
  net.output(b);
  net.output(net.op("Relu", {b}));
  EXPECT_EQ(patterns_of(net), Texts{});
}

TEST(FusionPatterns, SiluNeedsTheSameInputAndAPrivateGate) {
  Net net;
  const ValueId x = net.op("Tanh", {net.input("x", {-1, 3})});
  const ValueId y = net.op("Tanh", {x});
  net.output(silu(net, x));                                // 2, 3
  net.output(net.op("Mul", {y, net.op("Sigmoid", {x})}));  // 4, 5: another tensor's gate
  const ValueId gate = net.op("Sigmoid", {y});             // 6
  net.output(net.op("Mul", {gate, y}));                    // 7: gate read twice
  net.output(net.op("Relu", {gate}));
  const GraphIndex index(net.graph);
  const std::optional<SiluMatch> match = match_silu(net.graph, index, 3);
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ(match->input, x);
  EXPECT_EQ(match->nodes, (std::vector<size_t>{2, 3}));
  EXPECT_FALSE(match_silu(net.graph, index, 5).has_value());
  EXPECT_FALSE(match_silu(net.graph, index, 7).has_value());
}

ValueId gelu(Net& n, ValueId x, int form, float root = 1.41421356F, float one = 1) {
  const ValueId arg = form % 2 == 0 ? n.op("Div", {x, n.number(root)}) : n.op("Mul", {x, n.number(1 / root)});
  const ValueId gate = n.op("Add", {n.op("Erf", {arg}), n.number(one)});
  if (form / 2 == 0) return n.op("Mul", {n.op("Mul", {x, gate}), n.number(0.5F)});
  if (form / 2 == 1) return n.op("Mul", {n.op("Mul", {n.number(0.5F), x}), gate});
  return n.op("Mul", {x, n.op("Mul", {gate, n.number(0.5F)})});
}

TEST(FusionPatterns, GeluInItsSpellings) {
  for (int form = 0; form < 6; ++form) {
    Net net;
    const ValueId x = net.op("Gemm", {net.input("x", {-1, 4}), net.floats({4, 4})});
    net.output(gelu(net, x, form));
    EXPECT_EQ(patterns_of(net), Texts{"conv_activation GELU 6"}) << form;
  }
}

TEST(FusionPatterns, GeluNearMisses) {
  for (const auto& [root, one] : {std::pair{1.5F, 1.0F}, std::pair{1.41421356F, 1.1F}}) {
    Net net;
    const ValueId x = net.op("Gemm", {net.input("x", {-1, 4}), net.floats({4, 4})});
    net.output(gelu(net, x, 0, root, one));
    EXPECT_EQ(patterns_of(net), Texts{});
  }
}

// form 0: Pow; 1: d * d. axes of the two means may differ for the near miss.
ValueId layer_norm(Net& n, ValueId x, int form, int64_t second_axis = -1) {
  auto mean = [&](ValueId v, int64_t axis) {
    return n.op("ReduceMean", {v}, {{"axes", std::vector<int64_t>{axis}}});
  };
  const ValueId d = n.op("Sub", {x, mean(x, -1)});
  const ValueId square = form == 0 ? n.op("Pow", {d, n.number(2)}) : n.op("Mul", {d, d});
  const ValueId spread = n.op("Sqrt", {n.op("Add", {mean(square, second_axis), n.number(1e-6F)})});
  return n.op("Add", {n.op("Mul", {n.op("Div", {d, spread}), n.floats({4})}), n.floats({4})});
}

TEST(FusionPatterns, LayerNormSpelledOut) {
  for (int form = 0; form < 2; ++form) {
    Net net;
    const ValueId x = net.op("Tanh", {net.input("x", {-1, 5, 4})});
    net.output(layer_norm(net, x, form));
    EXPECT_EQ(patterns_of(net), Texts{"layer_norm 9"});
    const auto found = find_patterns(net.graph, GraphIndex(net.graph));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].input, x);
    const auto match = match_layer_norm(net.graph, GraphIndex(net.graph), 7);
    ASSERT_TRUE(match.has_value());
    EXPECT_NEAR(match->epsilon, 1e-6, 1e-12);
    EXPECT_NE(match->scale, kNoValue);
    EXPECT_NE(match->bias, kNoValue);
  }
}

TEST(FusionPatterns, LayerNormOverTwoDifferentAxesIsNone) {
  Net net;
  net.output(layer_norm(net, net.op("Tanh", {net.input("x", {-1, 4, 4})}), 0, 1));
  EXPECT_EQ(patterns_of(net), Texts{});
}

TEST(FusionPatterns, NoneOverlapOnRandomGraphs) {
  int found = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Graph graph = random_cnn(seed);
    ASSERT_TRUE(run_passes(graph).is_ok());
    std::vector<bool> taken(graph.nodes.size(), false);
    for (const Pattern& p : find_patterns(graph, GraphIndex(graph))) {
      ++found;
      for (size_t n : p.nodes) {
        EXPECT_FALSE(taken[n]) << seed;
        taken[n] = true;
      }
    }
  }
  EXPECT_GT(found, 100);
}

}  // namespace
}  // namespace octet::test
