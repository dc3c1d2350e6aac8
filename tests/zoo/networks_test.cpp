// What the networks are: sizes as published, shapes, finite numbers, and the same through a file.
#include <algorithm>
#include <cmath>
#include <set>

#include "graph/text.h"
#include "graph/verify.h"
#include "interp/interpreter.h"
#include "metrics/detection.h"
#include "octet/onnx.h"
#include "support/compare.h"
#include "zoo/randomized.h"

namespace octet::test {
namespace {

struct Published {
  const char* name;
  int64_t parameters;
  double gmacs;  // to half a unit of the last digit
  double tolerance;
};

// torchvision: "num_params" and "_ops" of the weights' metadata (torchvision/models/*.py, version 0.15 and later;
// version 0.14 has the first). timm: its table results/model_metadata-in1k.csv. DeiT-Ti (arXiv 2012.12877, table 1)
// has 5 M and 1.3 G with the products of attention. ResNet-20 and -56: 0.27 M and 0.85 M (arXiv 1512.03385, table 6),
// exactly as in the readme of akamaster/pytorch_resnet_cifar10.
constexpr Published kPublished[] = {
    {"resnet18", 11'689'512, 1.814, 5e-4},          {"resnet34", 21'797'672, 3.664, 5e-4},
    {"resnet50", 25'557'032, 4.089, 5e-4},          {"mobilenet_v2", 3'504'872, 0.301, 5e-4},
    {"mobilenet_v3_large", 5'483'032, 0.217, 5e-4}, {"mobilenet_v3_small", 2'542'856, 0.057, 5e-4},
    {"efficientnet_b0", 5'288'548, 0.386, 5e-4},    {"vgg11_bn", 132'868'840, 7.609, 5e-4},
    {"vgg16_bn", 138'365'992, 15.470, 5e-4},        {"vit_tiny", 5'717'416, 1.3, 0.05},
    {"repvgg_a0", 9'110'000, 1.52, 1e-2},           {"resnet20_cifar", 269'722, 0.041, 5e-4},
    {"resnet56_cifar", 853'018, 0.125, 6e-4},
};

TEST(Zoo, ParametersAndMultiplicationsAreThoseOfThePapers) {
  for (const Published& p : kPublished) {
    const auto cost = zoo_cost(p.name);
    ASSERT_TRUE(cost.is_ok()) << p.name << ": " << cost.status().message();
    const double exact = std::string_view(p.name) == "repvgg_a0" ? 5e3 : 0;  // published as 9.11 M
    EXPECT_NEAR(static_cast<double>(cost->parameters), static_cast<double>(p.parameters), exact) << p.name;
    EXPECT_NEAR(static_cast<double>(cost->macs) / 1e9, p.gmacs, p.tolerance) << p.name;
  }
}

// Section 4.2 of arXiv 1512.03385, counted layer by layer: 3x3 convolutions of 16, 32 and 64 channels on 32, 16 and 8
// pixels, a classifier of 64 to 10.
TEST(Zoo, TheMultiplicationsOfResNet20) {
  int64_t macs = 32 * 32 * 9 * 3 * 16 + 64 * 10;
  for (int stage = 0; stage < 3; ++stage) {
    const int64_t c = 16 << stage, pixels = (32 >> stage) * (32 >> stage);
    macs += 6 * pixels * 9 * c * c;
    if (stage > 0) macs -= pixels * 9 * c * c / 2;  // the first one reads half of the channels
  }
  EXPECT_EQ(zoo_cost("resnet20_cifar")->macs, macs);
}

// arXiv 2101.03697, table 4: 8.30 M parameters and 1.4 G multiplications in the plain form.
TEST(Zoo, TheDeployedRepVggIsAsSmallAsPublished) {
  const auto plain = deploy(built("repvgg_a0"));
  ASSERT_TRUE(plain.is_ok()) << plain.status().message();
  const NetworkCost cost = network_cost(*plain);
  EXPECT_NEAR(static_cast<double>(cost.parameters) / 1e6, 8.30, 0.015);
  EXPECT_NEAR(static_cast<double>(cost.macs) / 1e9, 1.4, 0.05);
}

TEST(Zoo, TheListIsComplete) {
  std::set<std::string> names;
  for (const ZooNetwork& n : zoo_networks()) {
    EXPECT_TRUE(names.insert(n.name).second) << n.name;
    EXPECT_FALSE(n.paper.empty());
    const auto cost = zoo_cost(n.name);
    EXPECT_TRUE(cost.is_ok()) << n.name << ": " << cost.status().message();
  }
  for (const char* name :
       {"resnet18", "resnet34", "resnet50", "resnet20_cifar", "resnet56_cifar", "mobilenet_v2", "mobilenet_v2_cifar",
        "mobilenet_v3_small", "mobilenet_v3_large", "repvgg_a0", "qarepvgg_a0", "efficientnet_b0", "vgg11_bn",
        "vgg16_bn", "vit_tiny", "yolo_nano", "unet_small"})
    EXPECT_EQ(names.count(name), 1u) << name;
}

class EveryNetwork : public ::testing::TestWithParam<std::string> {};

ZooOptions small_options(const std::string& name, int64_t channels) {
  return {.classes = 5, .size = name == "mobilenet_v2_cifar" ? 16 : 32, .channels = channels, .seed = 3};
}

void expect_finite(const Tensor& t) {
  const float* p = t.data<float>();
  EXPECT_TRUE(std::all_of(p, p + t.numel(), [](float v) { return std::isfinite(v); }));
  EXPECT_NE(*std::min_element(p, p + t.numel()), *std::max_element(p, p + t.numel()));
}

// 32 pixels, grey; the batch is free. In the form for inference the same numbers come out.
TEST_P(EveryNetwork, RunsAndIsTheSameThroughAFile) {
  const std::string& name = GetParam();
  const ZooOptions options = small_options(name, 1);
  Graph graph = built(name, options);
  randomize_norms(graph, 11);
  const auto inputs = random_inputs(graph, 7, name.find("cifar") != std::string::npos ? 2 : 1);
  const auto outputs = interpret(graph, inputs);
  ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
  const int64_t n = inputs[0].dim(0), side = options.size;
  if (name == "yolo_nano") {
    ASSERT_EQ(outputs->size(), 3u);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ((*outputs)[i].dims(), (Dims{n, 10, side / (8 << i), side / (8 << i)}));
    EXPECT_EQ(output_names(graph), (std::vector<std::string>{"stride8", "stride16", "stride32"}));
  } else {
    ASSERT_EQ(outputs->size(), 1u);
    EXPECT_EQ((*outputs)[0].dims(), name == "unet_small" ? (Dims{n, 5, side, side}) : (Dims{n, 5}));
    EXPECT_EQ(output_names(graph), std::vector<std::string>{"output"});
  }
  for (const Tensor& t : *outputs) expect_finite(t);
  const auto bytes = serialize_onnx(graph);
  ASSERT_TRUE(bytes.is_ok()) << bytes.status().message();
  const auto again = parse_onnx(*bytes, "");
  ASSERT_TRUE(again.is_ok()) << again.status().message();
  EXPECT_TRUE(to_text(graph) == to_text(*again));  // weights by their hash

  const auto deployed = deploy(graph);
  ASSERT_TRUE(deployed.is_ok()) << deployed.status().message();
  EXPECT_EQ(count_nodes(*deployed, "BatchNormalization"), 0) << operators(*deployed);
  EXPECT_EQ(count_nodes(*deployed, "Dropout"), 0);
  if (name == "yolo_nano" || name.find("repvgg") != std::string::npos) return;  // have tests of their own
  const auto fast = interpret(*deployed, inputs);
  ASSERT_TRUE(fast.is_ok()) << fast.status().message();
  EXPECT_TRUE(outputs_near(*outputs, *fast, 1e-4));
}

// Deeper forms of others, up to half a gigabyte each.
const std::set<std::string> kLarge = {"resnet34", "resnet50", "vgg11_bn", "vgg16_bn"};

std::vector<std::string> quick_names() {
  std::vector<std::string> names;
  for (const ZooNetwork& n : zoo_networks())
    if (!kLarge.count(n.name)) names.push_back(n.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Zoo, EveryNetwork, ::testing::ValuesIn(quick_names()),
                         [](const auto& info) { return info.param; });
// The test zoo_large, with the label slow, runs them.
INSTANTIATE_TEST_SUITE_P(DISABLED_Large, EveryNetwork, ::testing::ValuesIn(kLarge),
                         [](const auto& info) { return info.param; });

TEST(Zoo, TheSeedDecidesAllWeights) {
  const ZooOptions options{.classes = 4, .size = 32, .seed = 5};
  const std::string first = to_text(built("mobilenet_v2", options));
  EXPECT_EQ(first, to_text(built("mobilenet_v2", options)));
  EXPECT_NE(first, to_text(built("mobilenet_v2", {.classes = 4, .size = 32, .seed = 6})));
  // Another classifier leaves all other weights alone.
  const Graph a = built("resnet18", {.classes = 4}), b = built("resnet18", {.classes = 9});
  const std::string name = "layer3.1.conv2.weight";
  EXPECT_TRUE(same_bits(*a.value(a.find_value(name)).constant, *b.value(b.find_value(name)).constant));
}

TEST(Zoo, ADetectorIsDeployedAsTheDecoderReadsIt) {
  const Graph graph = built("yolo_nano", {.classes = 3, .size = 64});
  const auto deployed = deploy(graph);
  ASSERT_TRUE(deployed.is_ok()) << deployed.status().message();
  const auto inputs = random_inputs(graph, 2, 1);
  const auto heads = interpret(graph, inputs), joined = interpret(*deployed, inputs);
  ASSERT_TRUE(heads.is_ok() && joined.is_ok());
  ASSERT_EQ((*joined)[0].dims(), (Dims{1, 8 * 8 + 4 * 4 + 2 * 2, 8}));
  const float* row = (*joined)[0].data<float>();
  for (const Tensor& head : *heads) {
    const int64_t cells = head.dim(2) * head.dim(3);
    for (int64_t cell = 0; cell < cells; ++cell, row += 8)
      for (int64_t c = 0; c < 8; ++c) {
        const double v = head.data<float>()[c * cells + cell];
        EXPECT_NEAR(row[c], c < 4 ? v : 1 / (1 + std::exp(-v)), 1e-4) << c;
      }
  }
  // Every cell, at the probability that the biases begin with.
  const auto boxes = decode_yolox((*joined)[0], 64, 64, 1e-6);
  ASSERT_TRUE(boxes.is_ok()) << boxes.status().message();
  EXPECT_EQ(boxes->size(), 84u);
  for (const Box& box : *boxes) EXPECT_NEAR(box.score, 1e-4, 1e-4);
}

TEST(Zoo, SizesThatANetworkCannotHave) {
  const auto refusal = [](const std::string& name, const ZooOptions& options) {
    const auto cost = zoo_cost(name, options);
    return cost.is_ok() ? "" : cost.status().message();
  };
  EXPECT_NE(refusal("resnet19", {}).find("Did you mean 'resnet18'"), std::string::npos) << refusal("resnet19", {});
  EXPECT_NE(refusal("alexnet", {}).find("has no network"), std::string::npos);
  EXPECT_NE(refusal("vit_tiny", {.size = 100}).find("multiple of 16"), std::string::npos);
  EXPECT_NE(refusal("vgg11_bn", {.size = 100}).find("7x7"), std::string::npos) << refusal("vgg11_bn", {.size = 100});
  EXPECT_NE(refusal("resnet18", {.size = 8}).find("32 to"), std::string::npos);
  EXPECT_NE(refusal("resnet18", {.size = 100'000}).find("not 100000"), std::string::npos);
  EXPECT_NE(refusal("resnet18", {.channels = 4}).find("1 channel"), std::string::npos);
  EXPECT_NE(refusal("resnet18", {.classes = -1}).find("classes"), std::string::npos);
  EXPECT_NE(refusal("resnet18", {.classes = INT64_MAX}).find("classes"), std::string::npos);
  EXPECT_TRUE(zoo_cost("vgg11_bn", {.size = 448}).is_ok());
  EXPECT_TRUE(zoo_cost("resnet20_cifar", {.size = 28, .channels = 1}).is_ok());
}

}  // namespace
}  // namespace octet::test
