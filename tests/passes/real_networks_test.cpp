#include <filesystem>

#include "octet/onnx.h"
#include "passes/fusion_patterns.h"
#include "passes/net.h"

namespace octet::test {
namespace {

class RealNetwork : public ::testing::TestWithParam<const char*> {};

// Runs all passes on the network; the folder of networks may be absent.
TEST_P(RealNetwork, KeepsItsOutputs) {
  const std::string path = data_folder() + "/networks/" + GetParam();
  if (data_folder().empty() || !std::filesystem::exists(path)) GTEST_SKIP() << "no " << GetParam() << " here";
  Result<Graph> loaded = load_onnx(path);
  ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
  Graph graph = std::move(loaded).value();
  const std::vector<Tensor> inputs = random_inputs(graph, 3, 1);
  const std::vector<std::string> names = output_names(graph);
  const std::vector<Tensor> before = outputs_of(graph, inputs);
  const auto reports = run_passes(graph);
  ASSERT_TRUE(reports.is_ok()) << reports.status().message();
  EXPECT_EQ(output_names(graph), names);
  EXPECT_TRUE(outputs_near(before, outputs_of(graph, inputs), 1e-5));
  EXPECT_EQ(count_nodes(graph, "BatchNormalization"), 0);
  EXPECT_EQ(count_nodes(graph, "Constant"), 0);
  const auto again = run_passes(graph);
  ASSERT_TRUE(again.is_ok());
  for (const PassReport& report : *again) EXPECT_EQ(report.rewrites, 0) << report.name;
}

INSTANTIATE_TEST_SUITE_P(Small, RealNetwork,
                         ::testing::Values("resnet20_cifar10_bn.onnx", "resnet20_cifar10.onnx",
                                           "resnet8_cifar10.onnx"),
                         [](const auto& info) {
                           const std::string file = info.param;
                           return file.substr(0, file.find('.'));
                         });

TEST(RealNetworkPatterns, EveryConvOfResNet20IsFused) {
  const std::string path = data_folder() + "/networks/resnet20_cifar10_bn.onnx";
  if (data_folder().empty() || !std::filesystem::exists(path)) GTEST_SKIP() << "no resnet20_cifar10_bn.onnx here";
  Result<Graph> loaded = load_onnx(path);
  ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
  ASSERT_TRUE(run_passes(*loaded).is_ok());
  int plain = 0;
  int residual = 0;
  for (const Pattern& p : find_patterns(*loaded, GraphIndex(*loaded))) {
    plain += p.kind == PatternKind::kConvActivation ? 1 : 0;
    residual += p.kind == PatternKind::kConvAddActivation ? 1 : 0;
  }
  EXPECT_EQ(plain, 10);
  EXPECT_EQ(residual, 9);
}

TEST(RealNetworkPatterns, YoloxNanoHasItsSiluActivations) {
  const std::string path = data_folder() + "/networks/yolox_nano_coco_416.onnx";
  if (data_folder().empty() || !std::filesystem::exists(path)) GTEST_SKIP() << "no yolox_nano_coco_416.onnx here";
  Result<Graph> loaded = load_onnx(path);
  ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
  ASSERT_TRUE(run_passes(*loaded).is_ok());
  int silu = 0;
  for (const Pattern& p : find_patterns(*loaded, GraphIndex(*loaded))) silu += p.activation == "SiLU" ? 1 : 0;
  EXPECT_EQ(silu, 104);  // 104 of its 113 convolutions; the others are the heads
}

}  // namespace
}  // namespace octet::test
