// Operators of com.microsoft load as operators of ai.onnx and give the codes that their definition asks for, which is
// written out here as plain loops.
#include "onnx/contrib_node.h"

namespace octet::test {
namespace {

TEST(ContribOperators, AddAndMulBroadcast) {
  for (const bool multiply : {false, true}) {
    const Code a{0.05, 120}, b{0.02, -7, kInt8}, c{multiply ? 0.03 : 0.06, 131};
    const Tensor x = random_codes({2, 3, 4}, kUint8, 1), y = random_codes({4}, kInt8, 2);
    OneNode one(multiply ? "QLinearMul" : "QLinearAdd");
    one.input("a", x).params("a", a).input("b", y).params("b", b).params("c", c);
    Graph graph;
    const Tensor got = one.run(&graph);
    std::vector<double> expected;
    for (int64_t i = 0; i < x.numel(); ++i) {
      const double left = real_at(x, i, a), right = real_at(y, i % 4, b);
      expected.push_back(multiply ? left * right : left + right);
    }
    expect_codes(got, {2, 3, 4}, expected, c);
    // The names of the file are those that reports show.
    const Node* node = graph.find_node("n");
    ASSERT_NE(node, nullptr);
    EXPECT_TRUE(node->is(multiply ? "Mul" : "Add"));
    EXPECT_EQ(graph.value(graph.outputs[0]).name, "y");
  }
}

TEST(ContribOperators, ZeroPointsThatAreLeftOutAreZeroOfTheInputsType) {
  const Code a{0.05, 0, kInt8}, b{0.07, 0, kInt8}, c{0.11, 0, kInt8};
  const Tensor x = random_codes({5, 7}, kInt8, 3), y = random_codes({5, 7}, kInt8, 4);
  OneNode one("QLinearAdd");
  one.input("a", x).params("a", a, false).input("b", y).params("b", b, false).params("c", c, false);
  std::vector<double> expected;
  for (int64_t i = 0; i < x.numel(); ++i) expected.push_back(real_at(x, i, a) + real_at(y, i, b));
  expect_codes(one.run(), {5, 7}, expected, c);
}

TEST(ContribOperators, SigmoidAndLeakyRelu) {
  for (const int type : {kUint8, kInt8}) {
    const Code from{0.04, type == kInt8 ? -20 : 100, type}, to{1.0 / 256, type == kInt8 ? -128 : 0, type};
    Tensor x(type == kInt8 ? DType::kInt8 : DType::kUint8, {1, 256});
    for (int i = 0; i < 256; ++i) x.data<uint8_t>()[i] = static_cast<uint8_t>(i);
    std::vector<double> sigmoid, leaky;
    for (int64_t i = 0; i < 256; ++i) {
      const double v = real_at(x, i, from);
      sigmoid.push_back(1 / (1 + std::exp(-v)));
      leaky.push_back(v < 0 ? 0.2f * v : v);
    }
    expect_codes(OneNode("QLinearSigmoid").input("x", x).params("x", from).params("y", to).run(), {1, 256}, sigmoid,
                 to);
    const Code wide{0.031, type == kInt8 ? -100 : 28, type};
    OneNode one("QLinearLeakyRelu");
    one.input("x", x).params("x", from).params("y", wide);
    add_float(one.node(), "alpha", 0.2f);
    expect_codes(one.run(), {1, 256}, leaky, wide);
  }
}

TEST(ContribOperators, ConcatBringsPartsToTheScaleOfTheResult) {
  const Code to{0.05, 90}, a{0.05, 90}, b{0.03, 3}, c{0.2, 200};
  const Tensor x = random_codes({2, 3, 2}, kUint8, 1), y = random_codes({2, 1, 2}, kUint8, 2),
               z = random_codes({2, 2, 2}, kUint8, 3);
  OneNode one("QLinearConcat");
  one.params("y", to).input("a", x).params("a", a).input("b", y).params("b", b).input("c", z).params("c", c);
  add_int(one.node(), "axis", 1);
  std::vector<double> expected;
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t i = 0; i < 6; ++i) expected.push_back(real_at(x, n * 6 + i, a));
    for (int64_t i = 0; i < 2; ++i) expected.push_back(real_at(y, n * 2 + i, b));
    for (int64_t i = 0; i < 4; ++i) expected.push_back(real_at(z, n * 4 + i, c));
  }
  expect_codes(one.run(), {2, 6, 2}, expected, to);
}

// Element (n, c, h, w) of a tensor in either order.
int64_t place(const Dims& d, bool last, int64_t n, int64_t c, int64_t h, int64_t w) {
  return last ? ((n * d[1] + h) * d[2] + w) * d[3] + c : ((n * d[1] + c) * d[2] + h) * d[3] + w;
}

TEST(ContribOperators, GlobalAveragePoolInBothLayouts) {
  const Code from{0.1, 13}, to{0.04, 40};
  for (const bool last : {false, true}) {
    const Dims dims = last ? Dims{2, 5, 4, 3} : Dims{2, 3, 5, 4};
    const Tensor x = random_codes(dims, kUint8, 9);
    OneNode one("QLinearGlobalAveragePool");
    one.input("x", x).params("x", from).params("y", to);
    add_int(one.node(), "channels_last", last ? 1 : 0);
    std::vector<double> expected;
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (int64_t h = 0; h < 5; ++h)
          for (int64_t w = 0; w < 4; ++w) sum += real_at(x, place(dims, last, n, c, h, w), from);
        expected.push_back(sum / 20);
      }
    expect_codes(one.run(), last ? Dims{2, 1, 1, 3} : Dims{2, 3, 1, 1}, expected, to);
  }
}

TEST(ContribOperators, AveragePoolInBothLayouts) {
  const Code from{0.1, 13}, to{0.07, 40};
  for (const int flags : {0, 1, 2, 3}) {
    const bool last = (flags & 1) != 0, count_pad = (flags & 2) != 0;
    const Dims dims = last ? Dims{1, 5, 6, 2} : Dims{1, 2, 5, 6};
    const Tensor x = random_codes(dims, kUint8, 5);
    OneNode one("QLinearAveragePool");
    one.input("x", x).params("x", from).params("y", to);
    add_ints(one.node(), "kernel_shape", {3, 2});
    add_ints(one.node(), "strides", {2, 2});
    add_ints(one.node(), "pads", {1, 0, 1, 0});
    add_int(one.node(), "count_include_pad", count_pad ? 1 : 0);
    add_int(one.node(), "channels_last", last ? 1 : 0);
    const Dims out = last ? Dims{1, 3, 3, 2} : Dims{1, 2, 3, 3};
    std::vector<double> expected(18);
    for (int64_t c = 0; c < 2; ++c)
      for (int64_t oh = 0; oh < 3; ++oh)
        for (int64_t ow = 0; ow < 3; ++ow) {
          double sum = 0;
          int count = 0;
          for (int64_t h = oh * 2 - 1; h < oh * 2 + 2; ++h)
            for (int64_t w = ow * 2; w < ow * 2 + 2; ++w) {
              const bool inside = h >= 0 && h < 5;
              count += inside || count_pad ? 1 : 0;
              if (inside) sum += real_at(x, place(dims, last, 0, c, h, w), from);
            }
          expected[static_cast<size_t>(place(out, last, 0, c, oh, ow))] = sum / count;
        }
    expect_codes(one.run(), out, expected, to);
  }
}

TEST(ContribOperators, ReduceMeanBeforeAndSinceOpset18) {
  const Code from{0.1, 3, kInt8}, to{0.02, -9, kInt8};
  const Tensor x = random_codes({2, 3, 4}, kInt8, 8);
  for (const int opset : {13, 18}) {
    OneNode one("QLinearReduceMean", opset);
    one.input("x", x).params("x", from).params("y", to);
    add_ints(one.node(), "axes", {-1, 1});
    add_int(one.node(), "keepdims", 0);
    std::vector<double> expected;
    for (int64_t n = 0; n < 2; ++n) {
      double sum = 0;
      for (int64_t i = 0; i < 12; ++i) sum += real_at(x, n * 12 + i, from);
      expected.push_back(sum / 12);
    }
    expect_codes(one.run(), {2}, expected, to);
  }
}

// Rows of `length` elements that lie one after the other.
std::vector<double> softmax_rows(const Tensor& x, int64_t length, const Code& code) {
  std::vector<double> out;
  for (int64_t begin = 0; begin < x.numel(); begin += length) {
    double sum = 0;
    for (int64_t i = begin; i < begin + length; ++i) sum += std::exp(real_at(x, i, code));
    for (int64_t i = begin; i < begin + length; ++i) out.push_back(std::exp(real_at(x, i, code)) / sum);
  }
  return out;
}

TEST(ContribOperators, SoftmaxIsThatOfTheOpsetItNames) {
  const Code from{0.03, 128}, to{1.0 / 256, 0};
  const Tensor x = random_codes({2, 3, 4}, kUint8, 6);
  struct {
    int graph, own, axis;
    int64_t row;
  } const cases[] = {{13, 13, -1, 4}, {11, 11, 1, 12}, {11, 11, 2, 4}, {13, 11, 2, 4}, {11, 13, 2, 4}};
  for (const auto& c : cases) {
    OneNode one("QLinearSoftmax", c.graph);
    one.input("x", x).params("x", from).params("y", to);
    add_int(one.node(), "axis", c.axis);
    add_int(one.node(), "opset", c.own);
    expect_codes(one.run(), {2, 3, 4}, softmax_rows(x, c.row, from), to);
  }
  OneNode mixed("QLinearSoftmax", 13);
  mixed.input("x", x).params("x", from).params("y", to);
  add_int(mixed.node(), "axis", 1);
  add_int(mixed.node(), "opset", 11);
  EXPECT_HAS(error_of(mixed.model()), "node 'n' (QLinearSoftmax): it is the Softmax of opset 11 along axis 1");
}

TEST(ContribOperators, Where) {
  const Code a{0.1, 3}, b{0.05, 77}, to{0.08, 30};
  const Tensor x = random_codes({3, 4}, kUint8, 1), y = random_codes({3, 4}, kUint8, 2);
  Tensor condition(DType::kBool, {3, 4});
  std::vector<double> expected;
  for (int64_t i = 0; i < 12; ++i) {
    condition.data<uint8_t>()[i] = i % 3 == 0 ? 1 : 0;
    expected.push_back(i % 3 == 0 ? real_at(x, i, a) : real_at(y, i, b));
  }
  OneNode one("QLinearWhere");
  one.input("c", condition).input("x", x).params("x", a).input("z", y).params("z", b).params("result", to);
  expect_codes(one.run(), {3, 4}, expected, to);
}

TEST(ContribOperators, Gemm) {
  constexpr int64_t m = 3, k = 5, n = 4;
  const Code a{0.02, 100};
  const Tensor x = random_codes({m, k}, kUint8, 11);
  std::vector<int> weights, bias;
  for (int i = 0; i < k * n; ++i) weights.push_back(i * 37 % 255 - 127);
  for (int i = 0; i < n; ++i) bias.push_back(i * 1000 - 1500);
  for (const int flags : {0, 1, 2, 3, 4, 5, 6, 7, 8, 15}) {
    const bool columns = (flags & 1) != 0, transposed = (flags & 2) != 0, with_bias = (flags & 4) != 0;
    const bool to_float = (flags & 8) != 0;
    const float alpha = flags == 7 ? 0.4f : flags == 6 ? -0.5f : 1.0f;
    const std::vector<float> scales =
        columns ? std::vector<float>{0.01f, 0.02f, 0.03f, 0.005f} : std::vector<float>{0.01f};
    const Code to{0.3, 120};
    OneNode one("QGemm");
    one.input("a", x).params("a", a);
    one.integers("b", transposed ? std::vector<int64_t>{n, k} : std::vector<int64_t>{k, n}, weights, kInt8);
    one.floats("b_scale", columns ? std::vector<int64_t>{n} : std::vector<int64_t>{}, scales);
    one.integers("b_zero", columns ? std::vector<int64_t>{n} : std::vector<int64_t>{},
                 std::vector<int>(scales.size(), 0), kInt8);
    with_bias ? one.integers("c", {n}, bias, kInt32) : one.skip();
    if (!to_float) one.params("y", to);
    if (transposed) add_int(one.node(), "transB", 1);
    if (alpha != 1) add_float(one.node(), "alpha", alpha);
    std::vector<double> expected;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = with_bias ? bias[static_cast<size_t>(j)] : 0;
        for (int64_t l = 0; l < k; ++l)
          sum += (code_at(x, i * k + l) - a.zero) * weights[static_cast<size_t>(transposed ? j * k + l : l * n + j)];
        expected.push_back(alpha * sum * static_cast<float>(a.scale) * scales[columns ? static_cast<size_t>(j) : 0]);
      }
    const Tensor got = one.run();
    if (!to_float) {
      expect_codes(got, {m, n}, expected, to);
      continue;
    }
    ASSERT_EQ(got.dtype(), DType::kFloat32);
    for (int64_t i = 0; i < m * n; ++i)
      EXPECT_NEAR(got.data<float>()[i], expected[static_cast<size_t>(i)], 1e-4) << "flags " << flags;
  }
}

// y = Sigmoid(MaxPool(a + b)): types and ranks pass through rewritten nodes and those between them.
TEST(ContribOperators, AWholeNetworkRoundTrips) {
  onnx::ModelProto model = empty_model();
  auto& import = *model.add_opset_import();
  import.set_domain("com.microsoft");
  import.set_version(1);
  add_input(model, "a", {1, 2, 4, 4}, kInt8);
  add_floats(model, "s", {}, {0.05f});
  add_node(model, "QLinearAdd", {"a", "s", "", "a", "s", "", "s"}, {"sum"}, "add").set_domain("com.microsoft");
  onnx::NodeProto& pool = add_node(model, "MaxPool", {"sum"}, {"max"}, "pool");
  add_ints(pool, "kernel_shape", {2, 2});
  add_node(model, "QLinearSigmoid", {"max", "s", "", "s"}, {"y"}, "sigmoid").set_domain("com.microsoft");
  add_output(model, "y");
  const Result<Graph> graph = parse(model);
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_EQ(graph->value(graph->find_value("sum")).dtype, DType::kInt8);
  EXPECT_EQ(graph->value(graph->outputs[0]).dtype, DType::kInt8);
  for (const char* name : {"add", "pool", "sigmoid"}) EXPECT_NE(graph->find_node(name), nullptr) << name;
  for (const Node& node : graph->nodes) EXPECT_EQ(node.domain, "") << node.name;
  const Result<Graph> again = parse(written(*graph));
  ASSERT_TRUE(again.is_ok()) << again.status().message();
  const Tensor x = random_codes({1, 2, 4, 4}, kInt8, 5);
  const auto first = interpret(*graph, {x}), second = interpret(*again, {x});
  ASSERT_TRUE(first.is_ok() && second.is_ok());
  EXPECT_TRUE(same_bits((*first)[0], (*second)[0]));
}

}  // namespace
}  // namespace octet::test
