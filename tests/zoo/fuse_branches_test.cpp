// Parallel linear branches become one convolution that computes the same.
#include <gtest/gtest.h>

#include "passes/net.h"
#include "zoo/randomized.h"

namespace octet::test {
namespace {

struct ConvForm {
  int64_t kernel = 3, stride = 1, pad = 1, groups = 1, dilation = 1;
};

ValueId conv(Net& net, ValueId x, int64_t in, int64_t out, const ConvForm& form, bool bias = false) {
  std::vector<ValueId> inputs = {x, net.floats({out, in / form.groups, form.kernel, form.kernel})};
  if (bias) inputs.push_back(net.floats({out}));
  return net.op("Conv", inputs,
                {{"group", form.groups},
                 {"pads", std::vector<int64_t>(4, form.pad)},
                 {"strides", std::vector<int64_t>{form.stride, form.stride}},
                 {"dilations", std::vector<int64_t>{form.dilation, form.dilation}}});
}

// Fuses and compares the outputs; returns how many sums were replaced.
int fuse(Net& net, double tolerance = 1e-5) {
  EXPECT_TRUE(infer_shapes(net.graph).is_ok());
  const auto inputs = random_inputs(net.graph, 5);
  const auto before = outputs_of(net.graph, inputs);
  const std::vector<std::string> names = output_names(net.graph);
  const auto fused = fuse_branches(net.graph);
  EXPECT_TRUE(fused.is_ok()) << fused.status().message();
  EXPECT_TRUE(verify(net.graph).is_ok()) << verify(net.graph).message();
  EXPECT_EQ(output_names(net.graph), names);
  EXPECT_TRUE(outputs_near(before, outputs_of(net.graph, inputs), tolerance));
  return fused.is_ok() ? *fused : -1;
}

TEST(FuseBranches, ThreeBranchesBecomeOneConvolution) {
  Net net;
  const ValueId x = net.input("x", {-1, 6, 9, 8});
  const ValueId large = net.batch_norm(conv(net, x, 6, 6, {}), 6),
                point = net.batch_norm(conv(net, x, 6, 6, {1, 1, 0}), 6);
  const ValueId sum = net.op("Add", {net.op("Add", {point, large}), net.batch_norm(x, 6)});
  net.output(net.op("Relu", {sum}));
  EXPECT_EQ(fuse(net), 1);
  EXPECT_EQ(operators(net.graph), "Conv Relu");
  EXPECT_EQ(net.graph.nodes[0].inputs.size(), 3u);
}

// 3 * 0.5 (3x3) + 2 (1x1) + 1 (identity) at the centre, worked by hand.
TEST(FuseBranches, TheNumbersAreTheSums) {
  Net net;
  const ValueId x = net.input("x", {-1, 1, 4, 4});
  const ValueId w3 = net.graph.add_constant("w3", Tensor::from<float>({1, 1, 3, 3}, {1, 2, 0, 0, 3, 0, 0, 0, 4}));
  const ValueId w1 = net.graph.add_constant("w1", Tensor::from<float>({1, 1, 1, 1}, {2}));
  const ValueId b1 = net.graph.add_constant("b1", Tensor::from<float>({1}, {7}));
  const auto one = [&](float v) { return net.graph.add_constant("n", Tensor::from<float>({1}, {v})); };
  const ValueId large = net.op("Conv", {x, w3}, {{"pads", std::vector<int64_t>(4, 1)}});
  // scale 1, bias 5, mean 2, variance 4 without epsilon: (y - 2) / 2 + 5.
  const ValueId norm = net.op("BatchNormalization", {large, one(1), one(5), one(2), one(4)}, {{"epsilon", 0.0F}});
  net.output(net.op("Add", {net.op("Add", {norm, x}), net.op("Conv", {x, w1, b1})}));
  EXPECT_EQ(fuse(net), 1);
  const Node& node = net.graph.nodes[0];
  const Tensor& w = *net.graph.value(node.inputs[1]).constant;
  const std::vector<float> expected = {0.5F, 1, 0, 0, 1.5F + 2 + 1, 0, 0, 0, 2};
  EXPECT_EQ(std::vector<float>(w.data<float>(), w.data<float>() + 9), expected);
  EXPECT_EQ(net.graph.value(node.inputs[2]).constant->data<float>()[0], 4.0F + 7.0F);
}

TEST(FuseBranches, GroupsStridesBiasesAndSeveralKernels) {
  Net grouped;
  ValueId x = grouped.input("x", {-1, 8, 7, 7});
  grouped.output(grouped.op("Add", {conv(grouped, x, 8, 8, {3, 1, 1, 4}, true),
                                    grouped.op("Add", {conv(grouped, x, 8, 8, {1, 1, 0, 4}), x})}));
  EXPECT_EQ(fuse(grouped), 1);
  EXPECT_EQ(operators(grouped.graph), "Conv");

  Net strided;
  x = strided.input("x", {-1, 3, 9, 9});
  strided.output(strided.op(
      "Add", {strided.batch_norm(conv(strided, x, 3, 5, {5, 2, 2}), 5),
              strided.op("Add", {conv(strided, x, 3, 5, {3, 2, 1}, true), conv(strided, x, 3, 5, {1, 2, 0})})}));
  EXPECT_EQ(fuse(strided), 1);
  EXPECT_EQ(operators(strided.graph), "Conv");

  Net padded;  // more than half a kernel, by both
  x = padded.input("x", {-1, 2, 5, 5});
  padded.output(padded.op("Add", {conv(padded, x, 2, 4, {3, 1, 2}), conv(padded, x, 2, 4, {1, 1, 1})}));
  EXPECT_EQ(fuse(padded), 1);
}

TEST(FuseBranches, WhatIsNotOneConvolutionStays) {
  const auto kept = [](auto make) {
    Net net;
    const ValueId x = net.input("x", {-1, 4, 8, 8});
    make(net, x);
    const std::string before = operators(net.graph);
    EXPECT_EQ(fuse(net, 0.0), 0) << before;
    EXPECT_EQ(operators(net.graph), before);
  };
  kept([](Net& n, ValueId x) {  // a residual block: the branches read different tensors
    n.output(n.op("Add", {conv(n, n.op("Relu", {conv(n, x, 4, 4, {})}), 4, 4, {}), x}));
  });
  kept([](Net& n, ValueId x) {  // a branch that somebody else reads
    const ValueId y = conv(n, x, 4, 4, {});
    n.output(n.op("Add", {y, conv(n, x, 4, 4, {1, 1, 0})}));
    n.output(y);
  });
  kept([](Net& n, ValueId x) { n.output(n.op("Add", {x, n.batch_norm(x, 4)})); });  // no convolution
  kept([](Net& n, ValueId x) {                                                      // a dilated one
    n.output(n.op("Add", {conv(n, x, 4, 4, {3, 1, 2, 1, 2}), conv(n, x, 4, 4, {1, 1, 0})}));
  });
  kept([](Net& n, ValueId x) {  // the sum is broadcast
    n.output(n.op("Add", {conv(n, x, 4, 4, {}), n.op("GlobalAveragePool", {x})}));
  });
  kept([](Net& n, ValueId x) {  // different groups
    n.output(n.op("Add", {conv(n, x, 4, 4, {3, 1, 1, 2}), conv(n, x, 4, 4, {1, 1, 0})}));
  });
  kept([](Net& n, ValueId x) {  // windows of the same size that lie elsewhere
    const ValueId a = conv(n, x, 4, 4, {}), b = conv(n, x, 4, 4, {});
    n.graph.nodes[0].attributes["pads"] = std::vector<int64_t>{0, 0, 2, 2};
    n.graph.nodes[1].attributes["pads"] = std::vector<int64_t>{2, 2, 0, 0};
    n.output(n.op("Add", {a, b}));
  });
  kept([](Net& n, ValueId x) {  // a function in between
    n.output(n.op("Add", {conv(n, x, 4, 4, {}), n.op("Relu", {conv(n, x, 4, 4, {1, 1, 0})})}));
  });
}

// The trained form equals the deployed one, which is plain: RepVGG's whole point.
TEST(FuseBranches, RepVggAndQaRepVggBecomePlain) {
  for (const char* name : {"repvgg_a0", "qarepvgg_a0"}) {
    Graph graph = built(name, {.classes = 10, .size = 32, .seed = 2});
    randomize_norms(graph, 3);
    const auto plain = deploy(graph);
    ASSERT_TRUE(plain.is_ok()) << plain.status().message();
    EXPECT_EQ(count_nodes(*plain, "Conv"), 22) << name;
    EXPECT_EQ(count_nodes(*plain, "Relu"), 22) << name;
    EXPECT_EQ(plain->nodes.size(), 22u * 2 + 3) << operators(*plain);
    const auto inputs = random_inputs(graph, 4, 1);
    EXPECT_TRUE(outputs_near(outputs_of(graph, inputs), outputs_of(*plain, inputs), 2e-5)) << name;
  }
}

}  // namespace
}  // namespace octet::test
