// Softmax, LayerNormalization, Transpose and products of two activations in integers: their codes are those of the
// interpreter, for any batch and number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "compiler/quantized.h"
#include "engine/allocation_count.h"
#include "engine/compiler/compile.h"
#include "interp/interpreter.h"
#include "octet/runtime.h"

namespace octet {
namespace {

struct Quantizer {
  float scale;
  int zero;
  bool is_signed = false;
};

// A graph whose values are quantized by hand.
class Net {
 public:
  Graph graph;

  explicit Net(Shape shape) {
    graph.opset = 20;
    graph.inputs = {graph.add_value("x", DType::kFloat32, std::move(shape))};
  }
  ValueId x() const { return graph.inputs[0]; }
  ValueId add(const std::string& op, std::vector<ValueId> in, Attributes attributes = {}) {
    const size_t n = graph.add_node(op, std::move(in), {op + "_out"}, std::move(attributes));
    return graph.nodes[n].outputs[0];
  }
  ValueId number(float v) { return graph.add_constant("c", Tensor::scalar(v)); }
  ValueId ints(std::vector<int64_t> v) {
    const auto n = static_cast<int64_t>(v.size());
    return graph.add_constant("i", Tensor::from<int64_t>({n}, v));
  }
  ValueId qdq(ValueId v, const Quantizer& q) {
    const ValueId s = number(q.scale);
    const ValueId z = graph.add_constant("z", q.is_signed ? Tensor::scalar(static_cast<int8_t>(q.zero))
                                                          : Tensor::scalar(static_cast<uint8_t>(q.zero)));
    return add("DequantizeLinear", {add("QuantizeLinear", {v, s, z}), s, z});
  }
  ValueId floats(int64_t n, uint64_t seed, double lo, double hi) {
    test::Random random(seed);
    std::vector<float> v;
    for (int64_t i = 0; i < n; ++i) v.push_back(static_cast<float>(random.real(lo, hi)));
    return graph.add_constant("f", Tensor::from<float>({n}, v));
  }
  ValueId turn(ValueId v, std::vector<int64_t> perm) { return add("Transpose", {v}, {{"perm", std::move(perm)}}); }
  // v times INT8 weights [k, n].
  ValueId linear(ValueId v, int64_t k, int64_t n, uint64_t seed) {
    test::Random random(seed);
    Tensor codes(DType::kInt8, {k, n});
    for (int64_t i = 0; i < codes.numel(); ++i)
      codes.data<int8_t>()[i] = static_cast<int8_t>(random.integer(-90, 90));
    const ValueId w = add("DequantizeLinear", {graph.add_constant("w", codes), number(0.003f)});
    return add("Add", {add("MatMul", {v, w}), floats(n, seed + 1, -0.5, 0.5)});
  }
};

struct Counts {
  int64_t islands = 0, products = 0, softmaxes = 0, norms = 0, transposes = 0;
};

Counts count(const engine::Program& program) {
  Counts counts;
  for (const engine::Operation& op : program.operations) {
    counts.islands += std::holds_alternative<engine::IslandOp>(op);
    counts.products += std::holds_alternative<engine::MatMulOp>(op);
    counts.softmaxes += std::holds_alternative<engine::SoftmaxOp>(op);
    counts.norms += std::holds_alternative<engine::LayerNormOp>(op);
    counts.transposes += std::holds_alternative<engine::TransposeOp>(op);
  }
  return counts;
}

std::shared_ptr<const Engine> engine_of(const Graph& graph, Counts* counts = nullptr) {
  engine::CompileOptions options;
  options.timing = false;
  auto program = engine::compile(graph, options);
  EXPECT_TRUE(program.is_ok()) << program.status().message();
  if (!program.is_ok()) return nullptr;
  if (counts != nullptr) *counts = count(*program);
  // Through the file, so that every field is kept.
  const std::string bytes = engine::serialize_program(*program);
  const auto copy = std::shared_ptr<uint8_t>(
      static_cast<uint8_t*>(std::aligned_alloc(64, (bytes.size() + 4096) / 64 * 64)), std::free);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  program = engine::parse_program({copy.get(), bytes.size()}, copy);
  EXPECT_TRUE(program.is_ok()) << program.status().message();
  if (!program.is_ok()) return nullptr;
  auto made = Engine::from_program(std::move(*program));
  EXPECT_TRUE(made.is_ok()) << made.status().message();
  return made.is_ok() ? *made : nullptr;
}

// The largest difference to the interpreter over batches 1, 3, 8; results of 1, 2 and 3 threads must have equal bits.
double difference(const Graph& graph, const std::shared_ptr<const Engine>& engine) {
  double worst = 0;
  for (const int64_t batch : {1, 3, 8}) {
    const std::vector<Tensor> inputs = test::random_inputs(graph, 5 + static_cast<uint64_t>(batch), batch);
    const auto expected = interpret(graph, inputs);
    EXPECT_TRUE(expected.is_ok()) << expected.status().message();
    std::vector<Tensor> first;
    for (const int threads : {1, 2, 3}) {
      auto session = Session::create(engine, {.threads = threads});
      auto got = (*session)->run(inputs);
      EXPECT_TRUE(got.is_ok()) << got.status().message();
      if (!got.is_ok() || !expected.is_ok()) return INFINITY;
      EXPECT_EQ((*got)[0].dims(), (*expected)[0].dims());
      if (first.empty()) first = *got;
      EXPECT_TRUE(same_bits((*got)[0], first[0])) << threads << " threads, batch " << batch;
    }
    for (int64_t i = 0; i < first[0].numel(); ++i)
      worst = std::max<double>(worst, std::abs(first[0].data<float>()[i] - (*expected)[0].data<float>()[i]));
  }
  return worst;
}

Shape rows(std::vector<int64_t> sizes) {
  Shape shape{Dim::named("N")};
  for (int64_t s : sizes) shape.push_back(Dim::of(s));
  return shape;
}

TEST(Transformer, SoftmaxAndLayerNormGiveTheInterpretersCodes) {
  for (const bool is_signed : {false, true})
    for (const bool of_images : {false, true}) {
      Net net(of_images ? rows({3, 5, 37}) : rows({11, 37}));
      const ValueId a = net.qdq(net.x(), {0.03f, is_signed ? -3 : 121, is_signed});
      const ValueId scaled = net.add("Mul", {a, net.number(1.7f)});
      const ValueId soft = net.qdq(net.add("Softmax", {scaled}, {{"axis", int64_t{-1}}}),
                                   {1 / 255.0f, is_signed ? -128 : 0, is_signed});
      const ValueId norm = net.add("LayerNormalization", {soft, net.floats(37, 1, -2, 2), net.floats(37, 2, -1, 1)},
                                   {{"axis", int64_t{-1}}, {"epsilon", 1e-6f}});
      net.graph.outputs = {net.qdq(norm, {0.03f, is_signed ? 1 : 128, is_signed})};
      Counts counts;
      const auto engine = engine_of(net.graph, &counts);
      ASSERT_NE(engine, nullptr);
      EXPECT_EQ(counts.islands, 0);
      EXPECT_EQ(counts.softmaxes + counts.norms, 2);
      EXPECT_EQ(difference(net.graph, engine), 0);
    }
}

// Sums of scales that are powers of two are exact in float, too: the interpreter's float product is the exact one.
TEST(Transformer, ProductsOfTwoActivationsAreExact) {
  for (const bool to_float : {false, true})
    for (const bool is_signed : {false, true}) {
      Net net(rows({4, 9, 17}));
      const ValueId a = net.qdq(net.x(), {1 / 32.0f, is_signed ? 5 : 140, is_signed});
      const ValueId b = net.qdq(net.turn(a, {0, 1, 3, 2}), {1 / 32.0f, is_signed ? 5 : 140, is_signed});
      const ValueId c = net.add("MatMul", {a, b});
      net.graph.outputs = {to_float ? c : net.qdq(c, {1 / 8.0f, is_signed ? -100 : 7, is_signed})};
      Counts counts;
      const auto engine = engine_of(net.graph, &counts);
      ASSERT_NE(engine, nullptr);
      EXPECT_EQ(counts.islands, 0);
      EXPECT_EQ(counts.products, 1);
      EXPECT_EQ(counts.transposes, 1);
      EXPECT_EQ(difference(net.graph, engine), 0);
    }
}

// One block of a vision transformer, as exporters write it.
Graph block(int64_t tokens, int64_t width, int64_t heads) {
  Net net(rows({tokens, width}));
  const int64_t size = width / heads;
  const auto norm = [&](ValueId v, uint64_t seed) {
    return net.add("LayerNormalization",
                   {v, net.floats(width, seed, 0.5, 1.5), net.floats(width, seed + 1, -0.2, 0.2)},
                   {{"axis", int64_t{-1}}});
  };
  const ValueId x = net.qdq(net.x(), {0.03125f, 128});
  const ValueId y = net.qdq(norm(x, 1), {0.03f, 120});
  const auto heads_of = [&](uint64_t seed, std::vector<int64_t> perm) {
    const ValueId v = net.qdq(net.linear(y, width, width, seed), {0.04f, 127});
    return net.turn(net.add("Reshape", {v, net.ints({0, tokens, heads, size})}), std::move(perm));
  };
  const ValueId q = heads_of(10, {0, 2, 1, 3}), k = heads_of(20, {0, 2, 3, 1}), v = heads_of(30, {0, 2, 1, 3});
  const ValueId scores = net.qdq(net.add("MatMul", {q, k}), {0.25f, 130});
  const ValueId scaled = net.add("Div", {scores, net.number(std::sqrt(static_cast<float>(size)))});
  const ValueId soft = net.qdq(net.add("Softmax", {scaled}, {{"axis", int64_t{-1}}}), {1 / 256.0f, 0});
  const ValueId mixed = net.qdq(net.add("MatMul", {soft, v}), {0.03f, 128});
  const ValueId joined = net.add("Reshape", {net.turn(mixed, {0, 2, 1, 3}), net.ints({0, tokens, width})});
  const ValueId attended = net.qdq(net.linear(joined, width, width, 40), {0.04f, 128});
  const ValueId sum = net.qdq(net.add("Add", {x, attended}), {0.06f, 128});
  const ValueId wide = net.qdq(net.linear(net.qdq(norm(sum, 50), {0.03f, 128}), width, 2 * width, 60), {0.05f, 128});
  const ValueId gelu = net.qdq(net.add("Gelu", {wide}), {0.03f, 8});
  const ValueId down = net.qdq(net.linear(gelu, 2 * width, width, 70), {0.05f, 128});
  net.graph.outputs = {net.qdq(net.add("Add", {sum, down}), {0.09f, 128})};
  return net.graph;
}

TEST(Transformer, ABlockIsWhollyInIntegersAndAllocatesNothing) {
  const Graph graph = block(13, 32, 4);
  Counts counts;
  const auto engine = engine_of(graph, &counts);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(counts.islands, 0);
  EXPECT_EQ(counts.products, 2);
  EXPECT_EQ(counts.softmaxes, 1);
  EXPECT_EQ(counts.norms, 2);
  EXPECT_EQ(counts.transposes, 4);
  // Float sums of the simulation may fall to the other side of a tie: one code, which later layers pass on.
  EXPECT_LE(difference(graph, engine), 2.01 * 0.09);

  const std::vector<Tensor> inputs = test::random_inputs(graph, 9, 2);
  std::vector<float> result(static_cast<size_t>(inputs[0].numel()));
  const std::vector<const void*> in{inputs[0].raw()};
  const std::vector<void*> out{result.data()};
  for (const int threads : {1, 2}) {
    auto session = Session::create(engine, {.threads = threads});
    ASSERT_TRUE((*session)->run(2, in, out).is_ok());
    const int64_t before = test::allocation_count();
    bool fine = true;
    for (int i = 0; i < 5; ++i) fine = (*session)->run(2, in, out).is_ok() && fine;
    EXPECT_EQ(test::allocation_count(), before) << threads << " threads";
    EXPECT_TRUE(fine);
  }
}

// Constants that are quantized, too: rows, channels of images, one number.
TEST(Transformer, ConstantCodesAreAddedAndMultiplied) {
  for (const bool of_images : {false, true})
    for (const bool multiply : {false, true})
      for (const int64_t numbers : {1, 6}) {
        Net net(of_images ? rows({6, 3, 5}) : rows({4, 6}));
        Tensor codes(DType::kInt8, numbers == 1 ? Dims{} : of_images ? Dims{6, 1, 1} : Dims{6});
        for (int64_t i = 0; i < numbers; ++i) codes.data<int8_t>()[i] = static_cast<int8_t>(40 * i - 100);
        const ValueId scale = net.number(1 / 64.0f);
        const ValueId zero = net.graph.add_constant("z", Tensor::scalar(static_cast<int8_t>(3)));
        const ValueId c = net.add("DequantizeLinear", {net.graph.add_constant("codes", codes), scale, zero});
        const ValueId a = net.qdq(net.x(), {1 / 32.0f, 128});
        const ValueId made = net.add(multiply ? "Mul" : "Add", {c, a});
        net.graph.outputs = {net.qdq(net.add("Relu", {made}), {1 / 16.0f, 20})};
        Counts counts;
        const auto engine = engine_of(net.graph, &counts);
        ASSERT_NE(engine, nullptr);
        EXPECT_EQ(counts.islands, 0);
        EXPECT_EQ(difference(net.graph, engine), 0);
      }
}

// Channels are shuffled by Reshape, Transpose and Reshape between convolutions.
TEST(Transformer, ShuffledChannelsReachTheNextConvolutionAsCodes) {
  Net net(rows({8, 5, 6}));
  test::Random random(3);
  const auto conv = [&](ValueId v) {
    Tensor codes(DType::kInt8, {8, 8, 3, 3});
    for (int64_t i = 0; i < codes.numel(); ++i)
      codes.data<int8_t>()[i] = static_cast<int8_t>(random.integer(-60, 60));
    const ValueId w = net.add("DequantizeLinear", {net.graph.add_constant("w", codes), net.number(1 / 512.0f)});
    return net.qdq(net.add("Conv", {v, w}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}), {1 / 16.0f, 128});
  };
  const ValueId a = conv(net.qdq(net.x(), {1 / 32.0f, 128}));
  const ValueId groups = net.add("Reshape", {a, net.ints({0, 2, 4, 5, 6})});
  const ValueId shuffled = net.add("Reshape", {net.turn(groups, {0, 2, 1, 3, 4}), net.ints({0, 8, 5, 6})});
  net.graph.outputs = {conv(shuffled)};
  Counts counts;
  const auto engine = engine_of(net.graph, &counts);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(counts.islands, 0);
  EXPECT_EQ(counts.transposes, 1);
  EXPECT_EQ(difference(net.graph, engine), 0);
}

// ConvNeXt: LayerNormalization and products on N,H,W,C between convolutions on N,C,H,W, whose bytes are the same.
// An image that was row-major before fills whole pixels: it cannot be written into a slice of the joined one.
TEST(Transformer, RearrangedValuesAreConcatenated) {
  const Quantizer q{1 / 16.0f, 128};
  for (int form = 0; form < 4; ++form) {
    Net n(rows({8, 5, 6}));
    const ValueId a = n.qdq(n.x(), q);
    const auto conv = [&](ValueId v, int64_t channels) {
      test::Random random(3);
      Tensor w(DType::kInt8, {channels, channels, 1, 1});
      for (int64_t i = 0; i < w.numel(); ++i) w.data<int8_t>()[i] = static_cast<int8_t>(random.integer(-60, 60));
      const ValueId weight = n.add("DequantizeLinear", {n.graph.add_constant("w", w), n.number(1 / 128.0f)});
      return n.qdq(n.add("Conv", {v, weight}), q);
    };
    const auto shuffled = [&](ValueId v) {
      const ValueId grouped = n.add("Reshape", {v, n.ints({0, 2, 4, 5, 6})});
      return n.add("Reshape", {n.turn(grouped, {0, 2, 1, 3, 4}), n.ints({0, 8, 5, 6})});
    };
    const auto relu_on_rows = [&](ValueId v) {
      return n.turn(n.qdq(n.add("Relu", {n.turn(v, {0, 2, 3, 1})}), q), {0, 3, 1, 2});
    };
    std::vector<ValueId> parts;
    if (form == 0) parts = {shuffled(a), conv(a, 8)};
    if (form == 1) parts = {relu_on_rows(a), conv(a, 8)};
    if (form == 2) parts = {n.turn(a, {0, 1, 3, 2}), conv(n.turn(a, {0, 1, 3, 2}), 8)};
    if (form == 3) parts = {conv(shuffled(conv(a, 8)), 8), shuffled(conv(a, 8))};
    n.graph.outputs = {conv(n.add("Concat", parts, {{"axis", int64_t{1}}}), 16)};
    const auto engine = engine_of(n.graph);
    ASSERT_NE(engine, nullptr) << form;
    EXPECT_EQ(difference(n.graph, engine), 0) << form;
  }
}

TEST(Transformer, TurningAnImageToItsPixelsCostsNothing) {
  Net net(rows({8, 5, 6}));
  const ValueId a = net.qdq(net.x(), {1 / 32.0f, 128});
  const ValueId pixels = net.turn(a, {0, 2, 3, 1});
  const ValueId norm =
      net.qdq(net.add("LayerNormalization", {pixels, net.floats(8, 1, 0.5, 1.5), net.floats(8, 2, -1, 1)},
                      {{"axis", int64_t{-1}}}),
              {0.03f, 128});
  const ValueId image = net.turn(norm, {0, 3, 1, 2});
  net.graph.outputs = {net.qdq(net.add("Add", {image, a}), {0.05f, 128})};
  Counts counts;
  const auto engine = engine_of(net.graph, &counts);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(counts.islands, 0);
  EXPECT_EQ(counts.norms, 1);
  EXPECT_EQ(counts.transposes, 0);
  EXPECT_LE(difference(net.graph, engine), 0.0501);
}

TEST(Transformer, WhatDoesNotFitStaysAnIsland) {
  const auto islands = [](const std::function<ValueId(Net&, ValueId)>& make) {
    Net net(rows({4, 6, 5}));
    net.graph.outputs = {net.qdq(make(net, net.qdq(net.x(), {1 / 32.0f, 128})), {1 / 64.0f, 100})};
    Counts counts;
    const auto engine = engine_of(net.graph, &counts);
    EXPECT_LE(difference(net.graph, engine), 1 / 63.0);
    return counts.islands;
  };
  EXPECT_EQ(islands([](Net& n, ValueId v) { return n.add("Softmax", {v}, {{"axis", int64_t{1}}}); }), 1);
  EXPECT_EQ(islands([](Net& n, ValueId v) { return n.add("Softmax", {v}, {{"axis", int64_t{3}}}); }), 0);
  // A greater code stands for less.
  EXPECT_EQ(islands([](Net& n, ValueId v) {
              return n.add("Softmax", {n.add("Neg", {v})}, {{"axis", int64_t{-1}}});
            }),
            1);
  EXPECT_EQ(islands([](Net& n, ValueId v) {
              const Tensor w = Tensor::from<float>({6, 5}, std::vector<float>(30, 1.0f));
              return n.add("LayerNormalization", {v, n.graph.add_constant("w", w)}, {{"axis", int64_t{2}}});
            }),
            1);
  // One matrix for all heads.
  EXPECT_EQ(islands([](Net& n, ValueId v) {
              const ValueId one = n.add("Slice", {v, n.ints({0}), n.ints({1}), n.ints({1})});
              return n.add("MatMul", {v, n.turn(one, {0, 1, 3, 2})});
            }),
            1);
}

}  // namespace
}  // namespace octet
