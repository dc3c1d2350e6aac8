// Forward in eval mode is the interpreter: every operator, random networks, real ones.
#include <filesystem>

#include "graph/op_table.h"
#include "octet/onnx.h"
#include "training/op.h"
#include "training/support.h"

namespace octet::training::test {
namespace {

void expect_equal(const Graph& graph, const std::vector<Tensor>& inputs, double relative = 1e-5) {
  const auto expected = interpret(graph, inputs);
  ASSERT_TRUE(expected.is_ok()) << expected.status().message();
  const auto module = module_of(graph);
  ASSERT_NE(module, nullptr);
  const auto actual = module->forward(to_torch_all(inputs));
  ASSERT_TRUE(actual.is_ok()) << actual.status().message();
  EXPECT_TRUE(octet::test::outputs_near(*expected, from_torch_all(*actual), relative));
}

TEST(Forward, EveryOperatorIsTheInterpreters) {
  std::set<std::string> seen;
  for (const OpCase& c : every_op()) {
    SCOPED_TRACE(c.body);
    const Graph graph = graph_of(c);
    const std::string op = graph.nodes.back().op_type;
    seen.insert(op);
    if (kUntrainable.count(op) != 0) {
      const auto refused = TrainableModule::create(graph);
      ASSERT_FALSE(refused.is_ok());
      EXPECT_EQ(refused.status().code(), StatusCode::kUnsupported);
      EXPECT_NE(refused.status().message().find("node '" + graph.nodes.back().name + "' (" + op + "): "),
                std::string::npos)
          << refused.status().message();
      continue;
    }
    expect_equal(graph, inputs_of(graph, 1, 0.1, 1.0));
    expect_equal(graph, inputs_of(graph, 2, -2.0, 2.0));
  }
  for (const OpInfo& op : all_ops()) EXPECT_EQ(seen.count(std::string(op.op_type)), 1U) << op.op_type;
}

// Modes that the small graphs leave out.
TEST(Forward, FurtherModesAreTheInterpreters) {
  const std::string x = "input %x: float32[N, 4, H, 10]\n";
  std::vector<OpCase> cases;
  for (const char* mode : {"nearest", "linear", "cubic"})
    for (const char* coordinates :
         {"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric"})
      cases.push_back({19, x + "const %s: float32[4] = [1.0, 1.0, 1.7, 0.6]\n%y = Resize(%x, _, %s) {mode = \"" +
                               mode + "\", coordinate_transformation_mode = \"" + coordinates + "\"}\n"});
  cases.push_back({19, x + "const %s: float32[4] = [1.0, 1.0, 0.5, 0.6]\n%y = Resize(%x, _, %s) {mode = \"linear\", "
                           "antialias = 1}\n"});
  cases.push_back(
      {19, x + "const %r: float32[8] = [0.0, 0.0, 0.2, 0.1, 1.0, 1.0, 1.3, 0.9]\nconst %s: int64[4] = [2, 4, 7, 5]\n"
               "%y = Resize(%x, %r, _, %s) {mode = \"linear\", coordinate_transformation_mode = "
               "\"tf_crop_and_resize\", extrapolation_value = 9.0}\n"});
  for (const char* mode : {"edge", "reflect", "wrap"})
    cases.push_back({19, x + "const %p: int64[8] = [0, 1, 2, 3, 0, 0, -1, 1]\n%y = Pad(%x, %p) {mode = \"" +
                             std::string(mode) + "\"}\n"});
  cases.push_back(
      {19,
       x + "const %p: int64[8] = [0, 1, 2, 3, 0, 0, -1, 1]\nconst %v: float32[] = [-3.5]\n%y = Pad(%x, %p, %v)\n"});
  cases.push_back({19, x + "const %p: int64[8] = [0, 1, 2, 3, 0, 0, -1, 1]\nconst %v: float32[] = [-3.5]\n%y = "
                           "Pad(%x, %p, %v) {mode = \"edge\"}\n"});
  for (const char* pool : {"pads = [2, 2, 2, 2]", "pads = [1, 0, 1, 2], ceil_mode = 1, strides = [2, 3]",
                           "dilations = [2, 1], pads = [1, 1, 1, 1]"})
    for (const char* op : {"AveragePool", "MaxPool"})
      cases.push_back({19, x + "%y = " + op + "(%x) {kernel_shape = [3, 3], " + pool +
                               (std::string(op) == "MaxPool" ? "" : ", count_include_pad = 1") + "}\n"});
  cases.push_back({17,
                   "input %x: float32[N, 3, 5, 6, 4]\ninput %w: float32[2, 3, 2, 3, 2]\n%y = Conv(%x, %w) {pads = "
                   "[1, 0, 1, 0, 1, 0]}\n"});
  cases.push_back(
      {17,
       "input %x: float32[N, 3, 5, 6, 4]\n%y = MaxPool(%x) {kernel_shape = [2, 3, 2], pads = [1, 1, 0, 0, 1, 1]}\n"});
  cases.push_back(
      {17, "input %x: float32[N, 3, 9]\n%y = AveragePool(%x) {kernel_shape = [4], pads = [1, 2], strides = [2]}\n"});
  cases.push_back({17,
                   "input %x: float32[N, 4, 5]\ninput %w: float32[4, 3, 3]\ninput %b: float32[3]\n%y = "
                   "ConvTranspose(%x, %w, %b) {strides = [3], output_padding = [2]}\n"});
  for (const char* op : {"Softmax", "LogSoftmax"}) cases.push_back({11, x + "%y = " + op + "(%x)\n"});
  cases.push_back({17, x + "const %a: int64[] = [-1]\n%y = CumSum(%x, %a) {exclusive = 1, reverse = 1}\n"});
  cases.push_back({17, x + "%y = LpNormalization(%x) {p = 1, axis = 1}\n"});
  cases.push_back({17, x + "%y = DepthToSpace(%x) {blocksize = 2, mode = \"CRD\"}\n"});
  cases.push_back({17, x + "const %e: float32[] = [3.0]\n%y = Pow(%x, %e)\n"});
  cases.push_back({17, x + "const %e: int64[] = [2]\n%y = Pow(%x, %e)\n"});
  cases.push_back({20, x + "%y = Gelu(%x) {approximate = \"tanh\"}\n"});
  cases.push_back(
      {18, x + "input %g: float32[2]\ninput %b: float32[2]\n%y = GroupNormalization(%x, %g, %b) {num_groups = 2}\n"});
  for (const char* reduction : {"add", "mul", "max", "min"}) {
    cases.push_back({18,
                     "input %x: float32[3, S]\nconst %i: int64[3, 1] = [2, 0, 2]\ninput %u: float32[3, S]\n"
                     "%y = ScatterND(%x, %i, %u) {reduction = \"" +
                         std::string(reduction) + "\"}\n"});
    cases.push_back({18,
                     "input %x: float32[3, 2]\nconst %i: int64[2, 2] = [0, -1, 0, 1]\ninput %u: float32[2, 2]\n"
                     "%y = ScatterElements(%x, %i, %u) {reduction = \"" +
                         std::string(reduction) + "\"}\n"});
  }
  cases.push_back({17,
                   "input %x: float32[5, N]\ninput %b: float32[5, 7]\ninput %c: float32[N, 1]\n%y = Gemm(%x, %b, %c) "
                   "{transA = 1, alpha = 0.5, beta = 2.0}\n"});
  for (const OpCase& c : cases) {
    SCOPED_TRACE(c.body);
    const Graph graph = graph_of(c);
    expect_equal(graph, inputs_of(graph, 3, -1.5, 1.5));
  }
}

TEST(Forward, RandomNetworksAreTheInterpreters) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Graph graph = octet::test::random_cnn(seed);
    expect_equal(graph, octet::test::random_inputs(graph, seed, 3));
  }
}

class RealNetworks : public ::testing::TestWithParam<const char*> {};

TEST_P(RealNetworks, AreTheInterpreters) {
  const std::string path = octet::test::data_folder() + "/networks/" + GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the networks are not here; set OCTET_DATA to their folder";
  const auto graph = load_onnx(path);
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  const std::vector<Tensor> inputs = octet::test::random_inputs(*graph, 5, 1);
  const auto expected = interpret(*graph, inputs);
  ASSERT_TRUE(expected.is_ok()) << expected.status().message();
  const auto module = module_of(*graph);
  ASSERT_NE(module, nullptr);
  const at::NoGradGuard guard;
  const auto actual = module->forward(to_torch_all(inputs));
  ASSERT_TRUE(actual.is_ok()) << actual.status().message();
  // YOLOX's sigmoids magnify rounding: even with float64 sums all through, inner values are 5e-5 away from the
  // interpreter, which rounds the output of every node to float32. LibTorch adds plain float32 sums.
  const bool magnifies = std::string(GetParam()).starts_with("yolox");
  EXPECT_TRUE(octet::test::outputs_near(*expected, from_torch_all(*actual), magnifies ? 1e-4 : 1e-5));
  const auto wide = module_of(*graph);
  ASSERT_TRUE(wide->to(at::kDouble).is_ok());
  std::vector<at::Tensor> exact = wide->forward(to_torch_all(inputs)).value();
  for (at::Tensor& y : exact) y = y.to(at::kFloat);
  EXPECT_TRUE(octet::test::outputs_near(*expected, from_torch_all(exact), magnifies ? 3e-5 : 5e-6));
  Graph back = *graph;
  ASSERT_TRUE(module->write_back(back).is_ok());
  EXPECT_EQ(graph_fingerprint(back), graph_fingerprint(*graph));
}

INSTANTIATE_TEST_SUITE_P(Networks, RealNetworks,
                         ::testing::Values("resnet8_cifar10.onnx", "resnet20_cifar10.onnx",
                                           "resnet20_cifar10_bn.onnx", "resnet56_cifar10.onnx",
                                           "yolox_nano_coco_416.onnx", "fastestdet_coco_352.onnx"),
                         [](const auto& info) {
                           const std::string file = info.param;
                           return file.substr(0, file.find('.'));
                         });

}  // namespace
}  // namespace octet::training::test
