// Trained networks: decisions on them, file sizes, and that the result still predicts what the float network does.
#include <cstdlib>
#include <filesystem>

#include "octet/onnx.h"
#include "passes/pass.h"
#include "quantization/network.h"
#include "quantization/small_networks.h"

namespace octet::testing {
namespace {

std::string data_folder() {
  const char* given = std::getenv("OCTET_DATA");
  return given != nullptr ? given : std::string(OCTET_SOURCE_DIR) + "/../shared/data";
}

std::string network_path(const std::string& name) { return data_folder() + "/networks/" + name + ".onnx"; }

Graph loaded(const std::string& name) {
  auto graph = load_onnx(network_path(name));
  EXPECT_TRUE(graph.is_ok()) << graph.status().message();
  const auto passes = run_passes(*graph);
  EXPECT_TRUE(passes.is_ok()) << passes.status().message();
  return *graph;
}

#define NEED_NETWORK(name)                          \
  if (!std::filesystem::exists(network_path(name))) \
  GTEST_SKIP() << "no " << network_path(name) << "; set OCTET_DATA to the folder with networks/ to run this"

class Sizes : public ::testing::TestWithParam<const char*> {};

TEST_P(Sizes, TheFileShrinksByThreeAndAHalf) {
  NEED_NETWORK(GetParam());
  const Graph g = loaded(GetParam());
  for (const char* target : {"tensorrt", "onnxruntime", "openvino", "octet"}) {
    const Quantized q = quantize_all(g, options_for(target, Regime::kSelective));
    const auto bytes = serialize_onnx(q.graph);
    ASSERT_TRUE(bytes.is_ok()) << bytes.status().message();
    const auto before = static_cast<double>(std::filesystem::file_size(network_path(GetParam())));
    EXPECT_GE(before / static_cast<double>(bytes->size()), 3.5) << target << ": " << bytes->size() << " bytes";
    const auto again = parse_onnx(*bytes, "");
    ASSERT_TRUE(again.is_ok()) << again.status().message();
    EXPECT_EQ(count_ops(*again, "QuantizeLinear"), count_ops(q.graph, "QuantizeLinear"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Sizes, ::testing::Values("resnet8_cifar10", "resnet20_cifar10"));

TEST(RealNetworks, ResNet20HasOneQuantizerPerFeatureMap) {
  NEED_NETWORK("resnet20_cifar10");
  const Graph g = loaded("resnet20_cifar10");
  const QuantizationPlan plan = prepared(g, options_for("tensorrt", Regime::kSelective));
  for (const NodePlan& n : plan.nodes) {
    static const std::map<std::string, NodeDecision> kExpected = {
        {"Conv", NodeDecision::kQuantized}, {"Gemm", NodeDecision::kQuantized}, {"Add", NodeDecision::kFused},
        {"Slice", NodeDecision::kCarries},  {"Pad", NodeDecision::kCarries},    {"Relu", NodeDecision::kFused}};
    const auto expected = kExpected.find(n.op_type);
    if (expected != kExpected.end()) {
      EXPECT_EQ(n.decision, expected->second) << n.name << ": " << n.why;
    }
  }
  // The input, 19 ReLUs and the averaged features: nothing for the shortcuts.
  EXPECT_EQ(plan.tensors_to_observe().size(), 21u);
}

TEST(RealNetworks, YoloxBoxesStayInFloat) {
  NEED_NETWORK("yolox_nano_coco_416");
  const Graph g = loaded("yolox_nano_coco_416");
  const Network net(g);
  EXPECT_EQ(detection_head(net).size(), 9u) << "boxes, objectness and classes at three strides";
  const std::vector<size_t> boxes = box_regression(net);
  ASSERT_EQ(boxes.size(), 3u);
  for (size_t i : boxes) EXPECT_EQ(conv_channels(net, i)->out, 4);
}

TEST(RealNetworks, FastestDetBoxIsFound) {
  NEED_NETWORK("fastestdet_coco_352");
  const Graph g = loaded("fastestdet_coco_352");
  const Network net(g);
  const std::vector<size_t> boxes = box_regression(net);
  ASSERT_EQ(boxes.size(), 1u);
  EXPECT_EQ(conv_channels(net, boxes[0])->out, 4);
}

TEST(RealNetworks, AllPrepareForAllTargets) {
  for (const char* name : {"resnet8_cifar10", "resnet56_cifar10", "yolox_nano_coco_416", "fastestdet_coco_352"}) {
    NEED_NETWORK(name);
    const Graph g = loaded(name);
    for (const char* target : {"tensorrt", "onnxruntime", "openvino", "octet"}) {
      for (const Regime regime : {Regime::kNaive, Regime::kHybrid, Regime::kSelective}) {
        const QuantizationPlan plan = prepared(g, options_for(target, regime));
        EXPECT_GT(plan.tensors.size(), 10u) << name << " " << target;
        for (ValueId out : g.outputs)
          EXPECT_TRUE(!is_quantized(plan, g.value(out).name) || !readers_of(plan, g.value(out).name).empty());
      }
    }
  }
}

}  // namespace
}  // namespace octet::testing
