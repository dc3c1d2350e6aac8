// Which nodes become one operation.
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/quantized.h"
#include "engine/compiler/compile.h"
#include "engine/compiler/qoperator.h"
#include "interp/interpreter.h"
#include "octet/runtime.h"

namespace octet {
namespace {

// Builds small Q/DQ networks on [N, 8, 6, 6] images.
class Net {
 public:
  Graph graph;
  ValueId x;

  Net() {
    graph.opset = 17;
    x = graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(8), Dim::of(6), Dim::of(6)});
    graph.inputs = {x};
  }
  ValueId add(const std::string& op, std::vector<ValueId> in, Attributes attributes = {}) {
    const size_t n = graph.add_node(op, std::move(in), {op + std::to_string(graph.nodes.size())}, attributes);
    return graph.nodes[n].outputs[0];
  }
  ValueId number(float v) { return graph.add_constant("c", Tensor::scalar(v)); }
  ValueId qdq(ValueId v, float scale, int zero, bool is_signed = false) {
    const ValueId s = number(scale);
    const ValueId z = graph.add_constant("z", is_signed ? Tensor::scalar(static_cast<int8_t>(zero))
                                                        : Tensor::scalar(static_cast<uint8_t>(zero)));
    return add("DequantizeLinear", {add("QuantizeLinear", {v, s, z}), s, z});
  }
  ValueId weights(const Dims& dims, uint64_t seed, bool per_channel = true) {
    test::Random random(seed);
    Tensor codes(DType::kInt8, dims);
    for (int64_t i = 0; i < codes.numel(); ++i) codes.data<int8_t>()[i] = static_cast<int8_t>(random.integer(-127, 127));
    std::vector<float> scales;
    for (int64_t c = 0; c < (per_channel ? dims[0] : 1); ++c) scales.push_back(static_cast<float>(random.real(0.001, 0.004)));
    const ValueId s = per_channel ? graph.add_constant("ws", Tensor::from<float>({dims[0]}, scales)) : number(scales[0]);
    Attributes axis;
    if (per_channel) axis["axis"] = int64_t{0};
    return add("DequantizeLinear", {graph.add_constant("w", codes), s}, axis);
  }
  ValueId conv(ValueId v, uint64_t seed) {
    return add("Conv", {v, weights({8, 8, 3, 3}, seed)}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  }
  engine::Program compiled(ValueId out) {
    graph.outputs = {out};
    engine::CompileOptions options;
    options.timing = false;
    auto program = engine::compile(graph, options);
    EXPECT_TRUE(program.is_ok()) << program.status().message();
    return program.is_ok() ? std::move(*program) : engine::Program{};
  }
};

template <class T>
int64_t count(const engine::Program& program) {
  return std::count_if(program.operations.begin(), program.operations.end(),
                       [](const engine::Operation& op) { return std::holds_alternative<T>(op); });
}

void expect_close_to_simulation(const Graph& graph, engine::Program program, double limit) {
  auto engine = Engine::from_program(std::move(program));
  ASSERT_TRUE(engine.is_ok()) << engine.status().message();
  auto session = Session::create(*engine, {});
  const std::vector<Tensor> inputs = test::random_inputs(graph, 3, 2);
  auto got = (*session)->run(inputs);
  auto expected = interpret(graph, inputs);
  ASSERT_TRUE(got.is_ok() && expected.is_ok());
  double worst = 0;
  for (int64_t i = 0; i < (*got)[0].numel(); ++i)
    worst = std::max<double>(worst, std::abs((*got)[0].data<float>()[i] - (*expected)[0].data<float>()[i]));
  EXPECT_LE(worst, limit);
}

TEST(Fusion, ConvolutionReluAndQuantizerAreOne) {
  Net net;
  const ValueId out = net.qdq(net.add("Relu", {net.conv(net.qdq(net.x, 0.02f, 100), 1)}), 0.03f, 0);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(p.operations.size(), 3u);  // quantize, convolution, dequantize
  EXPECT_EQ(count<engine::ConvOp>(p), 1);
  expect_close_to_simulation(net.graph, p, 0.031);
}

TEST(Fusion, ResidualWithItsOwnScaleGoesIntoTheStore) {
  Net net;
  const ValueId a = net.qdq(net.x, 0.02f, 100);
  const ValueId b = net.qdq(net.conv(a, 1), 0.05f, 120);
  const ValueId out = net.qdq(net.add("Relu", {net.add("Add", {b, a})}), 0.04f, 0);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(count<engine::BinaryOp>(p), 0);
  EXPECT_EQ(count<engine::ConvOp>(p), 1);
  expect_close_to_simulation(net.graph, p, 0.041);
}

TEST(Fusion, ResidualThatIsNotRoundedFirst) {
  Net net;
  const ValueId a = net.qdq(net.x, 0.02f, 100);
  const ValueId out = net.qdq(net.add("Add", {net.conv(a, 1), a}), 0.04f, 128);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(p.operations.size(), 3u);
  const auto& store = std::get<engine::ConvOp>(p.operations[1]).store.store;
  EXPECT_EQ(store.residual, cpu::Residual::kBeforeFirst);
  expect_close_to_simulation(net.graph, p, 0.041);
}

TEST(Fusion, SiluBetweenQuantizersIsATableInTheStore) {
  Net net;
  const ValueId c = net.qdq(net.conv(net.qdq(net.x, 0.02f, 100), 1), 0.05f, 110);
  const ValueId s = net.qdq(net.add("Sigmoid", {c}), 1 / 255.0f, 0);
  const ValueId out = net.qdq(net.add("Mul", {c, s}), 0.04f, 10);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(p.operations.size(), 3u);
  EXPECT_GT(std::get<engine::ConvOp>(p.operations[1]).store.table.size, 0u);
  expect_close_to_simulation(net.graph, p, 0.041);
}

TEST(Fusion, SiluWithoutQuantizersIsACurveInTheStore) {
  Net net;
  const ValueId c = net.conv(net.qdq(net.x, 0.02f, 100), 1);
  const ValueId out = net.qdq(net.add("Mul", {net.add("Sigmoid", {c}), c}), 0.04f, 10);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(p.operations.size(), 3u);
  EXPECT_EQ(std::get<engine::ConvOp>(p.operations[1]).store.store.curve, cpu::Curve::kSilu);
  expect_close_to_simulation(net.graph, p, 0.041);
}

TEST(Fusion, ConcatOfEqualParametersIsInPlace) {
  Net net;
  const ValueId a = net.qdq(net.x, 0.02f, 100);
  const ValueId b = net.qdq(net.conv(a, 1), 0.05f, 110), c = net.qdq(net.conv(a, 2), 0.05f, 110);
  const ValueId out = net.qdq(net.conv(a, 3), 0.05f, 110);
  const ValueId joined = net.add("Concat", {b, c, out}, {{"axis", int64_t{1}}});
  const engine::Program p = net.compiled(joined);
  EXPECT_EQ(count<engine::TableOp>(p), 0);
  EXPECT_EQ(p.operations.size(), 5u);  // quantize, three convolutions, dequantize
  expect_close_to_simulation(net.graph, p, 0.051);
}

TEST(Fusion, ConcatOfOtherParametersRescalesInTheStore) {
  Net net;
  const ValueId a = net.qdq(net.x, 0.02f, 100);
  const ValueId b = net.qdq(net.conv(a, 1), 0.05f, 110), c = net.qdq(net.conv(a, 2), 0.03f, 90);
  const ValueId out = net.qdq(net.add("Concat", {b, c}, {{"axis", int64_t{1}}}), 0.05f, 110);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(count<engine::TableOp>(p), 0);
  expect_close_to_simulation(net.graph, p, 0.051);
}

TEST(Fusion, PoolingAndStridedSliceMoveCodes) {
  Net net;
  const ValueId a = net.qdq(net.x, 0.02f, 100);
  const ValueId m = net.add("MaxPool", {a}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  const ValueId out = net.qdq(net.conv(m, 1), 0.05f, 110);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(count<engine::PoolOp>(p), 1);
  EXPECT_EQ(count<engine::IslandOp>(p), 0);
  EXPECT_EQ(p.operations.size(), 4u);
  expect_close_to_simulation(net.graph, p, 0.051);
}

TEST(Fusion, ZerosAroundPixelsBelongToTheConvolution) {
  Net net;
  const ValueId pads = net.graph.add_constant("p", Tensor::from<int64_t>({8}, {0, 0, 0, 1, 0, 0, 1, 0}));
  const ValueId padded = net.qdq(net.add("Pad", {net.qdq(net.x, 0.02f, 100), pads}), 0.02f, 100);
  const engine::Program p = net.compiled(net.qdq(net.conv(padded, 1), 0.05f, 110));
  EXPECT_EQ(p.operations.size(), 3u);
  expect_close_to_simulation(net.graph, p, 0.051);
}

TEST(Fusion, ZerosAroundPixelsForSomebodyElse) {
  Net net;
  const ValueId pads = net.graph.add_constant("p", Tensor::from<int64_t>({8}, {0, 0, 2, 1, 0, 0, 1, 3}));
  const ValueId padded = net.qdq(net.add("Pad", {net.qdq(net.x, 0.02f, 100), pads}), 0.02f, 100);
  const engine::Program p = net.compiled(padded);
  EXPECT_EQ(count<engine::IslandOp>(p), 0);
  expect_close_to_simulation(net.graph, p, 1e-6);
}

TEST(Fusion, SignedActivationsAreMovedNotChanged) {
  Net net;
  const ValueId out = net.qdq(net.add("Relu", {net.conv(net.qdq(net.x, 0.02f, -5, true), 1)}), 0.03f, 0, true);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(p.operations.size(), 3u);
  expect_close_to_simulation(net.graph, p, 0.031);
}

TEST(Fusion, SignedCodesThatAreNeverNegativeStayBelow128) {
  Net net;
  const ValueId a = net.qdq(net.add("Relu", {net.conv(net.qdq(net.x, 0.02f, -5, true), 1)}), 0.03f, 0, true);
  const ValueId b = net.qdq(net.conv(net.add("MaxPool", {a}, {{"kernel_shape", std::vector<int64_t>{2, 2}}}), 2), 0.03f,
                            -128, true);
  const engine::Program p = net.compiled(b);
  std::vector<const engine::ConvOp*> convs;
  for (const engine::Operation& op : p.operations)
    if (const auto* conv = std::get_if<engine::ConvOp>(&op)) convs.push_back(conv);
  ASSERT_EQ(convs.size(), 2u);
  EXPECT_EQ(convs[1]->problem.src_lo, 0);
  EXPECT_EQ(convs[1]->problem.src_hi, 127);
  expect_close_to_simulation(net.graph, p, 0.031);
}

TEST(Fusion, ConcatOfPositiveAndOtherSignedCodes) {
  Net net;
  const ValueId a = net.qdq(net.x, 0.02f, 0, true);
  const ValueId b = net.qdq(net.add("Relu", {net.conv(a, 1)}), 0.05f, 0, true), c = net.qdq(net.conv(a, 2), 0.05f, 0, true);
  const engine::Program p = net.compiled(net.add("Concat", {b, c}, {{"axis", int64_t{1}}}));
  EXPECT_EQ(count<engine::IslandOp>(p), 0);
  expect_close_to_simulation(net.graph, p, 0.051);
}

TEST(Fusion, FloatResultOfAConvolution) {
  Net net;
  const ValueId out = net.conv(net.qdq(net.x, 0.02f, 100), 1);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(count<engine::ConvOp>(p), 1);
  EXPECT_EQ(count<engine::IslandOp>(p), 0);
  expect_close_to_simulation(net.graph, p, 1e-4);
}

TEST(Fusion, WhatIsNotQuantizedIsAnIsland) {
  Net net;
  const ValueId a = net.qdq(net.x, 0.02f, 100);
  const ValueId b = net.qdq(net.conv(a, 1), 0.05f, 110);
  const ValueId soft = net.add("Softmax", {b}, {{"axis", int64_t{1}}});
  const ValueId out = net.qdq(net.conv(net.qdq(soft, 1 / 255.0f, 0), 2), 0.01f, 128);
  const engine::Program p = net.compiled(out);
  EXPECT_EQ(count<engine::IslandOp>(p), 1);
  EXPECT_EQ(count<engine::ConvOp>(p), 2);
  expect_close_to_simulation(net.graph, p, 0.011);
}

TEST(Fusion, AnIslandMayLookAtAllImages) {
  Net net;
  const engine::Program p = net.compiled(net.add("Softmax", {net.qdq(net.x, 0.02f, 100)}, {{"axis", int64_t{0}}}));
  expect_close_to_simulation(net.graph, p, 1e-5);
}

TEST(Fusion, ConvolutionOfTheLastThreeChannels) {
  Net net;
  const auto list = [&](std::vector<int64_t> v) { return net.graph.add_constant("i", Tensor::from<int64_t>({1}, v)); };
  const ValueId a = net.qdq(net.x, 0.02f, 100);
  const ValueId part = net.add("Slice", {a, list({5}), list({8}), list({1})});
  const ValueId c = net.add("Conv", {part, net.weights({8, 3, 3, 3}, 4)}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  const engine::Program p = net.compiled(net.qdq(c, 0.05f, 110));
  EXPECT_EQ(count<engine::IslandOp>(p), 0);
  expect_close_to_simulation(net.graph, p, 0.051);
}

TEST(Fusion, ABiasThatCouldOverflowIsAddedInFloat) {
  Net net;
  const ValueId a = net.qdq(net.x, 0.02f, 100);
  const ValueId w = net.weights({8, 8, 3, 3}, 4, false);
  const float scale = 0.02f * *net.graph.value(net.graph.nodes.back().inputs[1]).constant->data<float>();
  const ValueId codes = net.graph.add_constant("b", Tensor::from<int32_t>({8}, std::vector<int32_t>(8, 2147483000)));
  const ValueId bias = net.add("DequantizeLinear", {codes, net.number(scale)});
  const ValueId c = net.add("Conv", {a, w, bias}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  const engine::Program p = net.compiled(net.qdq(c, scale * 1.7e7f, 0));
  EXPECT_GT(std::get<engine::ConvOp>(p.operations[1]).store.addend.size, 0u);
  expect_close_to_simulation(net.graph, p, scale * 1.71e7);
}

TEST(Fusion, ATableOfRowsWithAConstantOfHigherRankIsNone) {
  Net net;
  const ValueId flat = net.add("Flatten", {net.qdq(net.x, 0.02f, 100)});
  const ValueId one = net.graph.add_constant("one", Tensor::from<float>({1, 1, 1, 1}, {0.5f}));
  net.graph.outputs = {net.qdq(net.add("Mul", {flat, one}), 0.01f, 100)};  // [1, 1, N, 288]: N is not in front
  engine::CompileOptions options;
  options.timing = false;
  EXPECT_EQ(engine::compile(net.graph, options).status().code(), StatusCode::kUnsupported);
  options.batch = 2;
  auto program = engine::compile(net.graph, options);
  ASSERT_TRUE(program.is_ok()) << program.status().message();
  expect_close_to_simulation(net.graph, *program, 1e-6);
}

TEST(Fusion, KeepFloatByName) {
  Net net;
  const ValueId out = net.qdq(net.conv(net.qdq(net.x, 0.02f, 100), 1), 0.05f, 110);
  net.graph.outputs = {out};
  std::string name;
  for (const Node& node : net.graph.nodes)
    if (node.is("Conv")) name = node.name;
  engine::CompileOptions options;
  options.timing = false;
  options.keep_float = {name};
  auto program = engine::compile(net.graph, options);
  ASSERT_TRUE(program.is_ok()) << program.status().message();
  EXPECT_EQ(count<engine::ConvOp>(*program), 0);
  EXPECT_EQ(count<engine::IslandOp>(*program), 1);
}

TEST(QOperator, LinearConvolutionBecomesQdq) {
  Graph graph;
  graph.opset = 17;
  test::Random random(1);
  const auto scalar_u8 = [&](const char* n, int v) { return graph.add_constant(n, Tensor::scalar(static_cast<uint8_t>(v))); };
  const ValueId x = graph.add_value("x", DType::kUint8, Shape{Dim::named("N"), Dim::of(8), Dim::of(5), Dim::of(5)});
  graph.inputs = {x};
  Tensor w(DType::kInt8, {16, 8, 3, 3});
  for (int64_t i = 0; i < w.numel(); ++i) w.data<int8_t>()[i] = static_cast<int8_t>(random.integer(-127, 127));
  std::vector<int32_t> bias;
  for (int i = 0; i < 16; ++i) bias.push_back(static_cast<int32_t>(random.integer(-3000, 3000)));
  const size_t n = graph.add_node(
      "QLinearConv",
      {x, graph.add_constant("xs", Tensor::scalar(0.02f)), scalar_u8("xz", 90), graph.add_constant("w", w),
       graph.add_constant("ws", Tensor::scalar(0.003f)), graph.add_constant("wz", Tensor::scalar(int8_t{0})),
       graph.add_constant("ys", Tensor::scalar(0.05f)), scalar_u8("yz", 128),
       graph.add_constant("b", Tensor::from<int32_t>({16}, bias))},
      {"y"}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  graph.outputs = {graph.nodes[n].outputs[0]};
  Tensor image(DType::kUint8, {2, 8, 5, 5});
  for (int64_t i = 0; i < image.numel(); ++i) image.data<uint8_t>()[i] = static_cast<uint8_t>(random.integer(0, 255));
  auto expected = interpret(graph, {image});
  ASSERT_TRUE(expected.is_ok()) << expected.status().message();
  engine::CompileOptions options;
  options.timing = false;
  auto program = engine::compile(graph, options);
  ASSERT_TRUE(program.is_ok()) << program.status().message();
  EXPECT_EQ(count<engine::ConvOp>(*program), 1);
  EXPECT_EQ(count<engine::IslandOp>(*program), 0);
  auto engine = Engine::from_program(std::move(*program));
  ASSERT_TRUE(engine.is_ok()) << engine.status().message();
  auto got = (*Session::create(*engine, {}))->run({image});
  ASSERT_TRUE(got.is_ok()) << got.status().message();
  EXPECT_TRUE(same_bits((*got)[0], (*expected)[0]));  // ONNX defines these codes: nothing is left to rounding
}

}  // namespace
}  // namespace octet
