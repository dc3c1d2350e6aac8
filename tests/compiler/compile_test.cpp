// Options of the compiler: timing cache, batches, kernels by name, plain float networks.
#include "engine/compiler/compile.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "compiler/quantized.h"
#include "interp/interpreter.h"
#include "kernels/cpu/features.h"
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

int64_t convolutions_of(const engine::Program& program) {
  const std::string names = chosen(program);
  return std::count(names.begin(), names.end(), ' ');
}

// Every line of the file with its tabs: what was timed, how, microseconds.
std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class CompileWithCache : public testing::Test {
 protected:
  void SetUp() override {
    path_ =
        testing::TempDir() + "octet_timing_cache_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove(path_);
    options_.seconds = 0.05;
    options_.timing_cache = path_;
    options_.progress = [this](const std::string& line) { rounds_ += line.starts_with("timed kernels"); };
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::string compiled(const Graph& graph) {
    auto program = engine::compile(graph, options_);
    EXPECT_TRUE(program.is_ok()) << program.status().message();
    return program.is_ok() ? engine::serialize_program(*program) : "";
  }

  std::string path_;
  engine::CompileOptions options_;
  int rounds_ = 0;
};

TEST_F(CompileWithCache, TheSecondFileIsTheSameAndNothingRan) {
  const Graph graph = test::quantized_network(5, {});
  const std::string first = compiled(graph);
  const std::vector<std::string> times = lines_of(path_);
  ASSERT_GT(times.size(), 1u);
  EXPECT_EQ(times[0], "octet timing cache 1");
  EXPECT_GT(rounds_, 0);
  rounds_ = 0;
  const std::string second = compiled(graph);
  EXPECT_EQ(rounds_, 0);
  EXPECT_TRUE(first == second);
  EXPECT_EQ(lines_of(path_), times);
}

TEST_F(CompileWithCache, AnotherBatchHasItsOwnTimes) {
  const Graph graph = test::quantized_network(5, {});
  const std::string first = compiled(graph);
  const std::vector<std::string> times = lines_of(path_);
  rounds_ = 0;
  options_.batch = 4;
  const std::string third = compiled(graph);
  EXPECT_GT(rounds_, 0);
  const std::vector<std::string> more = lines_of(path_);
  const auto convs = [](const std::vector<std::string>& lines) {
    return std::count_if(lines.begin(), lines.end(), [](const std::string& l) { return l.starts_with("conv "); });
  };
  EXPECT_EQ(convs(more), 2 * convs(times));
  for (const std::string& line : times) EXPECT_EQ(std::count(more.begin(), more.end(), line), 1) << line;
  rounds_ = 0;
  EXPECT_TRUE(compiled(graph) == third);
  EXPECT_EQ(rounds_, 0);
  options_.batch = 0;
  EXPECT_TRUE(compiled(graph) == first);
}

TEST_F(CompileWithCache, OnlyWhatIsMissingIsTimed) {
  const Graph graph = test::quantized_network(5, {});
  compiled(graph);
  std::vector<std::string> times = lines_of(path_);
  // A time that no run would give shows that it is not measured again.
  std::ofstream file(path_);
  size_t kept = 0;
  for (std::string& line : times) {
    if (line.starts_with("conv ")) {
      if (++kept == 2) continue;
      line = line.substr(0, line.rfind('\t')) + "\t123456789.125";
    }
    file << line << '\n';
  }
  file.close();
  ASSERT_GT(kept, 2u);
  rounds_ = 0;
  compiled(graph);
  EXPECT_EQ(rounds_, 1);
  const std::vector<std::string> after = lines_of(path_);
  ASSERT_EQ(after.size(), times.size());
  size_t convs = 0;
  for (const std::string& line : after)
    if (line.starts_with("conv ")) {
      EXPECT_EQ(line.ends_with("\t123456789.125"), ++convs != 2) << line;
    }
}

// Times that make every convolution of codes slow: what stays in integers then is decided by the whole network.
TEST_F(CompileWithCache, SlowConvolutionsStayInFloatWhenTheWholeIsFaster) {
  const Graph graph = test::quantized_network(5, {});
  compiled(graph);
  std::vector<std::string> times = lines_of(path_);
  if (std::none_of(times.begin(), times.end(), [](const std::string& l) { return l.starts_with("float "); }))
    GTEST_SKIP() << "this build has no float kernels to compare with";
  const auto write = [&](double with_float) {
    std::ofstream file(path_);
    for (std::string line : times) {
      const std::string key = line.substr(0, line.rfind('\t'));
      if (line.starts_with("conv ")) line = key + "\t5000";
      if (line.starts_with("whole "))
        line = key + "\t" + std::to_string(key.ends_with("integers") ? 100.0 : with_float);
      file << line << '\n';
    }
  };
  write(0);
  compiled(graph);
  times = lines_of(path_);
  ASSERT_TRUE(std::any_of(times.begin(), times.end(), [](const std::string& l) { return l.starts_with("whole "); }));
  const auto convolutions = [&] {
    auto program = engine::compile(graph, options_);
    EXPECT_TRUE(program.is_ok());
    return program.is_ok() ? convolutions_of(*program) : int64_t{-1};
  };
  rounds_ = 0;
  write(99);
  EXPECT_EQ(convolutions(), 0);
  write(101);
  EXPECT_GT(convolutions(), 0);
  EXPECT_EQ(rounds_, 0);
}

TEST(Compile, ADamagedCacheIsNamedWithItsLine) {
  const std::string path = testing::TempDir() + "octet_bad_cache";
  engine::CompileOptions options;
  options.timing_cache = path;
  for (const auto& [text, words] : {std::pair("octet timing cache 1\nconv 1\tvnni\t3.5\nnonsense\n", "line 3"),
                                    std::pair("octet timing cache 1\nconv 1\tvnni\t3.5x\n", "line 2"),
                                    std::pair("octet timing cache 1\nconv 1\tvnni\tnan\n", "line 2"),
                                    std::pair("a letter to a friend\n", "not a timing cache of Octet")}) {
    std::ofstream(path) << text;
    auto program = engine::compile(test::quantized_network(5, {}), options);
    ASSERT_FALSE(program.is_ok());
    EXPECT_EQ(program.status().code(), StatusCode::kDataCorrupt);
    EXPECT_NE(program.status().message().find(words), std::string::npos) << program.status().message();
    EXPECT_EQ(lines_of(path)[0] + "\n", std::string(text).substr(0, std::string(text).find('\n') + 1));
  }
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

// x in UINT8 codes with this zero point, a 1x1 convolution of INT8 weights up to `most`, its result in UINT8 codes.
Graph pointwise(int zero, int most) {
  Graph graph;
  graph.opset = 17;
  graph.inputs = {graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(32), Dim::of(6), Dim::of(6)})};
  const auto add = [&](const char* op, std::vector<ValueId> inputs) {
    return graph.nodes[graph.add_node(op, std::move(inputs), {std::string(op) + "_out"}, {})].outputs[0];
  };
  const ValueId scale = graph.add_constant("s", Tensor::scalar(0.02f));
  const ValueId point = graph.add_constant("z", Tensor::scalar(static_cast<uint8_t>(zero)));
  const auto codes = [&](ValueId v) {
    return add("DequantizeLinear", {add("QuantizeLinear", {v, scale, point}), scale, point});
  };
  test::Random random(4);
  Tensor weights(DType::kInt8, {32, 32, 1, 1});
  for (int64_t i = 0; i < weights.numel(); ++i)
    weights.data<int8_t>()[i] = static_cast<int8_t>(random.integer(-most, most));
  const ValueId w = add("DequantizeLinear", {graph.add_constant("w", weights), scale});
  graph.outputs = {codes(add("Conv", {codes(graph.inputs[0]), w}))};
  return graph;
}

// Where quads would repair many sums, another kernel is taken unseen.
TEST(Compile, WithoutTimingQuadsAreForCodesThatBeginAtZero) {
  for (const auto& [zero, most, expected] :
       {std::tuple(0, 60, "avx2-quads"), std::tuple(128, 60, "avx2-pairs"), std::tuple(0, 127, "avx2-words")}) {
    auto program = engine::compile(pointwise(zero, most), {.timing = false, .features = cpu::kAvx2});
    ASSERT_TRUE(program.is_ok()) << program.status().message();
    if (program->features == 0) GTEST_SKIP() << "this build has no kernels beyond the base";
    EXPECT_EQ(chosen(*program), std::string(expected) + " ") << zero << " " << most;
  }
}

TEST(Compile, UnknownKernelsAreNamed) {
  engine::CompileOptions options;
  options.disabled_kernels = {"vnnni"};
  auto program = engine::compile(test::quantized_network(5, {}), options);
  ASSERT_FALSE(program.is_ok());
  EXPECT_EQ(program.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(program.status().message().find("'vnnni'"), std::string::npos);
}

// Kernels of a CPU that this one (limited to the base) does not include.
TEST(Compile, ForALargerCpu) {
  const Graph graph = test::quantized_network(5, {});
  constexpr uint32_t kAll = cpu::kAvx2 | cpu::kAvx512 | cpu::kAvx512Vnni | cpu::kAmxInt8;
  auto here = engine::compile(graph, {.timing = false});
  cpu::limit_cpu_features_for_testing(0);
  auto program = engine::compile(graph, {.features = kAll});
  const std::string path = testing::TempDir() + "octet_larger_cpu.octet";
  const Status saved = program.is_ok() ? engine::save_program(*program, path) : program.status();
  const Status loaded = Engine::load(path).status();
  cpu::limit_cpu_features_for_testing(~0u);
  ASSERT_TRUE(saved.is_ok()) << saved.message();
  ASSERT_TRUE(here.is_ok());
  if (program->features == 0) GTEST_SKIP() << "this build has no kernels beyond the base";
  EXPECT_EQ(loaded.code(), StatusCode::kUnsupported) << loaded.message();
  if (cpu::cpu_features() == kAll) {
    EXPECT_EQ(chosen(*program), chosen(*here));
  }
  std::filesystem::remove(path);
}

TEST(Compile, NodesToKeepInFloatAreChecked) {
  const Graph graph = test::quantized_network(5, {});
  std::string weighted, other;
  std::set<std::string> convs;
  for (const Node& node : graph.nodes) {
    if (node.is("Conv") || node.is("Gemm") || node.is("MatMul")) weighted = node.name, convs.insert(node.name);
    if (node.is("QuantizeLinear") && other.empty()) other = node.name;
  }
  ASSERT_FALSE(weighted.empty() || other.empty());
  const auto count = [&](const std::set<std::string>& names) {
    auto program = engine::compile(graph, {.timing = false, .keep_float = names});
    EXPECT_TRUE(program.is_ok()) << program.status().message();
    return program.is_ok() ? convolutions_of(*program) : int64_t{-1};
  };
  const auto all = count({});
  ASSERT_GT(all, 0);
  int64_t removed = 0;  // others may be in float anyway
  for (const std::string& name : convs) removed += all - count({name});
  EXPECT_GE(removed, 1);
  EXPECT_EQ(count({"*"}), 0);
  for (const auto& [name, code] :
       {std::pair(weighted + "x", StatusCode::kNotFound), std::pair(std::string("zz*"), StatusCode::kNotFound),
        std::pair(other, StatusCode::kInvalidArgument)}) {
    auto program = engine::compile(graph, {.timing = false, .keep_float = {name}});
    ASSERT_FALSE(program.is_ok()) << name;
    EXPECT_EQ(program.status().code(), code);
    EXPECT_NE(program.status().message().find("'" + name + "'"), std::string::npos);
    if (name == weighted + "x") {
      EXPECT_NE(program.status().message().find("'" + weighted + "'"), std::string::npos)
          << program.status().message();
    }
  }
}

TEST(Compile, EverythingInFloatHasNoQuantizers) {
  const Graph graph = test::quantized_network(5, {});
  auto program = engine::compile(graph, {.timing = false, .integers = false});
  ASSERT_TRUE(program.is_ok()) << program.status().message();
  ASSERT_EQ(program->outputs.size(), graph.outputs.size());
  for (size_t o = 0; o < graph.outputs.size(); ++o)
    EXPECT_EQ(program->tensors[static_cast<size_t>(program->outputs[o])].name, graph.value(graph.outputs[o]).name);
  int weighted = 0;
  for (const engine::Operation& op : program->operations) {
    const auto* island = std::get_if<engine::IslandOp>(&op);
    ASSERT_NE(island, nullptr);
    for (const Node& node : island->graph.nodes) {
      EXPECT_FALSE(node.is("QuantizeLinear") || node.is("DequantizeLinear")) << node.name;
      weighted += node.is("Conv") || node.is("Gemm") || node.is("MatMul");
    }
  }
  EXPECT_GT(weighted, 0);
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
