// The engine's promise: every kernel, number of threads and batch gives the codes of the reference kernels, and those
// are what the interpreter's float simulation of the same Q/DQ graph rounds to.
#include <algorithm>
#include <cmath>
#include <thread>

#include "compiler/quantized.h"
#include "engine/allocation_count.h"
#include "engine/compiler/compile.h"
#include "interp/interpreter.h"
#include "octet/runtime.h"
#include "support/compare.h"

namespace octet {
namespace {

std::vector<std::string> all_kernels() {
  std::vector<std::string> names;
  for (const cpu::ConvKernel* kernel : cpu::conv_kernels())
    if (kernel->name() != "reference") names.emplace_back(kernel->name());
  return names;
}

std::shared_ptr<const Engine> engine_of(const Graph& graph, const std::vector<std::string>& disabled,
                                        bool timing = false) {
  engine::CompileOptions options;
  options.timing = timing;
  options.seconds = 0.02;
  options.disabled_kernels = disabled;
  auto program = engine::compile(graph, options);
  EXPECT_TRUE(program.is_ok()) << program.status().message();
  if (!program.is_ok()) return nullptr;
  auto made = Engine::from_program(std::move(*program));
  EXPECT_TRUE(made.is_ok()) << made.status().message();
  return made.is_ok() ? *made : nullptr;
}

std::vector<Tensor> run(const std::shared_ptr<const Engine>& engine, int threads, const std::vector<Tensor>& inputs) {
  auto session = Session::create(engine, {.threads = threads});
  EXPECT_TRUE(session.is_ok()) << session.status().message();
  auto out = (*session)->run(inputs);
  EXPECT_TRUE(out.is_ok()) << out.status().message();
  return out.is_ok() ? *out : std::vector<Tensor>{};
}

QuantizationOptions options_for(uint64_t seed) {
  static const char* const kTargets[] = {"octet", "onnxruntime", "openvino", "tensorrt"};
  QuantizationOptions options;
  options.target = kTargets[seed % 4];
  options.regime = seed % 3 == 0 ? Regime::kNaive : seed % 3 == 1 ? Regime::kHybrid : Regime::kSelective;
  return options;
}

class RandomNetworks : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomNetworks, EveryKernelThreadCountAndBatchGivesTheReferenceBits) {
  const Graph graph = test::quantized_network(GetParam(), options_for(GetParam()));
  const auto reference = engine_of(graph, all_kernels());
  ASSERT_NE(reference, nullptr);
  // Each kernel in turn gets the first chance: those before it in the list are switched off.
  std::vector<std::vector<std::string>> choices = {{}};
  for (const std::string& name : all_kernels()) {
    choices.push_back(choices.back());
    choices.back().push_back(name);
  }
  choices.pop_back();
  for (int64_t batch : {1, 3, 8}) {
    const std::vector<Tensor> inputs = test::random_inputs(graph, GetParam() + 7, batch);
    const std::vector<Tensor> expected = run(reference, 1, inputs);
    ASSERT_EQ(expected.size(), graph.outputs.size());
    for (const auto& disabled : choices) {
      const auto engine = engine_of(graph, disabled);
      ASSERT_NE(engine, nullptr);
      for (int threads : {1, 2, 3}) {
        const std::vector<Tensor> got = run(engine, threads, inputs);
        ASSERT_EQ(got.size(), expected.size());
        for (size_t i = 0; i < got.size(); ++i)
          EXPECT_TRUE(same_bits(got[i], expected[i])) << "output " << i << ", batch " << batch << ", " << threads
                                                      << " threads, without " << disabled.size() << " kernels";
      }
    }
  }
}

// Float sums of the simulation may fall to the other side of a tie now and then; nothing else may differ.
TEST_P(RandomNetworks, AgreesWithTheInterpretersSimulation) {
  Graph simplified;
  const Graph graph = test::quantized_network(GetParam(), options_for(GetParam()), &simplified);
  const auto engine = engine_of(graph, {});
  ASSERT_NE(engine, nullptr);
  const std::vector<Tensor> inputs = test::random_inputs(graph, GetParam() + 3, 4);
  const std::vector<Tensor> got = run(engine, 1, inputs);
  const auto simulated = interpret(graph, inputs);
  const auto real = interpret(simplified, inputs);
  ASSERT_TRUE(simulated.is_ok() && real.is_ok());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].dims(), (*simulated)[i].dims());
    double to_simulation = 0, to_real = 0, power = 0;
    for (int64_t e = 0; e < got[i].numel(); ++e) {
      const double s = (*simulated)[i].data<float>()[e], r = (*real)[i].data<float>()[e];
      to_simulation += std::pow(got[i].data<float>()[e] - s, 2);
      to_real += std::pow(s - r, 2);
      power += s * s;
    }
    // Far below what quantization itself changes (a tenth of its power), or below 1e-4 of the signal.
    EXPECT_LE(to_simulation, 0.1 * to_real + 1e-8 * power) << "output " << i;
  }
}

// Networks without islands, all kernels chosen as a user has them.
TEST(Engine, RunningANetworkAllocatesNothing) {
  int without_islands = 0;
  for (uint64_t seed = 0; seed < 48; ++seed) {
    const Graph graph = test::quantized_network(seed, options_for(seed));
    engine::CompileOptions options;
    options.timing = false;
    auto program = engine::compile(graph, options);
    ASSERT_TRUE(program.is_ok()) << program.status().message();
    const bool island = std::any_of(program->operations.begin(), program->operations.end(),
                                    [](const auto& op) { return std::holds_alternative<engine::IslandOp>(op); });
    if (island) continue;
    ++without_islands;
    auto engine = Engine::from_program(std::move(*program));
    ASSERT_TRUE(engine.is_ok()) << engine.status().message();
    const std::vector<Tensor> inputs = test::random_inputs(graph, seed, 3);
    for (int threads : {1, 3}) {
      auto session = Session::create(*engine, {.threads = threads});
      auto outputs = (*session)->run(inputs);
      ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
      std::vector<const void*> in;
      std::vector<void*> out;
      for (const Tensor& t : inputs) in.push_back(t.raw());
      for (Tensor& t : *outputs) out.push_back(t.raw());
      const int64_t before = test::allocation_count();
      bool fine = true;
      for (int i = 0; i < 3; ++i) fine = (*session)->run(3, in, out).is_ok() && fine;
      EXPECT_EQ(test::allocation_count(), before) << "seed " << seed << ", " << threads << " threads";
      EXPECT_TRUE(fine);
    }
  }
  EXPECT_GE(without_islands, 3);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomNetworks, testing::Range<uint64_t>(0, 16));

TEST(Engine, SessionsOfOneEngineRunAtOnce) {
  const Graph graph = test::quantized_network(5, {});
  const auto engine = engine_of(graph, {});
  ASSERT_NE(engine, nullptr);
  const std::vector<Tensor> inputs = test::random_inputs(graph, 1, 2);
  const std::vector<Tensor> expected = run(engine, 1, inputs);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      auto session = Session::create(engine, {.threads = 2});
      for (int i = 0; i < 20; ++i) {
        auto out = (*session)->run(inputs);
        for (size_t o = 0; o < expected.size(); ++o) wrong[t] += !out.is_ok() || !same_bits((*out)[o], expected[o]);
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace octet
