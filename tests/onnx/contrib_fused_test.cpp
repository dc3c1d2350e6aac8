// Fused float operators of com.microsoft against their formulas, and nodes of that domain that are refused.
#include "onnx/contrib_node.h"

namespace octet::test {
namespace {

void expect_near(const Tensor& actual, const Dims& dims, const std::vector<double>& expected) {
  ASSERT_EQ(actual.dims(), dims);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual.data<float>()[i], expected[i], 2e-5) << i;
}

TEST(ContribOperators, FusedConvAddsBeforeItsActivation) {
  const Tensor x = random_floats({1, 2, 3, 3}, 1), z = random_floats({1, 2, 3, 3}, 2);
  struct {
    const char* name;
    std::vector<float> numbers;
    std::function<double(double)> f;
  } const cases[] = {{"Relu", {}, [](double v) { return std::max(v, 0.0); }},
                     {"LeakyRelu", {0.3f}, [](double v) { return v < 0 ? 0.3f * v : v; }},
                     {"Clip", {-1, 1}, [](double v) { return std::clamp(v, -1.0, 1.0); }},
                     {"Sigmoid", {}, [](double v) { return 1 / (1 + std::exp(-v)); }},
                     {"HardSigmoid", {0.25f, 0.5f}, [](double v) { return std::clamp(v / 4 + 0.5, 0.0, 1.0); }}};
  for (const int opset : {10, 13})
    for (const auto& c : cases) {
      OneNode one("FusedConv", opset);
      one.input("x", x).floats("w", {2, 2, 1, 1}, {1, -2, 0.5f, 3}).floats("b", {2}, {0.25f, -1}).input("z", z);
      add_string(one.node(), "activation", c.name);
      if (!c.numbers.empty()) {
        auto& attribute = *one.node().add_attribute();
        attribute.set_name("activation_params");
        attribute.set_type(onnx::AttributeProto::FLOATS);
        for (float v : c.numbers) attribute.add_floats(v);
      }
      std::vector<double> expected;
      for (int64_t i = 0; i < 18; ++i) {
        const double first = x.data<float>()[i % 9], second = x.data<float>()[9 + i % 9];
        const double sum = i < 9 ? first - 2 * second + 0.25 : 0.5 * first + 3 * second - 1;
        expected.push_back(c.f(sum + z.data<float>()[i]));
      }
      expect_near(one.run(), {1, 2, 3, 3}, expected);
    }
}

TEST(ContribOperators, FusedMatMulAndGemm) {
  const Tensor a = random_floats({2, 3, 4}, 1), b = random_floats({2, 5, 3}, 2);
  OneNode product("FusedMatMul");
  product.input("a", a).input("b", b);
  add_float(product.node(), "alpha", 0.125f);
  add_int(product.node(), "transA", 1);
  add_int(product.node(), "transB", 1);
  std::vector<double> expected;
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t j = 0; j < 5; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < 3; ++k)
          sum += a.data<float>()[(n * 3 + k) * 4 + i] * b.data<float>()[(n * 5 + j) * 3 + k];
        expected.push_back(0.125 * sum);
      }
  expect_near(product.run(), {2, 4, 5}, expected);

  const Tensor x = random_floats({2, 2}, 3);
  OneNode gemm("FusedGemm");
  gemm.input("x", x).floats("w", {2, 1}, {2, -1}).floats("c", {1}, {0.5f});
  add_string(gemm.node(), "activation", "LeakyRelu");
  add_float(gemm.node(), "activation_alpha", 0.1f);
  const float* v = x.data<float>();
  expected.clear();
  for (int i : {0, 2}) {
    const double sum = 2.0 * v[i] - v[i + 1] + 0.5;
    expected.push_back(sum < 0 ? 0.1f * sum : sum);
  }
  expect_near(gemm.run(), {2, 1}, expected);
}

TEST(ContribOperators, GelusAreSpeltOutBeforeOpset20) {
  const Tensor x = random_floats({4, 3}, 7);
  const std::vector<float> bias{0.5f, -1, 0.25f};
  std::vector<double> erf, erf_bias, tanh_bias, quick;
  for (int64_t i = 0; i < 12; ++i) {
    const double v = x.data<float>()[i], w = v + bias[static_cast<size_t>(i % 3)];
    erf.push_back(v * (1 + std::erf(v / std::sqrt(2.0))) / 2);
    erf_bias.push_back(w * (1 + std::erf(w / std::sqrt(2.0))) / 2);
    tanh_bias.push_back(w * (1 + std::tanh(std::sqrt(2 / M_PI) * (w + 0.044715 * w * w * w))) / 2);
    quick.push_back(v / (1 + std::exp(-1.5 * v)));
  }
  for (const int opset : {13, 20}) {
    expect_near(OneNode("Gelu", opset).input("x", x).run(), {4, 3}, erf);
    expect_near(OneNode("BiasGelu", opset).input("x", x).floats("b", {3}, bias).run(), {4, 3}, erf_bias);
    expect_near(OneNode("FastGelu", opset).input("x", x).floats("b", {3}, bias).run(), {4, 3}, tanh_bias);
    OneNode one("QuickGelu", opset);
    one.input("x", x);
    add_float(one.node(), "alpha", 1.5f);
    expect_near(one.run(), {4, 3}, quick);
  }
}

TEST(ContribOperators, BadNodesAreRefusedInOneSentence) {
  const Code code{0.1, 3};
  const Tensor x = random_codes({2, 3}, kUint8, 1);
  const auto base = [&] {
    OneNode one("QLinearSigmoid");
    one.input("x", x).params("x", code).params("y", code);
    return one.model();
  };
  const auto edit = [&](const std::function<void(onnx::NodeProto&)>& change) {
    onnx::ModelProto model = base();
    change(*model.mutable_graph()->mutable_node(0));
    return error_of(model);
  };
  EXPECT_EQ(error_of(base()), "");
  EXPECT_HAS(edit([](auto& n) {
               n.mutable_input()->RemoveLast();
               n.mutable_input()->RemoveLast();
             }),
             "node 'n' (QLinearSigmoid): it has 3 inputs, but the operator takes 4 to 5");
  EXPECT_HAS(edit([](auto& n) { n.set_input(0, ""); }), "input 0 is required but missing");
  EXPECT_HAS(edit([](auto& n) { n.set_input(3, ""); }), "input 3 is required but missing");
  EXPECT_HAS(edit([](auto& n) { n.add_output("z"); }), "it has 2 outputs");
  EXPECT_HAS(edit([](auto& n) { n.set_output(0, ""); }), "the graph output 'y'");
  EXPECT_HAS(edit([](auto& n) { add_int(n, "alpha", 1); }), "the operator has no attribute 'alpha'");
  EXPECT_HAS(edit([](auto& n) { n.set_op_type("QLinearLeakyRelu"), add_int(n, "alpha", 1); }),
             "attribute 'alpha' must be a float");
  EXPECT_HAS(edit([](auto& n) { n.set_op_type("QLinearSigmiod"); }), "Did you mean 'QLinearSigmoid'");
  EXPECT_HAS(edit([](auto& n) { n.set_op_type("QLinearSoftmax"); }), "which opset's Softmax");
  EXPECT_HAS(edit([](auto& n) { n.set_op_type("QLinearAveragePool"); }), "it has no kernel_shape");
  EXPECT_HAS(edit([](auto& n) { n.set_input(1, "x_zero"); }), "the scale 'x_zero' must be float32, but it is uint8");
  EXPECT_HAS(edit([](auto& n) { n.set_input(2, "x_scale"); }), "must be int8 or uint8, but it is float32");
  EXPECT_HAS(edit([](auto& n) { n.set_input(0, "x_scale"); }), "'x_scale' must be int8 or uint8");

  onnx::ModelProto model = base();
  model.mutable_graph()->mutable_initializer(1)->set_data_type(kInt8);
  EXPECT_HAS(error_of(model), "'x' is uint8, but its zero point is int8");
  model = base();
  add_floats(model, "scales", {3}, {1, 2, 3});
  model.mutable_graph()->mutable_node(0)->set_input(1, "scales");
  EXPECT_HAS(error_of(model), "'scales' must be one number, but its shape is [3]");
  model = base();
  model.mutable_graph()->mutable_node(0)->set_op_type("QLinearGlobalAveragePool");
  add_int(*model.mutable_graph()->mutable_node(0), "channels_last", 1);
  EXPECT_HAS(error_of(model), "it pools over 2 dimensions");
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  EXPECT_HAS(error_of(model), "the number of dimensions of 'x' must be known");

  OneNode concat("QLinearConcat");
  concat.params("y", code).input("a", x).params("a", code);
  EXPECT_HAS(error_of(concat.model()), "it has no axis");
  add_int(concat.node(), "axis", 5);
  EXPECT_NE(error_of(concat.model()), "");
  concat.node().add_input("a");
  EXPECT_HAS(error_of(concat.model()), "two for the result and three for each part");

  OneNode gemm("QGemm");
  gemm.input("x", x).params("x", code).integers("b", {3, 2}, {1, 2, 3, 4, 5, 6}, kInt8);
  gemm.floats("b_scale", {2}, {0.1f, 0.2f}).integers("b_zero", {2}, {0, 0}, kInt8);
  gemm.floats("c", {2}, {1, 2}).params("y", code);
  EXPECT_HAS(error_of(gemm.model()), "the bias 'c' must be int32, but it is float32");
  gemm.node().set_input(6, "");
  EXPECT_EQ(error_of(gemm.model()), "");
  gemm.node().set_input(4, "x_scale");
  EXPECT_NE(error_of(gemm.model()), "");  // one scale and two zero points

  OneNode conv("FusedConv");
  conv.input("x", random_floats({1, 1, 2, 2}, 1)).floats("w", {1, 1, 1, 1}, {1});
  add_string(conv.node(), "activation", "Cube");
  EXPECT_HAS(error_of(conv.model()), "the activation 'Cube' is not supported");
  OneNode vector("FusedMatMul");
  vector.input("a", random_floats({3}, 1)).input("b", random_floats({3, 3}, 2));
  add_int(vector.node(), "transA", 1);
  EXPECT_HAS(error_of(vector.model()), "transA needs a matrix, but 'a' is a vector");
}

}  // namespace
}  // namespace octet::test
