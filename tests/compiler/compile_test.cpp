// Options of the compiler: timing cache, batches, kernels by name, plain float networks.
#include <filesystem>
#include <fstream>

#include "compiler/quantized.h"
#include "engine/compiler/compile.h"
#include "interp/interpreter.h"
#include "octet/runtime.h"
#include "support/compare.h"

namespace octet {
namespace {

std::string chosen(const engine::Program& program) {
  std::string kernels;
  for (const engine::Operation& op : program.operations)
    if (const auto* conv = std::get_if<engine::ConvOp>(&op)) kernels += conv->kernel + " ";
  return kernels;
}

TEST(Compile, ASecondCompileWithTheCacheIsTheSameFile) {
  const Graph graph = test::quantized_network(5, {});
  const std::string path = testing::TempDir() + "octet_timing_cache";
  std::filesystem::remove(path);
  engine::CompileOptions options;
  options.seconds = 0.05;
  options.timing_cache = path;
  auto first = engine::compile(graph, options);
  ASSERT_TRUE(first.is_ok()) << first.status().message();
  ASSERT_TRUE(std::filesystem::exists(path));
  int rounds = 0;
  options.progress = [&](const std::string& line) { rounds += line.starts_with("timed kernels"); };
  auto second = engine::compile(graph, options);
  ASSERT_TRUE(second.is_ok()) << second.status().message();
  EXPECT_EQ(chosen(*first), chosen(*second));
  EXPECT_EQ(rounds, 0);
  std::filesystem::remove(path);
}

TEST(Compile, ADamagedCacheIsNamedWithItsLine) {
  const std::string path = testing::TempDir() + "octet_bad_cache";
  std::ofstream(path) << "conv 1\tvnni\t3.5\nnonsense\n";
  engine::CompileOptions options;
  options.timing_cache = path;
  auto program = engine::compile(test::quantized_network(5, {}), options);
  ASSERT_FALSE(program.is_ok());
  EXPECT_EQ(program.status().code(), StatusCode::kDataCorrupt);
  EXPECT_NE(program.status().message().find("line 2"), std::string::npos);
  std::filesystem::remove(path);
}

TEST(Compile, WithoutTimingIsDeterministic) {
  const Graph graph = test::quantized_network(8, {});
  engine::CompileOptions options;
  options.timing = false;
  auto a = engine::compile(graph, options), b = engine::compile(graph, options);
  ASSERT_TRUE(a.is_ok() && b.is_ok());
  EXPECT_EQ(engine::serialize_program(*a), engine::serialize_program(*b));
}

TEST(Compile, UnknownKernelsAreNamed) {
  engine::CompileOptions options;
  options.disabled_kernels = {"vnnni"};
  auto program = engine::compile(test::quantized_network(5, {}), options);
  ASSERT_FALSE(program.is_ok());
  EXPECT_EQ(program.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(program.status().message().find("'vnnni'"), std::string::npos);
}

TEST(Compile, AFloatNetworkRunsInFloat) {
  test::RandomGraphOptions shape;
  shape.with_dequantize = false;
  const Graph graph = test::random_cnn(11, shape);
  auto program = engine::compile(graph, {.timing = false});
  ASSERT_TRUE(program.is_ok()) << program.status().message();
  auto engine = Engine::from_program(std::move(*program));
  ASSERT_TRUE(engine.is_ok()) << engine.status().message();
  const std::vector<Tensor> inputs = test::random_inputs(graph, 2, 3);
  auto got = (*Session::create(*engine, {}))->run(inputs);
  auto expected = interpret(graph, inputs);
  ASSERT_TRUE(got.is_ok() && expected.is_ok()) << got.status().message();
  for (size_t o = 0; o < got->size(); ++o)
    for (int64_t i = 0; i < (*got)[o].numel(); ++i)
      ASSERT_NEAR((*got)[o].data<float>()[i], (*expected)[o].data<float>()[i],
                  1e-4 * (1 + std::abs((*expected)[o].data<float>()[i])));
}

TEST(Compile, AGivenBatchIsFixed) {
  const Graph graph = test::quantized_network(5, {});
  auto program = engine::compile(graph, {.timing = false, .batch = 4});
  ASSERT_TRUE(program.is_ok()) << program.status().message();
  EXPECT_FALSE(program->batched);
  auto engine = Engine::from_program(std::move(*program));
  ASSERT_TRUE(engine.is_ok());
  EXPECT_EQ((*engine)->inputs()[0].dims[0], 4);
  auto free_batch = engine::compile(graph, {.timing = false});
  auto other = Engine::from_program(std::move(*free_batch));
  const std::vector<Tensor> inputs = test::random_inputs(graph, 2, 4);
  auto a = (*Session::create(*engine, {}))->run(inputs), b = (*Session::create(*other, {}))->run(inputs);
  ASSERT_TRUE(a.is_ok() && b.is_ok());
  for (size_t o = 0; o < a->size(); ++o) EXPECT_TRUE(same_bits((*a)[o], (*b)[o]));
}

}  // namespace
}  // namespace octet
