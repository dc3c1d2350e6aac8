// The executor against the interpreter: random networks, real networks, taps, batches and threads.
#include "executor/executor.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <thread>

#include "interp/interpreter.h"
#include "octet/onnx.h"
#include "support/compare.h"
#include "support/random_graph.h"
#include "tensor/buffer_pool.h"

namespace octet {
namespace {

constexpr double kTolerance = 1e-4;  // of the largest output; both sum in float or double, in different orders

std::vector<Tensor> run(const Graph& graph, const std::vector<Tensor>& inputs, ExecutorOptions options = {}) {
  auto executor = Executor::create(graph, options);
  EXPECT_TRUE(executor.is_ok()) << executor.status().message();
  if (!executor.is_ok()) return {};
  auto outputs = (*executor)->run(inputs);
  EXPECT_TRUE(outputs.is_ok()) << outputs.status().message();
  return outputs.is_ok() ? *outputs : std::vector<Tensor>{};
}

// What the session of an engine does with its islands: only the first run takes memory for tensors.
TEST(Executor, InAPoolOnlyTheFirstRunMakesBuffers) {
  Graph graph;
  graph.opset = 17;
  const ValueId x = graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(40), Dim::of(64)});
  graph.inputs = {x};
  const auto add = [&](const char* op, std::vector<ValueId> in, Attributes attributes = {}) {
    return graph.nodes[graph.add_node(op, std::move(in), {op}, std::move(attributes))].outputs[0];
  };
  const ValueId ones = graph.add_constant("ones", Tensor::from<float>({64}, std::vector<float>(64, 1.0f)));
  const ValueId normal = add("LayerNormalization", {x, ones, ones});
  const ValueId turned = add("Transpose", {normal}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
  const ValueId scores = add("Softmax", {add("MatMul", {normal, turned})}, {{"axis", int64_t{-1}}});
  graph.outputs = {add("Erf", {add("MatMul", {scores, normal})})};
  auto executor = Executor::create(graph, {.threads = 1});
  ASSERT_TRUE(executor.is_ok()) << executor.status().message();
  const std::vector<Tensor> inputs = test::random_inputs(graph, 1, 2);
  const auto pool = std::make_shared<BufferPool>();
  int64_t made = 0;
  for (int round = 0; round < 4; ++round) {
    const PoolScope scope(pool);
    ASSERT_TRUE((*executor)->run(inputs).is_ok());
    if (round == 0) made = pool->made();
    EXPECT_EQ(pool->made(), made) << "round " << round;
  }
  EXPECT_GT(made, 0);
}

class RandomNetworks : public ::testing::TestWithParam<int> {};

TEST_P(RandomNetworks, AgreeWithTheInterpreter) {
  for (uint64_t i = 0; i < 20; ++i) {
    const uint64_t seed = static_cast<uint64_t>(GetParam()) * 20 + i;
    const Graph graph = test::random_cnn(seed);
    const std::vector<Tensor> inputs = test::random_inputs(graph, seed, 1 + static_cast<int64_t>(seed % 3));
    auto expected = interpret(graph, inputs);
    ASSERT_TRUE(expected.is_ok()) << expected.status().message();
    ExecutorOptions options;
    options.threads = seed % 10 == 0 ? 2 : 1;
    EXPECT_TRUE(test::outputs_near(*expected, run(graph, inputs, options), kTolerance)) << "seed " << seed;
    options.fuse = false;
    EXPECT_TRUE(test::outputs_near(*expected, run(graph, inputs, options), kTolerance)) << "unfused, seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomNetworks, ::testing::Range(0, 8));

TEST(Executor, TapsSeeTheInterpretersValues) {
  for (uint64_t seed = 300; seed < 330; ++seed) {
    const Graph graph = test::random_cnn(seed);
    const std::vector<Tensor> inputs = test::random_inputs(graph, seed, 2);
    std::map<std::string, Tensor> expected;
    ASSERT_TRUE(interpret(graph, inputs, [&](ValueId id, const Tensor& t) {
                  expected[graph.value(id).name] = t.clone();
                }).is_ok());
    ExecutorOptions options;
    for (const auto& [name, t] : expected)
      if (t.dtype() == DType::kFloat32) options.taps.push_back(name);
    auto executor = Executor::create(graph, options);
    ASSERT_TRUE(executor.is_ok()) << executor.status().message();
    size_t seen = 0;
    ASSERT_TRUE(
        (*executor)
            ->run(inputs,
                  [&](size_t tap, const TensorView& view) {
                    ++seen;
                    EXPECT_TRUE(test::outputs_near({expected.at(options.taps[tap])}, {view.to_tensor()}, kTolerance))
                        << options.taps[tap] << " of seed " << seed;
                  })
            .is_ok());
    EXPECT_EQ(seen, options.taps.size()) << "seed " << seed;
  }
}

TEST(Executor, UnknownTapIsNamedWithNearMisses) {
  ExecutorOptions options;
  options.taps = {"xx"};
  const auto executor = Executor::create(test::random_cnn(1), options);
  ASSERT_FALSE(executor.is_ok());
  EXPECT_EQ(executor.status().code(), StatusCode::kNotFound);
  EXPECT_NE(executor.status().message().find("Did you mean 'x'"), std::string::npos) << executor.status().message();
}

TEST(Executor, WrongInputIsASentence) {
  const Graph graph = test::random_cnn(2);
  auto executor = Executor::create(graph);
  ASSERT_TRUE(executor.is_ok());
  const auto result = (*executor)->run({Tensor(DType::kFloat32, {1, 2, 3})});
  ASSERT_FALSE(result.is_ok());
  EXPECT_NE(result.status().message().find("input 'x' expects float32 [N,"), std::string::npos)
      << result.status().message();
}

// An image gives the same bits alone and beside others, and from several threads sharing one executor.
TEST(Executor, ConcurrentRunsGiveTheSameBits) {
  const Graph graph = test::random_cnn(7);
  auto executor = Executor::create(graph);
  ASSERT_TRUE(executor.is_ok());
  std::vector<std::vector<Tensor>> inputs, expected;
  for (uint64_t i = 0; i < 8; ++i) {
    inputs.push_back(test::random_inputs(graph, i, 1 + static_cast<int64_t>(i % 2)));
    auto outputs = (*executor)->run(inputs.back());
    ASSERT_TRUE(outputs.is_ok());
    expected.push_back(*outputs);
  }
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 10; ++round)
        for (size_t i = 0; i < inputs.size(); ++i) {
          auto outputs = (*executor)->run(inputs[i]);
          if (!outputs.is_ok() || !test::outputs_identical(expected[i], *outputs)) ++wrong[t];
        }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Executor, AResidualIsNotOverwrittenWhileTheConvolutionReadsIt) {
  Graph graph;
  graph.name = "x + conv1x1(x)";
  const ValueId x =
      graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(16), Dim::of(5), Dim::of(5)});
  graph.inputs = {x};
  test::Random random(3);
  const ValueId w = graph.add_constant("w", test::random_tensor(random, {16, 16, 1, 1}));
  graph.add_node("Relu", {x}, {"a"});
  const ValueId a = graph.find_value("a");
  graph.add_node("Conv", {a, w}, {"b"});
  graph.add_node("Add", {a, graph.find_value("b")}, {"y"});
  graph.outputs = {graph.find_value("y")};
  const std::vector<Tensor> inputs = {test::random_tensor(random, {3, 16, 5, 5})};
  auto expected = interpret(graph, inputs);
  ASSERT_TRUE(expected.is_ok()) << expected.status().message();
  EXPECT_TRUE(test::outputs_near(*expected, run(graph, inputs), kTolerance));
}

TEST(Executor, RealNetworksAgreeWithTheInterpreter) {
  const std::string folder = test::data_folder();
  if (folder.empty()) GTEST_SKIP() << "no folder of real networks; set OCTET_DATA";
  for (const char* name : {"resnet8_cifar10", "resnet20_cifar10", "resnet20_cifar10_bn", "fastestdet_coco_352"}) {
    auto graph = load_onnx(folder + "/networks/" + name + ".onnx");
    ASSERT_TRUE(graph.is_ok()) << graph.status().message();
    const std::vector<Tensor> inputs = test::random_inputs(*graph, 5, 1);
    auto expected = interpret(*graph, inputs);
    ASSERT_TRUE(expected.is_ok()) << expected.status().message();
    EXPECT_TRUE(test::outputs_near(*expected, run(*graph, inputs), kTolerance)) << name;
  }
}

}  // namespace
}  // namespace octet
